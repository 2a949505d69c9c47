// `node scripts/bun.mjs scripts/page/pictures.ts`: the pictures of docs/page.md, from made up documents, by Debian's Chromium.
import { chromium, type Browser } from 'playwright-core';
import { bundlePage } from '../../src/page/server/bundle.ts';
import { serveFake, type FakeOptions } from './serve.ts';

const files = bundlePage();
const VIEWPORT = { width: 1280, height: 760 };

async function take(
  browser: Browser,
  name: string,
  options: FakeOptions,
  look: 'light' | 'dark',
): Promise<void> {
  const server = serveFake({ ...options, files });
  const context = await browser.newContext({ viewport: VIEWPORT, colorScheme: look, locale: 'en-GB' });
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${server.port}/`);
    if (options.lab !== undefined) {
      await page.selectOption('.ends select >> nth=0', 'n1-a');
      await page.selectOption('.ends select >> nth=1', 'n2-b');
      await page.click('.ends button');
      await page.waitForSelector('.hops');
      await page.click('.hop >> nth=5 >> button');
    }
    // Rates need two answers.
    await page.waitForTimeout(4000);
    await page.screenshot({ path: `docs/pictures/${name}.png` });
  } finally {
    await context.close();
    await server.stop(true);
  }
}

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
await take(browser, 'page-light', { peers: 300, pods: 24, hostile: false }, 'light');
await take(browser, 'page-lab-dark', { peers: 0, pods: 0, hostile: false, lab: 3 }, 'dark');
await browser.close();
