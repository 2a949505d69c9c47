import { expect, test } from 'bun:test';
import type { Page } from 'playwright-core';
import { FakeNode, somePeers } from './fake-node.ts';
import { describeInBrowser, expectQuiet, VIEWS } from './in-browser.ts';

/** What has the focus, in the words of a screen reader. */
const FOCUS = `(() => {
  const { activeElement: it } = document;
  const labels = it.labels ? [...it.labels].map((label) => label.innerText) : [];
  return it.tagName + ': ' + (it.getAttribute('aria-label') || labels[0] || it.innerText || it.getAttribute('placeholder') || '').trim();
})()`;
/** The mark of the focus, as it is drawn. */
const OUTLINE = 'getComputedStyle(document.activeElement).outlineStyle';

const focus = (page: Page) => page.evaluate<string>(FOCUS);

describeInBrowser(import.meta.path, 'the keyboard alone', (pages) => {
  test('reaches everything, in order, and is seen where it is', async () => {
    await using node = new FakeNode();
    await using tab = await pages.openAt(node);
    const { page } = tab;
    const met: string[] = [];
    for (let at = 0; at < 14; at += 1) {
      await page.keyboard.press('Tab');
      met.push(await focus(page));
      if (met.at(-1) !== 'BODY: ') expect(await page.evaluate(OUTLINE), met.at(-1)).not.toBe('none');
    }
    expect(met.slice(0, 6)).toEqual([
      'A: Skip to content',
      'A: Map',
      'A: Peers',
      'A: Pods',
      'A: Rules',
      'A: Repairs',
    ]);
    const rest = met.slice(6).join('\n');
    for (const one of [
      'SELECT: Language',
      'SELECT: Colours',
      'BUTTON: Keyboard shortcuts',
      'CANVAS: Map',
      'BUTTON: Zoom in',
    ])
      expect(rest).toContain(one);
    expect(met.filter((one) => one.endsWith(': '))).toEqual([]);
  });

  test('goes through the views, searches, opens a peer and leaves it', async () => {
    await using node = new FakeNode(somePeers(300));
    await using tab = await pages.openAt(node);
    const { page } = tab;
    for (const [at, view] of VIEWS.entries()) {
      await page.keyboard.press(String(at + 1));
      await page.waitForSelector(`.view-${view} main > *`);
    }
    await page.keyboard.press('2');
    await page.waitForSelector('.peers tbody tr');
    await page.keyboard.press('/');
    expect(await focus(page)).toStartWith('INPUT');
    // A field takes letters; they are no shortcuts there.
    await page.keyboard.type('10.2.t');
    expect(await page.locator('.view-peers input.query').inputValue()).toBe('10.2.t');
    await page.keyboard.press('Backspace');
    await page.locator('.peers .count', { hasText: '44 of 300' }).waitFor();
    await page.keyboard.press('Escape');
    expect(await page.locator('input.query').inputValue()).toBe('');
    expect(await focus(page)).not.toStartWith('INPUT');

    await page.locator('.peers tbody tr[tabindex="0"]').focus();
    for (const key of ['End', 'Home', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
    expect(await focus(page)).toContain('node-0002.example.org');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.detail .entry');
    expect(page.url()).toEndWith('#/peers/node-0002.example.org');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.detail', { state: 'detached' });
    expectQuiet(tab, node);
  });

  test('walks on the map from peer to peer', async () => {
    await using node = new FakeNode(somePeers(8));
    await using tab = await pages.openAt(node);
    const { page } = tab;
    await page.waitForSelector('.legend b');
    await page.locator('canvas[tabindex="0"]').focus();
    const said = new Set<string>();
    for (const key of [
      'ArrowRight',
      'ArrowUp',
      'ArrowLeft',
      'ArrowLeft',
      'ArrowDown',
      'ArrowDown',
      'ArrowRight',
    ]) {
      await page.keyboard.press(key);
      said.add(await page.locator('.canvas [aria-live]').innerText());
    }
    expect(said.size).toBeGreaterThan(3);
    expect([...said].join('\n')).toContain('example.org');
    for (const key of ['+', '-', '0', 'Shift+ArrowLeft']) await page.keyboard.press(key);
    expectQuiet(tab, node);
  });

  test('? tells the keys, keeps the focus inside, and Escape closes it', async () => {
    await using node = new FakeNode();
    await using tab = await pages.openAt(node);
    const { page } = tab;
    await page.keyboard.press('?');
    const help = page.locator('dialog.help');
    await help.waitFor();
    for (let at = 0; at < 6; at += 1) {
      await page.keyboard.press('Tab');
      expect(
        await page.evaluate(
          'document.activeElement === document.body || document.activeElement.closest("dialog") !== null',
        ),
      ).toBe(true);
    }
    await tab.picture('help');
    await page.keyboard.press('2');
    expect(page.url()).toEndWith('#/map');
    await page.keyboard.press('Escape');
    await help.waitFor({ state: 'detached' });
    await page.keyboard.press('l');
    await page.waitForSelector('html[lang=ko]');
    await page.keyboard.press('t');
    await page.waitForSelector('html[data-theme=light]');
    expectQuiet(tab, node);
  });
});
