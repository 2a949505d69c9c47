import { expect, test } from 'bun:test';
import { measured } from '../support/netns.ts';
import type { Tab } from './browser.ts';
import { FakeNode, somePeers } from './fake-node.ts';
import { describeInBrowser, expectQuiet } from './in-browser.ts';

/** Longest piece of work in which the page answers nobody, ms: on a quiet machine it is a tenth of it. */
const LONGEST = 1500;
/** Rows that may be in the document at once, whatever the number of peers. */
const ROWS = 120;

const WATCH = `globalThis.longest = 0; new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
}).observe({ type: 'longtask', buffered: true })`;

async function longest(tab: Tab): Promise<number> {
  return Math.round(await tab.page.evaluate<number>('longest'));
}

describeInBrowser(import.meta.path, 'many peers', (pages) => {
  test.each([1000, 5000])('%d are drawn, found, sorted and opened without a standstill', async (count) => {
    await using node = new FakeNode(somePeers(count));
    await using tab = await pages.openAt(node);
    const { page } = tab;
    await page.evaluate(WATCH);
    await page.waitForSelector('.legend b');
    await page.waitForTimeout(200);
    const { count: colours, drawn } = await tab.picture(`peers-${count}-map`);
    expect(colours).toBeGreaterThan(50);
    expect(drawn).toBeGreaterThan(0.03);

    await page.keyboard.press('2');
    const table = page.locator('.peers table');
    expect(await table.getAttribute('aria-rowcount')).toBe(String(count + 1));
    const filter = page.locator('.peers input.query');
    await filter.fill('node-0777');
    await page.locator('.peers .count', { hasText: /^1 of/ }).waitFor();
    await filter.fill('no such peer');
    await page.waitForSelector('.peers .nothing');
    await filter.fill('');
    await page.getByRole('button', { name: /^Node/ }).click();
    await page.waitForSelector('.peers th[aria-sort="ascending"].c-name');
    await page.locator('.peers tbody tr[tabindex="0"]').focus();
    await page.keyboard.press('End');
    const last = `node-${String(count - 1).padStart(4, '0')}.example.org`;
    await page.getByText(last).click();
    await page.waitForSelector('.detail .entry');
    expect(await page.locator('.peers tbody tr').count()).toBeLessThan(ROWS);
    await tab.picture(`peers-${count}-table`);

    const ms = await longest(tab);
    measured(`${count} peers in the browser: longest task ${ms} ms`);
    expect(ms).toBeLessThan(LONGEST);
    expectQuiet(tab, node);
  });

  test('a list that has not changed is not sent again, one that has is drawn', async () => {
    await using node = new FakeNode(somePeers(1000));
    await using tab = await pages.openAt(node, { view: 'peers' });
    await tab.page.waitForSelector('.peers tbody tr');
    const lists: number[] = [];
    tab.page.on('response', (response) => {
      if (response.url().endsWith('/api/peers')) lists.push(response.status());
    });
    await tab.page.waitForResponse((response) => response.url().endsWith('/api/overview'));
    await tab.page.waitForResponse((response) => response.url().endsWith('/api/overview'));
    expect(lists).toEqual([]);
    node.peers = somePeers(999);
    const { peers } = node.overview;
    if (peers !== undefined)
      node.overview = { ...node.overview, peers: { ...peers, revision: peers.revision + 1 } };
    await tab.page.waitForSelector('table[aria-rowcount="1000"]');
    expect(lists).toEqual([200]);
    expectQuiet(tab, node);
  });
});
