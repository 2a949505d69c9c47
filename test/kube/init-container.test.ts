import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { daemonSetSpec, dataOf, manifestObjects, sourcePath, theOnly } from '../support/packaging.ts';

const objects = manifestObjects('packaging/kubernetes/kube-flannel.yml');
const [init] = daemonSetSpec(theOnly(objects, 'DaemonSet')).template.spec.initContainers;
const FLANNELCTL = sourcePath('dist/bin/flannelctl');
/** Who owns what an archive of plugins is unpacked to by root: the machine's user that built it. */
const BUILDER = 1001;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'flannel-init-'));
  mkdirSync(`${folder}/bin`);
  chownSync(`${folder}/bin`, BUILDER, BUILDER);
  writeFileSync(`${folder}/list.json`, dataOf(theOnly(objects, 'ConfigMap'))['cni-conf.json'] ?? '');
});
afterEach(() => rmSync(folder, { recursive: true }));

function install(capabilities: readonly string[]) {
  const bounds = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
  const folders = ['--bin-dir', `${folder}/bin`, '--conf-dir', `${folder}/net.d`];
  const argv = [FLANNELCTL, 'install-cni', ...folders, '--conf-file', `${folder}/list.json`];
  const limits = ['setpriv', `--bounding-set=${bounds}`, '--inh-caps=-all', '--no-new-privs'];
  const done = Bun.spawnSync([...limits, ...argv], { stdout: 'pipe', stderr: 'pipe', env: {} });
  return { code: done.exitCode, err: done.stderr.toString() };
}

test("its capabilities do for a folder of plugins that is not root's, and without them it says what is wrong", () => {
  expect(install([])).toEqual({ code: 1, err: expect.stringContaining(`${folder}/bin cannot be written`) });
  expect(readdirSync(folder)).not.toContain('net.d');
  expect(install(init?.securityContext?.capabilities?.add ?? [])).toEqual({ code: 0, err: '' });
  expect(readdirSync(`${folder}/bin`)).toContain('bridge');
  expect(readdirSync(`${folder}/net.d`)).toEqual(['10-flannel.conflist']);
});
