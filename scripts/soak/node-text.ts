import type { KubeObject } from '#lab/api/object.ts';
import type { Family } from '#net/family.ts';
import { PREFIX } from './addresses.ts';

const DATA: Readonly<Record<Family, string>> = { ipv4: 'backend-data', ipv6: 'backend-v6-data' };
const PUBLIC: Readonly<Record<Family, string>> = { ipv4: 'public-ip', ipv6: 'public-ipv6' };

/** The MAC in `backend-data`, undefined when the annotation does not say one. */
export function vtepMacOf(node: KubeObject, family: Family): string | undefined {
  try {
    const data = JSON.parse(annotation(node, DATA[family]) ?? 'null') as { VtepMAC?: unknown } | null;
    return typeof data?.VtepMAC === 'string' ? data.VtepMAC : undefined;
  } catch {
    return undefined;
  }
}

export function publicIpOf(node: KubeObject, family: Family): string | undefined {
  return annotation(node, PUBLIC[family]);
}

/** The annotation `<prefix>/<key>`. */
export function annotation(node: KubeObject, key: string): string | undefined {
  return node.metadata.annotations?.[`${PREFIX}/${key}`];
}

export function podCidrOf(peer: KubeObject, family: Family): string | undefined {
  const list = peer.spec?.['podCIDRs'];
  const texts = Array.isArray(list) ? list.filter((cidr) => typeof cidr === 'string') : [];
  return texts.find((cidr) => cidr.includes(':') === (family === 'ipv6'));
}

/** Annotations of a Node that no agent writes. */
export interface Published {
  readonly type: string;
  /** VTEP MAC, where the backend has one. */
  readonly mac: string;
  readonly addresses: Readonly<Record<Family, string>>;
}

/** What an agent with these facts would publish. */
export function publishedBy(
  families: readonly Family[],
  { type, mac, addresses }: Published,
): Record<string, string> {
  const data = type === 'vxlan' ? JSON.stringify({ VNI: 1, VtepMAC: mac }) : 'null';
  const all: Record<string, string> = { 'kube-subnet-manager': 'true', 'backend-type': type };
  for (const family of families) {
    all[PUBLIC[family]] = addresses[family];
    all[DATA[family]] = data;
  }
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [`${PREFIX}/${key}`, value]));
}
