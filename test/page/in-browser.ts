import { afterAll, beforeAll, expect } from 'bun:test';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { describeInNetns, must } from '../support/netns.ts';
import { openBrowser, Tab } from './browser.ts';
import { FakeNode } from './fake-node.ts';

/** In the order of their number keys. */
export const VIEWS = ['map', 'peers', 'pods', 'rules', 'repairs'] as const;

/** The one browser of a block of tests. */
export interface Pages {
  /** A tab in which the page has had its first answer. */
  open(url: string, options?: BrowserContextOptions & { readonly view?: string }): Promise<Tab>;
  /** As `open`, at a node that is served from now on. */
  openAt(node: FakeNode, options?: BrowserContextOptions & { readonly view?: string }): Promise<Tab>;
}

/** Tests that share a browser, in namespaces in which there is nothing but loopback. */
export function describeInBrowser(file: string, name: string, body: (pages: Pages) => void): void {
  const block = () => {
    let browser: Browser | undefined;
    beforeAll(async () => {
      must(['ip', 'link', 'set', 'lo', 'up']);
      browser = await openBrowser();
    });
    afterAll(async () => await browser?.close());
    const open: Pages['open'] = async (url, { view = 'map', ...options } = {}) => {
      if (browser === undefined) throw new Error('no browser');
      const tab = await Tab.open(browser, `${url}#/${view}`, options);
      await tab.page.waitForSelector('.health');
      return tab;
    };
    body({
      open,
      openAt: (node, options) => {
        node.start();
        return open(node.url, options);
      },
    });
  };
  describeInNetns(file, name, block, { processes: true, timeoutMs: 120_000 });
}

/** The page has run nobody's script, asked nobody else, and complained of nothing. */
export function expectQuiet({ trouble }: Tab, node?: FakeNode): void {
  expect(trouble).toEqual({ dialogs: [], errors: [], strangers: [] });
  expect(node?.faults ?? []).toEqual([]);
}
