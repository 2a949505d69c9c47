import { afterAll, expect, test } from 'bun:test';
import { copyFileSync, linkSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { PROGRAMS_VARIABLE } from '#lab/process/run.ts';
import { ensureNodeBuild, nodeFolder } from '../../scripts/node/build.mjs';
import { BIN } from '../support/cni-machine.ts';
import { nameOfRun } from '../support/netns.ts';

const folder = mkdtempSync(`${tmpdir()}/flannel-node-agent-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('agents and plugins on Node carry a lab, whose servers are on Bun', () => {
  expect(ensureNodeBuild('amd64')).toBe(true);
  copyFileSync(`${nodeFolder('amd64')}/flannel`, `${folder}/flannel`);
  for (const name of ['flanneld', 'bridge', 'host-local', 'loopback', 'portmap'])
    linkSync(`${folder}/flannel`, `${folder}/${name}`);
  copyFileSync(`${BIN}/flannelctl`, `${folder}/flannelctl`);
  const argv = [`${folder}/flannelctl`, 'lab', '--name', nameOfRun('node'), '--nodes', '2'];
  const done = Bun.spawnSync(argv, {
    env: { ...process.env, [PROGRAMS_VARIABLE]: folder },
    timeout: 100_000,
  });
  const text = done.stdout.toString() + done.stderr.toString();
  expect([done.exitCode, text]).toEqual([0, expect.stringContaining('every check held')]);
}, 120_000);
