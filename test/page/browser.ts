import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';

const PICTURES = join(import.meta.dir, '../../dist/test/page');

/**
 * Debian's Chromium without a window. The tests run in network and process namespaces of their own (`describeInNetns`), so it
 * reaches nothing but what the test serves, and dies with the test. It may not have a sandbox: it runs as root.
 */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
}

/** What no page of ours may ever do, whatever it is given to show. */
export interface Trouble {
  /** `alert` and its like: markup or script of somebody else has run. */
  readonly dialogs: string[];
  /** Errors in the console, uncaught ones, and violations of the content security policy. */
  readonly errors: string[];
  /** Requests to other origins, and attempts at them. */
  readonly strangers: string[];
}

/** A tab of a fresh profile. */
export class Tab implements AsyncDisposable {
  readonly page: Page;
  readonly trouble: Trouble = { dialogs: [], errors: [], strangers: [] };
  readonly #context: BrowserContext;
  readonly #url: string;

  private constructor(context: BrowserContext, page: Page, url: string) {
    this.#context = context;
    this.page = page;
    this.#url = url;
    page.on('dialog', (dialog) => {
      this.trouble.dialogs.push(dialog.message());
      void dialog.dismiss();
    });
    page.on('pageerror', (error) => this.trouble.errors.push(error.message));
    page.on('console', (message) => {
      // An agent's page asks once whether it is a lab's.
      const asked = message.location().url.endsWith('/api/lab') && message.text().includes('404');
      if (message.type() === 'error' && !asked) this.trouble.errors.push(message.text());
    });
    context.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== new URL(url).origin && protocol !== 'data:') this.trouble.strangers.push(request.url());
    });
  }

  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Tab> {
    const context = await browser.newContext({ locale: 'en-GB', ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const tab = new Tab(context, page, url);
    await page.goto(url);
    return tab;
  }

  get url(): string {
    return this.#url;
  }

  /** Goes to a view of the page as a link does, and waits until it has drawn itself. */
  async show(view: string): Promise<void> {
    await this.page.evaluate(`void (location.hash = '#/${view}')`);
    await this.page.waitForSelector(`.view-${view.split(/[/?]/)[0]} main > *`);
    await this.page.evaluate('new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 60)))');
  }

  /** Writes what is to be seen now to dist/test/page and says how much there is of it. */
  async picture(name: string): Promise<Colours> {
    mkdirSync(PICTURES, { recursive: true });
    const image = await this.page.screenshot({ path: join(PICTURES, `${name}.png`) });
    const blank = await this.#context.newPage();
    try {
      return await blank.evaluate<Colours>(`(${COUNT_COLOURS})('${image.toString('base64')}')`);
    } finally {
      await blank.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }
}

export interface Colours {
  /** Different colours. */
  readonly count: number;
  /** Part of the picture that does not have the commonest one, 0 to 1. */
  readonly drawn: number;
}

/** A function of the browser, which can read PNG; as text, since this side has no types of the DOM. */
const COUNT_COLOURS = `async (base64) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, bitmap.width, bitmap.height).data.buffer);
  const seen = new Map();
  for (const pixel of pixels) seen.set(pixel, (seen.get(pixel) ?? 0) + 1);
  return { count: seen.size, drawn: 1 - Math.max(...seen.values()) / pixels.length };
}`;
