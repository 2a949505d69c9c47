import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { ensureNodeBuild, nodeFolder } from '../../scripts/node/build.mjs';
import { BIN } from '../support/cni-machine.ts';
import { callPlugin, NodeFiles, type Call } from '../support/cni.ts';
import { describeInNetns, NamedNetns, run } from '../support/netns.ts';

setDefaultTimeout(120_000);
const NODE = nodeFolder('amd64');

beforeAll(() => {
  expect(ensureNodeBuild('amd64')).toBe(true);
});

/** A text without what differs from call to call: names, addresses and folders that are made by chance. */
function settled(text: string, ...made: readonly string[]): string {
  const known = made.reduce((rest, name) => rest.replaceAll(name, '<made>'), text);
  return known.replaceAll(/veth[0-9a-f]{8}/g, '<veth>').replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, '<mac>');
}

/** What every call of a pod's life answers, and what the kernel holds in between. */
async function life(folder: string): Promise<string[]> {
  using pod = NamedNetns.create('flnode');
  using files = new NodeFiles();
  const said: string[] = [];
  const call = async (plugin: string, more: Partial<Call> & Pick<Call, 'command' | 'config'>) => {
    const given = { containerId: 'c1', netns: pod.path, path: folder, ...more };
    const { code, stdout, stderr } = await callPlugin(`${folder}/${plugin}`, given);
    said.push(`${plugin} ${more.command}: ${code} ${settled(stdout + stderr, pod.path, files.dir)}`);
    return code === 0 && stdout !== '' ? (JSON.parse(stdout) as object) : {};
  };
  const kernel = (what: string, ...argv: readonly string[]) =>
    said.push(
      settled(
        `${what}: ${pod.exec(['ip', '-o', ...argv]).replaceAll(/ (valid_lft|@if\d+|link-netnsid).*| tentative/g, '')}`,
      ),
    );

  const lo = { cniVersion: '1.0.0', name: 'lo', type: 'loopback' };
  const loResult = await call('loopback', { command: 'ADD', config: lo, ifName: 'lo' });
  await call('loopback', { command: 'CHECK', config: { ...lo, prevResult: loResult }, ifName: 'lo' });
  const bridge = files.bridgeConfig({ ipMasq: true, ipMasqBackend: 'nftables' });
  const result = await call('bridge', { command: 'ADD', config: bridge });
  kernel('addresses', '-4', 'address');
  kernel('routes', 'route');
  await call('bridge', { command: 'CHECK', config: { ...bridge, prevResult: result } });
  const ports = {
    cniVersion: '1.0.0',
    name: 'cbr0',
    type: 'portmap',
    backend: 'nftables',
    capabilities: { portMappings: true },
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    prevResult: result,
  };
  await call('portmap', { command: 'ADD', config: ports });
  said.push(settled(run(['nft', '-s', 'list', 'ruleset']).stdout));
  await call('portmap', { command: 'CHECK', config: ports });
  await call('portmap', { command: 'DEL', config: ports });
  await call('bridge', { command: 'ADD', config: bridge });
  await call('bridge', { command: 'DEL', config: bridge });
  await call('bridge', { command: 'CHECK', config: { ...bridge, prevResult: result } });
  await call('bridge', { command: 'ADD', config: { ...bridge, bridge: 'a name that is too long' } });
  await call('host-local', { command: 'ADD', config: { ...bridge, type: 'host-local' } });
  await call('host-local', { command: 'DEL', config: { ...bridge, type: 'host-local' } });
  await call('loopback', { command: 'DEL', config: lo, ifName: 'lo' });
  run(['ip', 'link', 'delete', 'cni0']);
  run(['nft', 'flush', 'ruleset']);
  return said;
}

describeInNetns(
  import.meta.path,
  'plugins on Node beside those on Bun',
  () => {
    test('the same answers to the byte, the same in the kernel', async () => {
      const bun = await life(BIN);
      const node = await life(NODE);
      expect(node).toEqual(bun);
      expect(bun.filter((line) => / (ADD|CHECK|DEL): 0 /.test(line)).length).toBeGreaterThan(9);
    });
  },
  { timeoutMs: 120_000 },
);

test.each([
  'flannelctl --version',
  'flannelctl',
  'flannelctl lba',
  'flanneld --help',
  'flanneld --kube-subnet-mgrr',
  'bridge --version',
])('%s: the same words and exit code', (line) => {
  expect(run(`${NODE}/${line}`.split(' '))).toEqual(run(`${BIN}/${line}`.split(' ')));
});

test('it obeys no NODE_OPTIONS', () => {
  const argv = ['env', 'NODE_OPTIONS=--require=/nowhere/evil.cjs', `${NODE}/flannelctl`, '--version'];
  expect(run(argv)).toMatchObject({ code: 0, stderr: '' });
});
