import { expect, test } from 'bun:test';
import type { PeerView } from '#page/model.ts';
import { FakeNode, somePeers, somePod } from './fake-node.ts';
import { describeInBrowser, expectQuiet, VIEWS } from './in-browser.ts';

/** What a Node may be called by somebody who wants to do harm, where the API does not look. */
const NAMES = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(2)</script>',
  "javascript:alert('3')",
  '../../api/overview',
  '..%2f..%2f',
  '%',
  '#/rules',
  '?node=x',
  '\u202Egnp.exe',
  '\u2066a\u2069\u200B\uFEFF',
  'a\0b\n\r\tc\u001B[31m',
  '\uD800',
  'W'.repeat(300),
  'a\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308'.repeat(30),
  '__proto__',
  'constructor',
  ' ',
  '{{7*7}} ${7*7}',
];

function hostilePeers(): PeerView[] {
  return NAMES.map((name, at) => ({
    name,
    subnets: [`10.9.${at}.0/24`],
    publicIps: [name],
    vtepMac: name,
    state: at % 2 === 0 ? 'left_out' : 'tunnel',
    why: name,
  }));
}

/** Everything that comes from elsewhere is one of `NAMES`. */
function hostileNode(): FakeNode {
  const node = new FakeNode([...hostilePeers(), ...somePeers(4)]);
  const [markup = '', script = ''] = NAMES;
  const { overview } = node;
  node.overview = {
    ...overview,
    version: markup,
    health: {
      ...overview.health,
      state: 'failing',
      reasons: NAMES,
      store: { fromMemory: true, trouble: script },
    },
    pods: NAMES.map((name, at) => ({
      ...somePod(at),
      name,
      container: name,
      veth: name,
      mac: name,
      addresses: [name],
    })),
    rules: { mode: 'nftables', state: 'failed', error: markup },
    unread: NAMES,
    repairs: NAMES.map((what, at) => ({ at: at * 1e15, counts: { [what]: at }, what })),
    ...(overview.node && {
      node: {
        ...overview.node,
        name: NAMES[12] ?? '',
        external: { name: markup, mtu: 1500 },
        devices: overview.node.devices.map((device) => ({ ...device, name: script, addresses: NAMES })),
      },
    }),
  };
  const [family] = node.rules.families;
  node.rules = {
    ...node.rules,
    differences: NAMES,
    families: family
      ? [{ ...family, chains: [{ name: 'forward', rules: NAMES.map((text) => ({ text, why: text })) }] }]
      : [],
  };
  return node;
}

/** How far the document is wider than the window, px; what is inside scrolls by itself. */
const OVERFLOW = 'document.documentElement.scrollWidth - innerWidth';

describeInBrowser(import.meta.path, 'names that mean harm', (pages) => {
  test('are text and nothing else in every view', async () => {
    await using node = hostileNode();
    await using tab = await pages.openAt(node);
    for (const view of VIEWS) {
      await tab.show(view);
      const elements = 'document.querySelectorAll("main img, main script, main iframe").length';
      expect(await tab.page.evaluate(elements), view).toBe(0);
      expect(await tab.page.evaluate(OVERFLOW), view).toBeLessThanOrEqual(0);
      const links = await tab.page.evaluate<string[]>('[...document.links].map((link) => link.href)');
      for (const link of links) expect(new URL(link).origin).toBe(new URL(node.url).origin);
      const said = await tab.page.locator('body').innerText();
      expect(said, view).not.toMatch(/[\u202A-\u202E\u2066-\u2069\u200B\0]|\[object|native code/);
      const { drawn } = await tab.picture(`hostile-${view}`);
      expect(drawn).toBeGreaterThan(0.005);
    }
    expectQuiet(tab, node);
  });

  test('are shown by what cannot be seen of them', async () => {
    await using node = hostileNode();
    await using tab = await pages.openAt(node, { view: 'peers' });
    const rows = await tab.page.locator('.peers tbody th').allInnerTexts();
    const all = rows.join('\n');
    expect(all).toContain('<img src=x onerror=alert(1)>');
    expect(all).toContain('⟨U+202E⟩gnp.exe');
    expect(all).toContain('a⟨U+0000⟩b⟨U+000A⟩');
    expect(all).not.toMatch(/[\u202A-\u202E\u2066-\u2069\u200B\0]/);
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThan(200);
  });

  test('each can be opened, and is itself: the address in the browser holds it whole', async () => {
    await using node = hostileNode();
    await using tab = await pages.openAt(node, { view: 'peers' });
    for (const [at, name] of NAMES.entries()) {
      const asked = tab.page.waitForResponse((response) => response.url().includes('/api/peers/'));
      await tab.page.locator(`.peers tbody tr:has-text("10.9.${at}.0/24")`).click();
      const response = await asked;
      // A half of a character cannot be in an address: that name is not found, and said so.
      if (name === '\uD800') continue;
      expect(response.status(), name).toBe(200);
      expect(((await response.json()) as PeerView).name).toBe(name);
      await tab.page.locator('.detail .entry').first().waitFor();
      expect(await tab.page.evaluate(OVERFLOW)).toBeLessThanOrEqual(0);
    }
    const { trouble } = tab;
    expect(trouble.errors.filter((error) => !error.includes('404'))).toEqual([]);
    expect([...trouble.dialogs, ...trouble.strangers]).toEqual([]);
  });
});
