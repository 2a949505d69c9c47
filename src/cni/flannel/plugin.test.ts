import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import type { Command } from '../environment.ts';
import { CniError } from '../error.ts';
import type { JsonObject } from '../json.ts';
import { readNetConf, type Host, type Invocation } from '../plugin.ts';
import { flannelPlugin } from './plugin.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/flannel-plugin-`);
  mkdirSync(`${root}/run`);
  mkdirSync(`${root}/bin`);
  writeFileSync(
    `${root}/run/subnet.env`,
    'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
  );
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** A plugin that keeps what it is told, a line each: command, container, configuration; its answer is `says`. */
function installDelegate(says: { readonly stdout?: string; readonly code?: number } = {}): void {
  const { stdout = '', code = 0 } = says;
  writeFileSync(`${root}/answer`, stdout);
  const path = `${root}/bin/other`;
  const body = [
    `printf '%s %s ' "$CNI_COMMAND" "$CNI_CONTAINERID" >> ${root}/calls`,
    `cat >> ${root}/calls`,
    `echo >> ${root}/calls`,
    `cat ${root}/answer`,
    `exit ${code}`,
  ];
  writeFileSync(path, `#!/bin/sh\n${body.join('\n')}\n`);
  chmodSync(path, 0o755);
}

/** Commands and configurations that have reached the delegate. */
function calls(): { readonly command: string; readonly id: string; readonly conf: JsonObject }[] {
  const lines = existsSync(`${root}/calls`) ? readFileSync(`${root}/calls`, 'utf8').split('\n') : [];
  return lines.flatMap((line) => {
    const found = /^(\S+) (\S*) (\{.*)$/.exec(line);
    if (found === null) return [];
    const [, command = '', id = '', conf = ''] = found;
    return [{ command, id, conf: JSON.parse(conf) as JsonObject }];
  });
}

interface Clock {
  ms: number;
}

function invocation(
  command: Command,
  conf: JsonObject = {},
  { id = 'pod', clock = { ms: 0 } }: { id?: string; clock?: Clock } = {},
): Invocation {
  const host: Host = {
    env: { ...process.env, CNI_CONTAINERID: id },
    wallClock: () => Date.now(),
    now: () => clock.ms,
    sleep: (ms) => void (clock.ms += ms),
    random: (count) => new Uint8Array(count),
    untilExit: (resource) => resource,
    bootId: () => 'boot1',
    warn: () => {},
  };
  const raw = {
    cniVersion: '1.1.0',
    name: 'cbr0',
    type: 'flannel',
    subnetFile: `${root}/run/subnet.env`,
    dataDir: `${root}/data`,
    delegate: { type: 'other', master: 'eth7' },
    ...conf,
  };
  const args = {
    containerId: id,
    netns: '',
    ifName: 'eth0',
    extra: new Map(),
    path: ['/nowhere', `${root}/bin`],
  };
  return { command, args, conf: readNetConf(raw), host };
}

const RESULT = JSON.stringify({
  cniVersion: '1.1.0',
  ips: [{ address: '10.244.1.9/24' }],
  dns: { domain: 'd' },
});

test('ADD, CHECK and DEL reach the delegate with what ADD has kept', async () => {
  installDelegate({ stdout: RESULT });
  const runtimeConfig = {
    bandwidth: { ingressRate: 1 },
    dns: { servers: ['10.0.0.53'] },
    mac: '02:00:00:00:00:01',
  };
  const result = await flannelPlugin.add(invocation('ADD', { runtimeConfig }));
  expect(result.ips.map(({ address }) => address.toString())).toEqual(['10.244.1.9/24']);
  expect(result.dns.domain).toBe('d');
  expect(readdirSync(`${root}/data`)).toEqual(['pod']);
  expect((statSync(`${root}/data/pod`).mode & 0o777).toString(8)).toBe('600');
  // The agent's file has changed in the meantime: what ADD said counts.
  rmSync(`${root}/run/subnet.env`);
  const prevResult = JSON.parse(RESULT) as JsonObject;
  await flannelPlugin.check(invocation('CHECK', { prevResult }));
  await flannelPlugin.del(invocation('DEL', { prevResult }));
  expect(calls().map(({ command, id }) => `${command} ${id}`)).toEqual(['ADD pod', 'CHECK pod', 'DEL pod']);
  const [added, ...later] = calls().map(({ conf }) => conf);
  expect(added).toMatchObject({ type: 'other', master: 'eth7', mtu: 1450, name: 'cbr0', runtimeConfig });
  for (const conf of later) expect(conf).toEqual({ ...added, prevResult });
  expect(readdirSync(`${root}/data`)).toEqual([]);
});

test('GC and STATUS reach the delegate; GC takes the list with it and clears what ADD has kept', async () => {
  installDelegate({ stdout: RESULT });
  for (const id of ['a', 'b']) await flannelPlugin.add(invocation('ADD', {}, { id }));
  await flannelPlugin.add(invocation('ADD', { name: 'other-net' }, { id: 'c' }));
  // Of ADDs that were killed, and of a disk in trouble.
  writeFileSync(`${root}/data/.a`, readFileSync(`${root}/data/a`));
  writeFileSync(`${root}/data/.torn`, '{"type":"oth');
  writeFileSync(`${root}/data/damaged`, '');
  writeFileSync(`${root}/data/b-damaged`, '\0\0');
  const valid = [
    { containerID: 'b', ifname: 'eth0' },
    { containerID: 'b-damaged', ifname: 'eth0' },
  ];
  await flannelPlugin.gc(invocation('GC', { 'cni.dev/valid-attachments': valid }));
  expect(readdirSync(`${root}/data`).sort()).toEqual(['b', 'b-damaged', 'c']);
  await flannelPlugin.status(invocation('STATUS'));
  const [gc, status] = calls().slice(-2);
  expect(gc).toMatchObject({ command: 'GC', conf: { 'cni.dev/valid-attachments': valid, master: 'eth7' } });
  expect(status).toMatchObject({ command: 'STATUS', conf: { type: 'other' } });
});

test("the delegate's own error comes through with its code; DEL keeps what it needs for the next try", async () => {
  installDelegate({ stdout: RESULT });
  await flannelPlugin.add(invocation('ADD'));
  const error = { cniVersion: '1.1.0', code: 107, msg: 'link is busy', details: 'wait' };
  installDelegate({ stdout: JSON.stringify(error), code: 1 });
  const failure = async (work: unknown) => Promise.resolve(work).then(String, (reason: unknown) => reason);
  for (const call of [flannelPlugin.del(invocation('DEL')), flannelPlugin.check(invocation('CHECK'))]) {
    const reason = await failure(call);
    expect(reason).toMatchObject({ cniCode: 107, message: 'plugin other: link is busy', cure: 'wait' });
  }
  expect(readdirSync(`${root}/data`)).toEqual(['pod']);
  // A second ADD for the container fails: what the first one kept stays as it was.
  const kept = readFileSync(`${root}/data/pod`, 'utf8');
  const again = await failure(
    flannelPlugin.add(invocation('ADD', { delegate: { type: 'other', master: 'new' } })),
  );
  expect(again).toBeInstanceOf(CniError);
  expect(readFileSync(`${root}/data/pod`, 'utf8')).toBe(kept);
  // The first ADD of another one fails: nothing stays.
  await failure(flannelPlugin.add(invocation('ADD', {}, { id: 'new' })));
  expect(readdirSync(`${root}/data`)).toEqual(['pod']);
});

test('a delegate that is missing, no program, or says nonsense is named', async () => {
  const words = async () =>
    Promise.resolve(flannelPlugin.add(invocation('ADD'))).then(String, (reason: unknown) => reason);
  expect(await words()).toMatchObject({
    cniCode: 7,
    message: expect.stringMatching(/"other" in path \[\/nowhere:/),
  });
  writeFileSync(`${root}/bin/other`, 'no program', { mode: 0o755 });
  const noProgram = {
    cniCode: 5,
    message: expect.stringContaining(`failed to execute plugin ${root}/bin/other`),
  };
  expect(await words()).toMatchObject(noProgram);
  rmSync(`${root}/bin/other`);
  mkdirSync(`${root}/bin/other`);
  expect(await words()).toMatchObject(noProgram);
  rmSync(`${root}/bin/other`, { recursive: true });
  installDelegate({ stdout: 'hello' });
  expect(await words()).toMatchObject({ cniCode: 6, message: 'the result of plugin other is not JSON' });
  installDelegate({ stdout: '{"ips":[{"address":"10.0.0.1"}]}' });
  expect(await words()).toMatchObject({ message: expect.stringMatching(/address: "10.0.0.1"/) });
  installDelegate({ stdout: 'Segmentation fault', code: 139 });
  expect(await words()).toMatchObject({
    cniCode: 999,
    message: expect.stringMatching(/exit code 139.*Segmentation/),
  });
  expect(existsSync(`${root}/data/pod`)).toBe(false);
});

test('a result of an older version is understood, whatever version the list has', async () => {
  installDelegate({
    stdout: '{"cniVersion":"0.2.0","ip4":{"ip":"10.244.1.9/24","routes":[{"dst":"0.0.0.0/0"}]}}',
  });
  const { ips, routes } = await flannelPlugin.add(invocation('ADD', { cniVersion: '0.4.0' }));
  expect([ips.length, routes.length]).toEqual([1, 1]);
});

test('ADD waits five seconds and no longer, then says what the agent says', async () => {
  rmSync(`${root}/run/subnet.env`);
  const status = (object: object) => writeFileSync(`${root}/run/status.json`, JSON.stringify(object));
  const refusal = async () => {
    const clock = { ms: 0 };
    const reason = await Promise.resolve(flannelPlugin.add(invocation('ADD', {}, { clock }))).then(
      String,
      (error: unknown) => error,
    );
    expect(clock.ms).toBeWithin(5_000, 5_200);
    return reason as CniError;
  };
  expect(await refusal()).toMatchObject({
    cniCode: 11,
    cure: expect.stringContaining('see the log of its pod'),
  });
  status({ ready: false, reason: 'node n1: pod cidr not assigned' });
  expect(await refusal()).toMatchObject({
    cniCode: 11,
    cure: 'the agent says: node n1: pod cidr not assigned',
  });
  // Half a file is not one to go by.
  writeFileSync(`${root}/run/subnet.env`, 'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUB');
  expect(await refusal()).toMatchObject({ cniCode: 11, message: expect.stringContaining('FLANNEL_SUBNET') });
  expect(existsSync(`${root}/data`)).toBe(false);
});

test('STATUS: 50 before the agent is up, 51 when it was up and is not ready now', async () => {
  installDelegate();
  const status = async () =>
    Promise.resolve(flannelPlugin.status(invocation('STATUS'))).then(
      () => 0,
      (error: unknown) => (error as CniError).cniCode,
    );
  const says = (ready: boolean) =>
    writeFileSync(`${root}/run/status.json`, JSON.stringify({ ready, reason: 'the watch is dead' }));
  expect(await status()).toBe(0);
  says(false);
  expect(await status()).toBe(51);
  says(true);
  expect(await status()).toBe(0);
  // Only the store is away: what is known can be served.
  writeFileSync(`${root}/run/status.json`, '{"ready":false,"serving":true,"reason":"no word"}');
  expect(await status()).toBe(0);
  writeFileSync(`${root}/run/status.json`, '{');
  expect(await status()).toBe(0);
  rmSync(`${root}/run/subnet.env`);
  expect(await status()).toBe(50);
  says(false);
  expect(await status()).toBe(50);
});

test('DEL before ADD, twice, and with everything lost reaches the delegate each time', async () => {
  installDelegate();
  await flannelPlugin.del(invocation('DEL'));
  await flannelPlugin.del(invocation('DEL'));
  rmSync(`${root}/run`, { recursive: true });
  await flannelPlugin.del(invocation('DEL'));
  expect(
    calls().map(({ command, conf }) => `${command} ${String(conf['type'])} ${String(conf['name'])}`),
  ).toEqual(Array.from({ length: 3 }, () => 'DEL other cbr0'));
  expect(existsSync(`${root}/data`)).toBe(false);
});

test('the longest container ID is kept and removed', async () => {
  installDelegate({ stdout: RESULT });
  const id = 'a'.repeat(255);
  await flannelPlugin.add(invocation('ADD', {}, { id }));
  expect(readdirSync(`${root}/data`)).toEqual([id]);
  await flannelPlugin.del(invocation('DEL', {}, { id }));
  expect(readdirSync(`${root}/data`)).toEqual([]);
});

/** A tmpfs, of which nothing outlives the boot. */
function isMemory(path: string): boolean {
  return statfsSync(path).type === 0x01021994;
}

test('files of an earlier boot do not count on a file system that outlives it', async () => {
  installDelegate();
  // The recorded time of a boot is not to be had in a test: ages are relative to it.
  const uptime = Number.parseFloat(readFileSync('/proc/uptime', 'utf8'));
  const beforeBoot = Date.now() / 1000 - uptime - 3600;
  const age = (name: string) => utimesSync(`${root}/run/${name}`, beforeBoot, beforeBoot);
  const status = async () =>
    Promise.resolve(flannelPlugin.status(invocation('STATUS'))).then(
      () => '',
      (error: unknown) => (error as CniError).cure ?? 'no reason',
    );
  age('subnet.env');
  const expected = isMemory(root) ? '' : `${root}/run/subnet.env was written before this boot`;
  expect(await status()).toBe(expected);
  // This boot's agent had nothing new to write but its status.
  writeFileSync(`${root}/run/status.json`, '{"ready":true}');
  expect(await status()).toBe('');
  age('status.json');
  expect(await status()).toBe(expected);
});
