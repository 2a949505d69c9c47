import { readFileSync } from 'node:fs';

const root = new URL('../..', import.meta.url).pathname;

/** An example for `/etc/kube-flannel/net-conf.json`. */
const NET_CONF = { Network: '10.244.0.0/16', EnableNFTables: false, Backend: { Type: 'vxlan' } };

/** Names of the CNI plugins that the executable answers to. */
export const PLUGINS = ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'] as const;

/** What is packed, one version for one architecture. */
export interface Contents {
  readonly version: string;
  /** As Debian names it. */
  readonly architecture: string;
  /** Seconds since 1970; stands wherever a time does. */
  readonly time: number;
  readonly executable: Uint8Array;
}

/** A file of the sources below `packaging`, or another text of them. */
export function sourceText(path: string): string {
  return readFileSync(`${root}${path}`, 'utf8');
}

/** Files that an operator begins with, by name. */
export function examples(conflist: unknown): ReadonlyMap<string, string> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return new Map([
    ['net-conf.json', json(NET_CONF)],
    ['10-flannel.conflist', json(conflist)],
  ]);
}
