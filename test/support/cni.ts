import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { json, run } from './netns.ts';

export interface CniResultJson {
  readonly interfaces: readonly { readonly name: string; readonly mac: string; readonly sandbox?: string }[];
  readonly ips: readonly {
    readonly address: string;
    readonly gateway?: string;
    readonly interface: number;
  }[];
  readonly routes: readonly { readonly dst: string; readonly gw?: string }[];
}

export interface Call {
  readonly command: string;
  readonly containerId: string;
  /** Path; `''` for none. */
  readonly netns: string;
  readonly config: object;
  readonly ifName?: string;
  readonly args?: string;
  /** CNI_PATH; the folder of Debian's plugins by default. */
  readonly path?: string;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where Debian's containernetworking-plugins are. */
export const REFERENCE = '/usr/lib/cni';

function environment(call: Call): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    CNI_COMMAND: call.command,
    CNI_CONTAINERID: call.containerId,
    CNI_IFNAME: call.ifName ?? 'eth0',
    CNI_PATH: call.path ?? REFERENCE,
    ...(call.netns === '' ? {} : { CNI_NETNS: call.netns }),
    ...(call.args === undefined ? {} : { CNI_ARGS: call.args }),
  };
}

/** One call of a plugin in a process of its own; `command` is ours by name, or the path of another's executable. */
export async function callPlugin(command: string, call: Call): Promise<Outcome> {
  const entry = `${import.meta.dir}/cni-entry.ts`;
  const child = Bun.spawn(command.startsWith('/') ? [command] : [process.execPath, entry, command], {
    env: environment(call),
    stdin: Buffer.from(JSON.stringify(call.config)),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** As `callPlugin` for ADD; throws the plugin's words when it fails. */
export async function addPod(command: string, call: Omit<Call, 'command'>): Promise<CniResultJson> {
  const { code, stdout, stderr } = await callPlugin(command, { ...call, command: 'ADD' });
  if (code !== 0) throw new Error(`${command} ADD: ${code}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout) as CniResultJson;
}

/** As `addPod` for every other command; returns standard output. */
export async function must(command: string, call: Call): Promise<string> {
  const { code, stdout, stderr } = await callPlugin(command, call);
  if (code !== 0) throw new Error(`${command} ${call.command}: ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Puts plugin `name`, as it is in the sources, into folder `dir`, for others to execute. */
export function installOurs(dir: string, name: string): void {
  mkdirSync(dir, { recursive: true });
  const entry = `${import.meta.dir}/cni-entry.ts`;
  writeFileSync(`${dir}/${name}`, `#!/bin/sh\nexec '${process.execPath}' '${entry}' ${name}\n`, {
    mode: 0o755,
  });
}

/** The folders of a node: what the agent and the plugins write. */
export class NodeFiles implements Disposable {
  readonly dir: string;

  constructor() {
    this.dir = mkdtempSync(`${tmpdir()}/flannel-cni-`);
    mkdirSync(`${this.dir}/run`);
  }

  get subnetFile(): string {
    return `${this.dir}/run/subnet.env`;
  }

  /** What the agent writes; IPv6 too when `dual`. */
  writeSubnetEnv({ dual = true, subnet = '10.244.1.1/24', subnet6 = '2001:cafe:42:1::1/64' } = {}): void {
    const v6 = `FLANNEL_IPV6_NETWORK=2001:cafe:42::/56\nFLANNEL_IPV6_SUBNET=${subnet6}\n`;
    writeFileSync(
      this.subnetFile,
      `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=${subnet}\n${dual ? v6 : ''}FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n`,
    );
  }

  /** The plugin configuration as the classic list has it, with this node's folders. */
  flannelConfig(extra: object = {}): object {
    return {
      cniVersion: '1.0.0',
      name: 'cbr0',
      type: 'flannel',
      subnetFile: this.subnetFile,
      dataDir: `${this.dir}/flannel`,
      ipam: { dataDir: `${this.dir}/networks` },
      delegate: { hairpinMode: true, isDefaultGateway: true },
      ...extra,
    };
  }

  /** A `bridge` configuration that means the same to the original's plugins and to ours. */
  bridgeConfig(extra: object = {}): object {
    return {
      cniVersion: '1.0.0',
      name: 'cbr0',
      type: 'bridge',
      bridge: 'cni0',
      hairpinMode: true,
      isDefaultGateway: true,
      mtu: 1450,
      ipam: {
        type: 'host-local',
        dataDir: `${this.dir}/networks`,
        ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: '2001:cafe:42:1::/64' }]],
        routes: [{ dst: '10.244.0.0/16' }, { dst: '2001:cafe:42::/56' }],
      },
      ...extra,
    };
  }

  /** Files that hold an address or a container, by path below the node's folder. */
  reservations(): string[] {
    const { stdout } = run(['find', this.dir, '-type', 'f', '-not', '-path', '*/run/*']);
    const paths = stdout.split('\n').filter((path) => path !== '');
    return paths
      .map((path) => path.slice(this.dir.length + 1))
      .filter((path) => !/\/(lock|last_reserved_ip\.\d)$/.test(path))
      .sort();
  }

  read(path: string): string {
    return readFileSync(`${this.dir}/${path}`, 'utf8');
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export interface AddressJson {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
  readonly broadcast?: string;
  readonly scope: string;
  readonly tentative?: boolean;
}

/** `ip -j addr show dev <link>`; undefined: in this namespace. */
export function addresses(netns: string | undefined, link: string): AddressJson[] {
  const [entry] = json([
    'ip',
    ...(netns === undefined ? [] : ['-n', netns]),
    '-j',
    'addr',
    'show',
    'dev',
    link,
  ]);
  return (entry?.['addr_info'] ?? []) as AddressJson[];
}

/** The ports of cni0 with their details. */
export function ports(): Record<string, unknown>[] {
  return json(['ip', '-j', '-d', 'link', 'show', 'master', 'cni0']);
}

/** The error object of a failed call. */
export function errorOf(stdout: string) {
  return JSON.parse(stdout) as { code: number; msg: string; details?: string };
}
