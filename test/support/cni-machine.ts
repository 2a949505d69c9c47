import { mkdirSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { must, run } from './netns.ts';

/** The folder of the compiled programs. */
export const BIN = new URL('../../dist/bin', import.meta.url).pathname;
const PLUGINS = ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'];
/** A folder that every machine has and nothing in these tests needs; in the block's own mount namespace it is a tmpfs. */
export const WORK = '/mnt/work';

/** Two entries, as the original's manifest has them. */
export const CLASSIC_LIST = {
  name: 'cbr0',
  cniVersion: '0.3.1',
  plugins: [
    { type: 'flannel', delegate: { hairpinMode: true, isDefaultGateway: true } },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

/**
 * Puts layers over the folders that a node's programs write: /etc, /opt and /var/lib stay readable as they are, /run is
 * empty, and all that is written goes with the mount namespace. Only in one that is the block's own.
 */
export function coverFolders(): void {
  must(['mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
  for (const [index, folder] of ['/etc', '/opt', '/var/lib'].entries()) {
    const [upper, work] = [`/mnt/upper${index}`, `/mnt/scratch${index}`];
    mkdirSync(upper);
    mkdirSync(work);
    const options = `lowerdir=${folder},upperdir=${upper},workdir=${work}`;
    must(['mount', '-t', 'overlay', 'overlay', '-o', options, folder]);
  }
  must(['mount', '-t', 'tmpfs', 'tmpfs', '/run']);
  for (const path of ['/run/netns', '/run/flannel', '/etc/cni/net.d', '/opt/cni/bin', WORK])
    mkdirSync(path, { recursive: true });
  for (const name of readdirSync('/etc/cni/net.d')) unlinkSync(`/etc/cni/net.d/${name}`);
}

/** Makes the machine a node as an administrator does: plugins, network list, and what the agent says. */
export function installNode({ list = CLASSIC_LIST, subnet = '10.244.1.1/24' } = {}): void {
  for (const name of PLUGINS) {
    run(['rm', '-f', `/opt/cni/bin/${name}`]);
    symlinkSync(`${BIN}/${name}`, `/opt/cni/bin/${name}`);
  }
  writeFileSync('/etc/cni/net.d/10-flannel.conflist', JSON.stringify(list));
  writeSubnetEnv(subnet);
}

export function writeSubnetEnv(subnet = '10.244.1.1/24'): void {
  writeFileSync(
    '/run/flannel/subnet.env',
    `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=${subnet}\nFLANNEL_IPV6_NETWORK=2001:cafe:42::/56\n` +
      'FLANNEL_IPV6_SUBNET=2001:cafe:42:1::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
  );
}

/** A root file system with busybox and nothing else; its web server serves `/www`. */
export function makeRootfs(): string {
  const rootfs = `${WORK}/rootfs`;
  for (const folder of ['bin', 'www', 'etc']) mkdirSync(`${rootfs}/${folder}`, { recursive: true });
  must(['cp', '/bin/busybox', `${rootfs}/bin/busybox`]);
  for (const name of ['sh', 'ip', 'ping', 'sleep', 'cat', 'wget', 'httpd', 'nc'])
    run(['ln', '-sf', 'busybox', `${rootfs}/bin/${name}`]);
  writeFileSync(`${rootfs}/www/index.html`, 'a pod\n');
  return rootfs;
}

/** What pods have left on this machine, in words: empty when there is nothing. The bridge and the locks stay by design. */
export function traces(): string[] {
  const links = must(['ip', '-br', 'link', 'show', 'type', 'veth']).split('\n');
  const files = run(['find', '/var/lib/cni', '-type', 'f']).stdout.split('\n');
  const rules = must(['nft', 'list', 'ruleset']).split('\n');
  const neighbours = run(['ip', 'neigh', 'show', 'dev', 'cni0']).stdout.split('\n');
  return [
    ...links.map((line) => `link ${line.trim()}`),
    ...files.filter((path) => !/\/(lock|last_reserved_ip\.\d)$/.test(path)).map((path) => `file ${path}`),
    // Of a rule, not of a table or chain, which are everybody's.
    ...rules
      .filter((line) => /\S.* comment "|\bCNI-(DN|SN)-|chain CNI-[0-9a-f]{24}/.test(line))
      .map((line) => `rule ${line.trim()}`),
    ...neighbours.filter((line) => /^(10\.244|2001:cafe)/.test(line)).map((line) => `neighbour ${line}`),
    ...readdirSync('/run/netns').map((name) => `namespace ${name}`),
  ].filter((line) => !/^(link|file) $/.test(line));
}
