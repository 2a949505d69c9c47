import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { createLogger } from '#base/log.ts';
import { testLink, testPeer } from '#host/fixtures.ts';
import type { OverlaySource } from './overlay-text.ts';
import { parseOverlay } from './overlay-parse.ts';
import { InspectSocket } from './socket.ts';

let folder: string;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/flannel-socket-`);
  lines = [];
});

afterEach(() => rmSync(folder, { recursive: true }));

const path = () => `${folder}/run/agent.sock`;
const ask = (route: string, init: RequestInit = {}) =>
  fetch(`http://agent${route}`, { ...init, unix: path() });

const OVERLAY: OverlaySource = {
  node: 'n1',
  backend: 'vxlan',
  devices: { links: [testLink()], blackholes: [], keepDevices: false },
  rules: undefined,
  refused: [],
  peers: [['n2', { entries: testPeer(2) }]],
};

function open(sources: { node?: string; overlay?: OverlaySource; asked?: () => void } = {}): InspectSocket {
  const log = createLogger({
    level: 'info',
    format: 'text',
    write: (line) => void lines.push(line),
    now: () => new Date(0),
  });
  const { node = 'n1', overlay, asked } = sources;
  const status = () => {
    asked?.();
    return { node };
  };
  return new InspectSocket({ path: path(), sources: { status, overlay: () => overlay }, log, watchMs: 20 });
}

test('only root can open it, nothing else is left in the folder, and in the end it is gone', async () => {
  {
    await using _socket = open();
    expect((lstatSync(path()).mode & 0o777).toString(8)).toBe('600');
    expect(lstatSync(path()).isSocket()).toBe(true);
    expect(readdirSync(`${folder}/run`)).toEqual(['agent.sock']);
  }
  expect(readdirSync(`${folder}/run`)).toEqual([]);
  expect(lines).toEqual([]);
});

test('answers questions and nothing else, and makes answers only when asked', async () => {
  let asked = 0;
  await using _socket = open({ overlay: OVERLAY, asked: () => void (asked += 1) });
  expect(asked).toBe(0);
  expect(await (await ask('/status')).json()).toEqual({ node: 'n1' });
  expect(asked).toBe(1);
  expect(parseOverlay(await (await ask('/plan')).text())).toMatchObject({
    node: 'n1',
    peers: new Map(OVERLAY.peers),
  });
  expect((await ask('/status', { method: 'POST' })).status).toBe(405);
  expect((await ask('/status', { method: 'DELETE' })).status).toBe(405);
  expect((await ask('/')).status).toBe(404);
  expect(asked).toBe(1);
});

test('before the subnet is known there is no plan, and the answer says so', async () => {
  await using _socket = open();
  const answer = await ask('/plan');
  expect([answer.status, await answer.text()]).toEqual([
    503,
    'the agent does not know the subnet of this node yet\n',
  ]);
});

test('a socket that a killed agent has left is replaced; one that took over is left alone', async () => {
  const killed = open({ node: 'old' });
  await using _next = open({ node: 'new' });
  expect(await (await ask('/status')).json()).toEqual({ node: 'new' });
  await killed[Symbol.asyncDispose]();
  expect(await (await ask('/status')).json()).toEqual({ node: 'new' });
});

test('what is no socket stays, is told to the log, and costs nothing else', async () => {
  mkdirSync(`${folder}/run`);
  writeFileSync(path(), 'precious');
  {
    await using _socket = open();
  }
  expect(existsSync(path())).toBe(true);
  expect(lines).toEqual([expect.stringContaining('is there and is no socket')]);
  rmSync(path());
  symlinkSync('/etc/passwd', path());
  {
    await using _socket = open();
  }
  expect(lstatSync(path()).isSymbolicLink()).toBe(true);
  expect(readdirSync(`${folder}/run`)).toEqual(['agent.sock']);
});

test('somebody who removes the folder does not make the agent deaf for long', async () => {
  await using _socket = open();
  rmSync(`${folder}/run`, { recursive: true });
  while (!existsSync(path())) await Bun.sleep(5);
  expect(await (await ask('/status')).json()).toEqual({ node: 'n1' });
  rmSync(path());
  writeFileSync(path(), 'precious');
  await Bun.sleep(100);
  rmSync(path());
  while (!existsSync(path())) await Bun.sleep(5);
  expect(await (await ask('/status')).json()).toEqual({ node: 'n1' });
});
