import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { held } from '#lab/serve/child.ts';
import type { LabState } from '#lab/state/state.ts';
import { LAB, outcomeOf, ROOT } from '../e2e/lab-program.ts';
import { eventually } from '../support/eventually.ts';
import { insideNetns } from '../support/netns.ts';
import type { Tab } from './browser.ts';
import { describeInBrowser, expectQuiet } from './in-browser.ts';

/** A lab in this block's namespaces, and its page. Both end with the block, whatever happens. */
class LabPage {
  readonly #root = mkdtempSync(join(tmpdir(), 'flannel-lab-page-'));
  readonly #env = { ...process.env, FLANNEL_LAB_ROOT: this.#root };
  #page: Bun.Subprocess<'ignore', 'pipe', 'inherit'> | undefined;
  url = '';

  lab(...args: readonly string[]): string {
    const [command = '', ...rest] = args;
    const { code, out, err } = outcomeOf([...LAB, command, '--name=p', ...rest], this.#env);
    if (code !== 0) throw new Error(`lab ${args.join(' ')}: ${code}\n${out}\n${err}`);
    return out;
  }

  async start(): Promise<void> {
    this.lab('up', '--nodes=3', '--pods=2');
    this.#page = Bun.spawn(held([...LAB, 'page', '--name=p', '--addr=127.0.0.1:0']), {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
      env: this.#env,
    });
    const reader = this.#page.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    this.url = /http:\S+/.exec(new TextDecoder().decode(value))?.[0] ?? '';
    expect(this.url).toStartWith('http://127.0.0.1:');
  }

  /** Another page beside it, the program itself: what it says first, and how to end it. */
  async another(...args: readonly string[]): Promise<{ said: string; stop: () => Promise<number> }> {
    const argv = [`${ROOT}dist/bin/flannelctl`, 'lab', 'page', '--name=p', ...args];
    const page = Bun.spawn(held(argv), { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', env: this.#env });
    const { value } = await page.stdout.getReader().read();
    const stop = () => {
      page.kill('SIGINT');
      return page.exited;
    };
    if (value !== undefined) return { said: new TextDecoder().decode(value), stop };
    return { said: await new Response(page.stderr).text(), stop };
  }

  /** What the page process ends with when its lab goes. */
  async end(): Promise<number | undefined> {
    this.lab('down');
    const code = await this.#page?.exited;
    rmSync(this.#root, { recursive: true, force: true });
    return code;
  }

  agentPid(node: string): number {
    const state = JSON.parse(readFileSync(join(this.#root, 'p/state.json'), 'utf8')) as LabState;
    return state.nodes.find(({ name }) => name === node)?.agentPid ?? 0;
  }

  /** As the page itself asks. */
  walk(body: object): Promise<Response> {
    const headers = { 'content-type': 'application/json', origin: new URL(this.url).origin };
    return fetch(`${this.url}api/walks`, { method: 'POST', headers, body: JSON.stringify(body) });
  }
}

/** Chooses the ends, sends the packet and waits for what it met: place, device, and whether it was wrapped there. */
async function walked(
  { page }: Tab,
  from: string,
  to: string,
): Promise<{ where: string; wrapped: boolean }[]> {
  const [start, end] = [page.locator('.ends select').first(), page.locator('.ends select').last()];
  await start.selectOption(from);
  await end.selectOption(to);
  await page.locator('.ends button[type=submit]').click();
  await page.waitForSelector('.outcome', { timeout: 20_000 });
  const hops = await page.locator('.hops .hop').all();
  return Promise.all(
    hops.map(async (hop) => ({
      where: `${await hop.locator('b').innerText()} ${await hop.locator('button code').innerText()}`,
      wrapped: (await hop.getAttribute('class'))?.includes('wrapped') ?? false,
    })),
  );
}

describeInBrowser(import.meta.path, 'the page of the lab', (pages) => {
  const world = insideNetns() ? new LabPage() : undefined;
  const lab = () => {
    if (world === undefined) throw new Error('only in the namespaces of the block');
    return world;
  };

  beforeAll(() => world?.start());
  afterAll(async () => expect(await world?.end()).toBe(1));

  test('shows all nodes, and follows a packet to another node, hop by hop', async () => {
    await using tab = await pages.open(lab().url);
    const { page } = tab;
    expect(await page.locator('.health.lab').innerText()).toMatch(/n1\s+Ready.*n2\s+Ready.*n3\s+Ready/s);
    const hops = await walked(tab, 'n1-a', 'n2-a');
    const places = hops.map(({ where }) => where.replace(/ veth.*/, ' veth'));
    expect(places.slice(0, 11)).toEqual([
      'n1-a eth0',
      'n1 veth',
      'n1 cni0',
      'n1 flannel.1',
      'n1 eth0',
      'underlay n1',
      'underlay n2',
      'n2 eth0',
      'n2 flannel.1',
      'n2 cni0',
      'n2 veth',
    ]);
    expect(places[11]).toBe('n2-a eth0');
    expect(places.at(-1)).toBe('n1-a eth0');
    const wrapped = hops.slice(0, 12).flatMap(({ where, wrapped: yes }) => (yes ? [where] : []));
    expect(wrapped).toEqual(['n1 eth0', 'underlay n1', 'underlay n2', 'n2 eth0']);
    expect(await page.locator('.outcome').innerText()).toContain('It arrived.');
    // It goes from device to device by itself, and stands still where it is told to.
    await page.locator('.controls .count', { hasText: /^3 of/ }).waitFor();
    await page.locator('.hops .hop.wrapped button').first().click();
    const said = await page.locator('.hop.wrapped .hop-detail').innerText();
    expect(said).toContain('VXLAN VNI 1, inner 10.244.1.2:');
    expect(said).toContain('FDB of flannel.1');
    const { drawn } = await tab.picture('lab-walk');
    expect(drawn).toBeGreaterThan(0.05);
    expectQuiet(tab);
  });

  test('speaks Korean, and shows pods by name, each node by its own agent', async () => {
    await using tab = await pages.open(lab().url, { locale: 'ko-KR', colorScheme: 'dark' });
    const { page } = tab;
    const hops = await walked(tab, 'n3-b', 'world');
    expect(hops[0]?.where).toBe('n3-b eth0');
    expect(hops.some(({ where }) => where.startsWith('world'))).toBe(true);
    expect(hops.filter(({ wrapped }) => wrapped)).toEqual([]);
    expect(await page.locator('.outcome').innerText()).toMatch(/\p{Script=Hangul}/u);
    await tab.picture('lab-korean');
    await tab.show('pods?node=n3');
    expect(await page.locator('.pods tbody').innerText()).toMatch(/n3-a[\s\S]*n3-b/);
    await tab.show('peers?node=n3');
    expect(await page.locator('.peers tbody').innerText()).toMatch(/n1[\s\S]*n2/);
    expectQuiet(tab);
  });

  test('is walked by keyboard alone', async () => {
    await using tab = await pages.open(lab().url, { reducedMotion: 'reduce' });
    const { page } = tab;
    await page.locator('.ends select').first().focus();
    await page.keyboard.type('n1-a');
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowDown');
    await page.locator('.ends button:enabled').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    const at = page.locator('.controls .count');
    await at.waitFor();
    // Nothing moves by itself here: step by step.
    expect(await at.innerText()).toStartWith('1 of');
    for (const key of ['.', '.', ',']) await page.keyboard.press(key);
    await page.locator('.controls .count', { hasText: /^2 of/ }).waitFor();
    expect(await page.locator('.hop').nth(1).getAttribute('aria-current')).toBe('step');
    await page.keyboard.press('Escape');
    await at.waitFor({ state: 'detached' });
    expectQuiet(tab);
  });

  test('shows an agent that hangs or is killed, the others as they are, and that it is back', async () => {
    await using tab = await pages.open(lab().url);
    const { page } = tab;
    const node = page.locator('.health.lab dl > div', { hasText: 'n2' });
    const pid = lab().agentPid('n2');
    process.kill(pid, 'SIGSTOP');
    await node.filter({ hasText: 'agent down' }).waitFor();
    expect(await page.locator('.health.lab').innerText()).toMatch(/n1\s+Ready.*n3\s+Ready/s);
    await tab.picture('lab-agent-down');
    process.kill(pid, 'SIGKILL');
    await node.filter({ hasText: 'Ready' }).waitFor();
    await eventually(() => expect(lab().agentPid('n2')).not.toBe(pid));
    expectQuiet(tab);
  });

  test('shows what was broken and mended as a repair', async () => {
    await using tab = await pages.open(lab().url, { view: 'repairs?node=n1' });
    lab().lab('exec', 'n1', '--', 'ip', 'route', 'del', '10.244.3.0/24');
    await tab.page.getByText('10.244.3.0/24').first().waitFor();
    await tab.picture('lab-repairs');
    expectQuiet(tab);
  });

  test('twenty walks at once: a few in turn, the others are told to wait', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => lab().walk({ from: 'n1-a', to: 'n2-a' })),
    );
    const counts = Map.groupBy(answers, ({ status }) => status);
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([200, 429]);
    expect(counts.get(200)?.length).toBe(6);
    for (const answer of counts.get(200) ?? []) expect(await answer.json()).toMatchObject({ arrived: true });
    for (const answer of counts.get(429) ?? [])
      expect(await answer.json()).toEqual({
        error: '6 walks are under way or waiting',
        cure: 'Wait for them',
      });
  });

  test.each([
    [{ from: 'n1-a', to: 'nowhere' }, 502, 'there is no pod or node'],
    [{ from: 'n1', to: 'n1-a' }, 502, 'a walk begins in a pod'],
    [{ from: '../n1-a', to: 'n1-b' }, 502, 'there is no pod or node'],
    [{}, 502, 'a walk needs two ends'],
  ])('%j is refused in words', async (body, status, words) => {
    const answer = await lab().walk(body);
    expect(answer.status).toBe(status);
    expect(((await answer.json()) as { error: string }).error).toContain(words);
  });

  test('a second one beside it ends with Ctrl-C, and one at its port says so', async () => {
    const other = await lab().another('--addr=[::1]:0');
    expect(other.said).toMatch(/^the page of lab "p": http:\/\/\[::1\]:\d+\/\n$/);
    expect(await other.stop()).toBe(0);
    const { port } = new URL(lab().url);
    const taken = await lab().another(`--addr=${port}`);
    expect(taken.said).toContain(`cannot listen on http://127.0.0.1:${port}/`);
    expect(await taken.stop()).toBe(1);
    const open = await lab().another('--addr=0.0.0.0:0');
    expect(open.said).toStartWith('the page of lab "p": http://0.0.0.0:');
    expect(await open.stop()).toBe(0);
  });

  test('a walk is for the page alone: no other site, no other name', async () => {
    const body = JSON.stringify({ from: 'n1-a', to: 'n2-a' });
    const type = { 'content-type': 'application/json' };
    const ask = (headers: Record<string, string>) =>
      fetch(`${lab().url}api/walks`, { method: 'POST', headers: { ...type, ...headers }, body });
    const { origin } = new URL(lab().url);
    expect((await ask({})).status).toBe(403);
    expect((await ask({ origin: 'http://192.0.2.1' })).status).toBe(403);
    expect((await ask({ origin, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await ask({ origin, host: 'lab.example.org' })).status).toBe(421);
  });
});
