// What a client of etcd costs: ours on the JSON gateway, and the npm package etcd3 (gRPC), each in a process of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdCluster } from '../../test/support/etcd.ts';
import { must, ms, printTable, summarise } from './report.ts';

const ROUNDS = 5;
/** Prints ms to a standing watch, and anonymous memory a second later. */
const REPORT = `
const took = performance.now() - start;
await Bun.sleep(1000);
Bun.gc(true);
const anonymous = /RssAnon:\\s+(\\d+)/.exec(await Bun.file('/proc/self/status').text())[1];
console.log(took, anonymous);
process.exit();`;

const GATEWAY = `
const start = performance.now();
const { createEtcdClient } = await import('#clients/etcd/client.ts');
const client = createEtcdClient({ endpoints: [process.argv[2]], username: '' });
const { signal } = new AbortController();
await client.get('/bench/config', signal);
await new Promise((created) => void client.watch({ prefix: '/bench/', revision: 0n, signal, onEvents() {}, onCreated: created }));`;

const ETCD3 = `
const start = performance.now();
const { Etcd3 } = await import('etcd3');
const client = new Etcd3({ hosts: process.argv[2] });
await client.get('/bench/config');
await client.watch().prefix('/bench/').create();`;

const BARE = 'const start = performance.now();';

function measure(program: string, endpoint: string): { took: number; anonymous: number } {
  const [took = 0, anonymous = 0] = must([process.execPath, program, endpoint]).trim().split(' ').map(Number);
  return { took, anonymous };
}

must(['ip', 'link', 'set', 'lo', 'up']);
const folder = mkdtempSync(join(tmpdir(), 'flannel-bench-etcd-'));
const inside = join(import.meta.dir, `.etcd-gateway-${process.pid}.ts`);
const etcd = await EtcdCluster.start();
try {
  writeFileSync(inside, GATEWAY + REPORT);
  writeFileSync(join(folder, 'bare.ts'), BARE + REPORT);
  writeFileSync(join(folder, 'etcd3.ts'), ETCD3 + REPORT);
  const programs: [string, string][] = [
    ['an empty program', join(folder, 'bare.ts')],
    ['JSON gateway (ours)', inside],
  ];
  // The namespace of this program has no way out; the registry is asked from outside.
  const installed = Bun.spawnSync([
    'nsenter',
    `--net=/proc/${process.ppid}/ns/net`,
    'npm',
    'install',
    '--silent',
    '--prefix',
    folder,
    'etcd3@1.1.2',
  ]);
  if (installed.exitCode === 0) programs.push(['etcd3 1.1.2 (gRPC)', join(folder, 'etcd3.ts')]);
  else console.error('bench: npm cannot install etcd3; only ours is measured');
  const rows = [['client', 'to a standing watch, ms', 'anonymous memory, MB']];
  for (const [name, program] of programs) {
    const found = Array.from({ length: ROUNDS }, () => measure(program, etcd.endpoints[0] ?? ''));
    const took = summarise(found.map((each) => each.took)).median;
    const anonymous = summarise(found.map((each) => each.anonymous)).median;
    rows.push([name, ms(took), (anonymous / 1024).toFixed(1)]);
  }
  printTable(rows);
} finally {
  await etcd[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
  rmSync(inside, { force: true });
}
