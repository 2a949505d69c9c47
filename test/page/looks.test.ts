import { expect, test } from 'bun:test';
import { en } from '#page/client/text/en.ts';
import { ko } from '#page/client/text/ko.ts';
import type { Tab } from './browser.ts';
import { CONTRASTS, type Contrast } from './contrast.ts';
import { FakeNode, somePeers } from './fake-node.ts';
import { describeInBrowser, expectQuiet, VIEWS } from './in-browser.ts';

/** A node with something of everything: states, troubles, differences. */
function variedNode(): FakeNode {
  const node = new FakeNode(somePeers(120));
  const { overview } = node;
  node.overview = {
    ...overview,
    health: {
      ...overview.health,
      state: 'failing',
      reasons: ['the kernel holds 1 entry otherwise than planned'],
    },
    pods: [
      ...overview.pods,
      { addresses: ['10.244.0.9'], namespace: 'gone', container: 'ab'.repeat(32), interface: 'eth0' },
    ],
  };
  node.rules = { ...node.rules, differences: ['ip saddr 10.244.0.0/16 accept missing'] };
  return node;
}

/** Every fixed text of a language with its place. */
function leaves(messages: object, path = ''): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(messages) as [string, unknown][]) {
    if (typeof value === 'string') all.set(`${path}${key}`, value);
    else if (typeof value === 'object' && value !== null)
      for (const [inner, text] of leaves(value, `${path}${key}.`)) all.set(inner, text);
  }
  return all;
}

/** All that is said on the page: texts, and what a screen reader or a pointer is told besides. */
const SAID = `[...document.querySelectorAll('body, body *')].flatMap((it) => [
  ...[...it.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data.trim()),
  ...['aria-label', 'title', 'placeholder'].map((name) => it.getAttribute(name) ?? ''),
]).filter((text) => text !== '')`;

async function everythingSaid(tab: Tab): Promise<Set<string>> {
  const all = new Set<string>();
  for (const view of [...VIEWS, `peers/${encodeURIComponent('node-0001.example.org')}`]) {
    await tab.show(view);
    if (view.includes('/')) await tab.page.waitForSelector('.detail .entry');
    for (const text of await tab.page.evaluate<string[]>(SAID)) all.add(text);
  }
  await tab.page.keyboard.press('?');
  await tab.page.waitForSelector('dialog.help');
  for (const text of await tab.page.evaluate<string[]>(SAID)) all.add(text);
  await tab.page.keyboard.press('Escape');
  return all;
}

describeInBrowser(import.meta.path, 'how the page looks', (pages) => {
  test.each(['light', 'dark'] as const)('%s: every text stands out from its ground', async (colorScheme) => {
    await using node = variedNode();
    await using tab = await pages.openAt(node, { colorScheme });
    for (const view of [...VIEWS, `peers/${encodeURIComponent('node-0001.example.org')}`]) {
      await tab.show(view);
      const found = await tab.page.evaluate<Contrast[]>(CONTRASTS);
      expect(found.length, view).toBeGreaterThan(20);
      const faint = found.filter(({ ratio, large }) => ratio < (large ? 3 : 4.5));
      expect(faint, view).toEqual([]);
      const { drawn, count } = await tab.picture(
        `${colorScheme}-${view.split('/').length > 1 ? 'detail' : view}`,
      );
      expect(drawn, view).toBeGreaterThan(0.01);
      expect(count, view).toBeGreaterThan(20);
    }
    expectQuiet(tab, node);
  });

  test('Korean: no text of the page is left in English', async () => {
    await using node = variedNode();
    await using tab = await pages.openAt(node, { locale: 'ko-KR' });
    expect(await tab.page.getAttribute('html', 'lang')).toBe('ko');
    const said = await everythingSaid(tab);
    const [english, korean] = [leaves(en), leaves(ko)];
    const same = new Set(korean.values());
    // A language is called by its own name.
    english.delete('language');
    const left = [...english].filter(([, text]) => said.has(text) && !same.has(text));
    expect(left).toEqual([]);
    // That the other texts were seen at all.
    expect([...korean.values()].filter((text) => said.has(text)).length).toBeGreaterThan(60);
    await tab.show('map');
    await tab.picture('korean-map');
    expectQuiet(tab, node);
  });

  test('English is what a reader of another language gets, and a choice is kept', async () => {
    await using node = new FakeNode();
    await using tab = await pages.openAt(node, { locale: 'fi-FI' });
    expect(await tab.page.getAttribute('html', 'lang')).toBe('en');
    await tab.page.getByLabel('Language').selectOption('ko');
    await tab.page.getByLabel('색상').selectOption({ index: 2 });
    await tab.page.reload();
    await tab.page.waitForSelector('html[lang=ko][data-theme=dark]');
    expectQuiet(tab, node);
  });

  test('narrow: nothing is cut off at the side', async () => {
    await using node = variedNode();
    await using tab = await pages.openAt(node, { viewport: { width: 360, height: 740 } });
    for (const view of [...VIEWS, `peers/${encodeURIComponent('node-0001.example.org')}`]) {
      await tab.show(view);
      const wider = 'document.documentElement.scrollWidth - innerWidth';
      expect(await tab.page.evaluate(wider), view).toBeLessThanOrEqual(0);
      await tab.picture(`narrow-${view.split('/').length > 1 ? 'detail' : view}`);
    }
    // A control that is there can be pressed.
    for (const box of await tab.page.locator('header button, header select, nav a').all()) {
      const at = await box.boundingBox();
      expect(at === null || (at.x >= 0 && at.x + at.width <= 361)).toBe(true);
    }
    expectQuiet(tab, node);
  });

  test.each([
    ['no-preference', 'moves while packets flow'],
    ['reduce', 'stands still though packets flow'],
  ] as const)('motion %s: the map %s', async (reducedMotion) => {
    await using node = new FakeNode(somePeers(6));
    await using tab = await pages.openAt(node, { reducedMotion });
    await tab.page.waitForSelector('.legend b');
    // A rate needs two answers.
    for (let at = 0; at < 2; at += 1)
      await tab.page.waitForResponse((response) => response.url().endsWith('/api/overview'));
    await tab.page.waitForTimeout(200);
    const map = tab.page.locator('.canvas');
    const before = await map.screenshot();
    await tab.page.waitForTimeout(200);
    expect(before.equals(await map.screenshot())).toBe(reducedMotion === 'reduce');
    expectQuiet(tab, node);
  });
});
