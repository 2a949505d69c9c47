import { expect, test } from 'bun:test';
import { FakeNode } from './fake-node.ts';
import { describeInBrowser } from './in-browser.ts';

describeInBrowser(import.meta.path, 'an agent that goes away', (pages) => {
  test('is told of, what was known stays, and the page goes on by itself when it is back', async () => {
    await using node = new FakeNode();
    await using tab = await pages.openAt(node, { view: 'peers' });
    const { page } = tab;
    const banner = page.locator('.banner');
    expect(await banner.innerText()).toBe('');
    await node.stop();
    await page.waitForSelector('.stale');
    expect(await banner.innerText()).toMatch(/No answer since \d\d:\d\d:\d\d\..*cannot be reached/s);
    expect(await page.getByText('node-0001.example.org').count()).toBe(1);
    // No green light of then.
    expect(await page.evaluate("getComputedStyle(document.querySelector('.who')).filter")).toBe(
      'grayscale(1)',
    );
    await tab.picture('away');
    node.start();
    await page.waitForSelector('.page:not(.stale)', { timeout: 20_000 });
    expect(await banner.innerText()).toBe('');
    expect(tab.trouble.errors.filter((error) => !error.includes('ERR_CONNECTION_REFUSED'))).toEqual([]);
  });

  test('before it has ever answered is told of, too', async () => {
    await using node = new FakeNode();
    node.start();
    const { url } = node;
    await using tab = await pages.open(url);
    await tab.page.route('**/api/**', (route) => route.abort());
    await tab.page.reload();
    await tab.page.waitForSelector('.banner p');
    expect(await tab.page.locator('.banner').innerText()).toContain('No answer yet.');
    await tab.page.unroute('**/api/**');
    await tab.page.waitForSelector('.health', { timeout: 20_000 });
  });

  test('that answers nonsense, or in another schema, is not drawn', async () => {
    await using node = new FakeNode();
    await using tab = await pages.openAt(node);
    const banner = tab.page.locator('.banner p');
    for (const [body, said] of [
      ['<html>', 'not one that this page understands'],
      ['{"schema":1,"pods":3}', 'not one that this page understands'],
      ['{"schema":2,"pods":[],"unread":[],"repairs":[]}', 'speaks schema 2'],
    ] as const) {
      await tab.page.route('**/api/overview', (route) =>
        route.fulfill({ body, contentType: 'application/json' }),
      );
      await tab.page.reload();
      await banner.waitFor();
      expect(await banner.innerText()).toContain(said);
      await tab.page.unroute('**/api/overview');
    }
    expect(tab.trouble.errors).toEqual([]);
  });
});
