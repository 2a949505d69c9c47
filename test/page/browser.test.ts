import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Browser } from 'playwright-core';
import { describeInNetns, must } from '../support/netns.ts';
import { openBrowser, Tab } from './browser.ts';

const POLICY = "default-src 'none'; script-src 'unsafe-inline'";

/** A page that does all that ours may not. */
const BAD = `<!doctype html><title>bad</title><body>
<img src="http://192.0.2.1/x.png">
<script>
  alert('it runs');
  console.error('it complains');
  setTimeout(() => { throw new Error('it fails'); });
</script>`;

describeInNetns(
  import.meta.path,
  'what watches over the page in the other tests',
  () => {
    let browser: Browser;
    let server: ReturnType<typeof serve>;
    const serve = () =>
      Bun.serve({
        hostname: '127.0.0.1',
        port: 0,
        fetch: (request) => {
          const headers = { 'content-type': 'text/html', 'content-security-policy': POLICY };
          const bad = new URL(request.url).pathname === '/bad';
          return new Response(bad ? BAD : '<!doctype html><title>good</title>', { headers });
        },
      });

    beforeAll(async () => {
      must(['ip', 'link', 'set', 'lo', 'up']);
      server = serve();
      browser = await openBrowser();
    });

    afterAll(async () => {
      await browser.close();
      await server.stop(true);
    });

    describe('in Chromium', () => {
      test('sees dialogs, errors, and what the policy stops', async () => {
        await using tab = await Tab.open(browser, `${server.url.origin}/bad`);
        await tab.page.waitForTimeout(50);
        const { dialogs, errors } = tab.trouble;
        expect(dialogs).toEqual(['it runs']);
        expect(errors.join('\n')).toContain('it complains');
        expect(errors.join('\n')).toContain('it fails');
        expect(errors.join('\n')).toMatch(/Content Security Policy/);
      });

      test('sees a request to another origin', async () => {
        await using tab = await Tab.open(browser, `${server.url.origin}/`);
        await tab.page.evaluate("void (location.href = 'http://192.0.2.1/away')");
        await tab.page.waitForTimeout(50);
        expect(tab.trouble.strangers).toEqual(['http://192.0.2.1/away']);
      });

      test('tells a blank picture from one that shows something', async () => {
        await using tab = await Tab.open(browser, `${server.url.origin}/`);
        expect(await tab.picture('blank')).toEqual({ count: 1, drawn: 0 });
        await tab.page.setContent('<h1>한국어 and English</h1>');
        const { count, drawn } = await tab.picture('text');
        expect(count).toBeGreaterThan(10);
        expect(drawn).toBeGreaterThan(0.002);
      });
    });
  },
  { processes: true },
);
