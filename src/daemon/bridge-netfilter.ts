import type { Logger } from '#base/log.ts';
import { readSysctl, setSysctl } from '#host/sysctl.ts';
import type { Family } from '#net/family.ts';
import { childEnvironment } from '#traffic/exec.ts';

/** The sysctl that sends bridged packets through iptables, by family; there only with br_netfilter. */
export const BRIDGE_NETFILTER: Readonly<Record<Family, string>> = {
  ipv4: 'net/bridge/bridge-nf-call-iptables',
  ipv6: 'net/bridge/bridge-nf-call-ip6tables',
};

export interface BridgeNetfilterTools {
  /** The value of a sysctl by its path; undefined when it does not exist. */
  readonly read: (path: string) => string | undefined;
  /** False when it cannot be set. */
  readonly write: (path: string, value: string) => boolean;
  /** Loads a kernel module; false when it cannot. */
  readonly loadModule: (name: string) => boolean;
}

const SYSTEM: BridgeNetfilterTools = {
  read: readSysctl,
  write: setSysctl,
  loadModule(name) {
    try {
      return (
        Bun.spawnSync(['modprobe', name], {
          stdout: 'ignore',
          stderr: 'ignore',
          env: childEnvironment(process.env),
        }).exitCode === 0
      );
    } catch {
      // No modprobe here: a minimal image.
      return false;
    }
  },
};

/**
 * In iptables mode packets between pods of one bridge must pass iptables, or services answered by a pod of the same node break:
 * that is br_netfilter's work. Tries to load it; says loudly what is missing, but goes on: everything else works without.
 */
export function ensureBridgeNetfilter(
  families: readonly Family[],
  log: Logger,
  tools: BridgeNetfilterTools = SYSTEM,
): void {
  const missing = () => families.filter((family) => tools.read(BRIDGE_NETFILTER[family]) === undefined);
  if (missing().length > 0 && tools.loadModule('br_netfilter'))
    log.info('loaded the kernel module br_netfilter');
  for (const family of families) {
    const key = BRIDGE_NETFILTER[family];
    const value = tools.read(key);
    if (value === '1' || (value !== undefined && tools.write(key, '1'))) continue;
    const name = key.replaceAll('/', '.');
    const [found, cure] =
      value === undefined
        ? [
            'the kernel module br_netfilter is not loaded',
            'modprobe br_netfilter, or set EnableNFTables to true',
          ]
        : [`${name} is ${value}`, `sysctl -w ${name}=1`];
    log.warn('services between pods of one node will not work in iptables mode', { found, cure });
  }
}
