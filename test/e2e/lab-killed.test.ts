import { afterEach, expect, setDefaultTimeout, test } from 'bun:test';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LabView } from '#page/model.ts';
import { LAB, lab, ROOT, outcomeOf, processesOf, stateOf } from './lab-program.ts';
import { eventually } from '../support/eventually.ts';
import { nameOfRun } from '../support/netns.ts';

setDefaultTimeout(300_000);

const NAME = nameOfRun('kill');

afterEach(() => {
  lab('down', '--name', NAME);
});

function up(): void {
  expect(lab('up', '--name', NAME, '--nodes', '2', '--pods', '1').code).toBe(0);
}

test('a killed lab process takes everything along; down clears its folder, and up starts anew', async () => {
  up();
  process.kill(stateOf(NAME).pid, 'SIGKILL');
  await eventually(() => expect(processesOf(NAME)).toEqual([]));
  expect(lab('verify', '--name', NAME).err).toContain('has been killed');
  up();
  process.kill(stateOf(NAME).pid, 'SIGKILL');
  expect(lab('down', '--name', NAME).code).toBe(0);
  expect(existsSync(`/run/flannel-lab/${NAME}`)).toBe(false);
});

test('down removes what was started inside by exec, and a damaged state does not stop it', async () => {
  up();
  const [program, ...rest] = [...LAB, 'exec', '--name', NAME, 'n1', '--', 'sleep', '1000'];
  const sleeper = spawn(program, rest, { stdio: 'ignore' });
  const ended = new Promise((resolve) => sleeper.once('exit', resolve));
  await Bun.sleep(500);
  for (const pid of processesOf(NAME).slice(0, 8)) process.kill(pid, 'SIGKILL');
  writeFileSync(`/run/flannel-lab/${NAME}/state.json`, '{');
  expect(lab('status', '--name', NAME).err).toContain('is not the state of a lab');
  expect(lab('down', '--name', NAME).code).toBe(0);
  await ended;
  expect(processesOf(NAME)).toEqual([]);
  expect(existsSync(`/run/flannel-lab/${NAME}`)).toBe(false);
});

test('Ctrl-C in the middle removes everything', async () => {
  for (const delay of [150, 500]) {
    const [program, ...rest] = [...LAB, '--name', NAME, '--nodes', '2'];
    const tour = spawn(program, rest, { stdio: 'ignore', detached: true });
    const ended = new Promise<number | null>((resolve) => tour.once('exit', resolve));
    while (!existsSync(`/run/flannel-lab/${NAME}`)) await Bun.sleep(5);
    await Bun.sleep(delay);
    process.kill(-(tour.pid ?? 0), 'SIGINT');
    expect(await ended).toBe(130);
    expect(processesOf(NAME)).toEqual([]);
    expect(existsSync(`/run/flannel-lab/${NAME}`)).toBe(false);
  }
});

test('the whole tour ends with 0 and leaves nothing', () => {
  const { code, out } = lab('--name', NAME, '--nodes', '2', '--nftables');
  expect(out).toContain('10 of 10 checks held');
  expect(out).toContain('VXLAN VNI 1');
  expect(out).toContain('every check held');
  expect(code).toBe(0);
  expect(processesOf(NAME)).toEqual([]);
});

test('an ordinary user gets a lab in a user namespace, and its page', async () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const home = mkdtempSync(join(tmpdir(), 'lab-nobody-'));
  chmodSync(home, 0o777);
  const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home };
  try {
    const allowed = outcomeOf([...nobody, 'unshare', '-Urnm', 'true']).code === 0;
    const run = (...args: string[]) => outcomeOf([...nobody, ...LAB, ...args], env);
    if (!allowed) {
      expect(run('--nodes', '2').err).toMatch(
        /^lab: needs root, or user namespaces for ordinary users: .+\n$/,
      );
      return;
    }
    expect(run('--nodes', '2').code).toBe(0);
    expect(run('up', '--nodes', '2').code).toBe(0);
    expect(run('up', '--nodes', '2').err).toContain('is already running');
    expect(run('verify').code).toBe(0);
    expect(run('break', 'fdb').code).toBe(0);
    const page = Bun.spawn([...nobody, ...LAB, 'page', '--addr=0'], { env, stdin: 'ignore', stdout: 'pipe' });
    await expectPage(page);
    expect(run('down').out).toContain('is gone');
    expect(await page.exited).toBe(1);
    expect(existsSync(join(home, 'flannel-lab-65534'))).toBe(false);
  } finally {
    downAsNobody(nobody, env);
    rmSync(home, { recursive: true });
  }
});

/** The page is where the user's browser is, and reaches into the namespaces of the lab. */
async function expectPage(page: Bun.Subprocess<'ignore', 'pipe', 'inherit'>): Promise<void> {
  const { value } = await page.stdout.getReader().read();
  const url = /http:\S+/.exec(new TextDecoder().decode(value))?.[0] ?? '';
  const seen = (await (await fetch(`${url}api/lab`)).json()) as LabView;
  expect(seen.nodes.map(({ agent, peers }) => [agent, peers.length])).toEqual([
    ['running', 1],
    ['running', 1],
  ]);
  const headers = { 'content-type': 'application/json', origin: new URL(url).origin };
  const body = '{"from":"n1-a","to":"n2-a"}';
  const walk = await fetch(`${url}api/walks`, { method: 'POST', headers, body });
  expect(await walk.json()).toMatchObject({ arrived: true });
}

function downAsNobody(nobody: readonly string[], env: NodeJS.ProcessEnv): void {
  outcomeOf([...nobody, ...LAB, 'down'], env);
}

test('where the kernel gives no namespaces, one line says why', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lab-refused-'));
  try {
    const refusing = join(folder, 'unshare');
    writeFileSync(
      refusing,
      '#!/bin/sh\necho "unshare: unshare failed: Operation not permitted" >&2\nexit 1\n',
    );
    chmodSync(refusing, 0o755);
    const { code, err } = outcomeOf([...LAB, '--name', NAME], {
      ...process.env,
      PATH: `${folder}:${process.env['PATH']}`,
    });
    expect(code).toBe(1);
    expect(err).toMatch(/^lab: needs root, or user namespaces for ordinary users: .+\n$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the program itself, called by an ordinary user, says what to do instead of failing in the middle', () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const call = (...args: string[]) => outcomeOf([...nobody, `${ROOT}dist/bin/flannelctl`, 'lab', ...args]);
  const refused = call('up', '--name', NAME);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('the lab needs root');
  expect(refused.err).toContain('npm run lab');
  up();
  expect(call('status', '--name', NAME).err).toContain('belongs to another user');
  expect(call('down', '--name', NAME).err).toContain('belongs to another user');
  expect(lab('verify', '--name', NAME).code).toBe(0);
});
