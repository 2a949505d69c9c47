import type { Family } from '#net/family.ts';
import type { TableKey } from '#nftables/objects.ts';
import type { Owner } from './forwarding.ts';

// How a container's rules are found again, in either backend.

/** The chains of table `cni_hostport` that hold containers' rules; each rule's comment is its container's ID. */
export const CONTAINER_CHAINS = ['hostports', 'hostip_hostports', 'masquerading'] as const;

/** Longest comment that nft takes, bytes. */
const COMMENT_LIMIT = 127;
/** Longest network name that is written as it is. */
const TAG_LIMIT = 100;

/** The table of the Go plugin's nftables backend: what one adds the other removes. */
export function tableOf(family: Family): TableKey {
  return { family: family === 'ipv4' ? 'ip' : 'ip6', name: 'cni_hostport' };
}

/** The comment of a container's rules: its ID, or what stands for one that nft would not take. */
export function commentOf({ containerId }: Pick<Owner, 'containerId'>): string {
  return containerId.length <= COMMENT_LIMIT ? containerId : sha512(containerId).slice(0, 64);
}

/** The Go plugin's rules do not say their network; ours do where nft does not show it, for GC. */
export function tagOf(network: string): string {
  return network.length <= TAG_LIMIT ? network : sha512(network).slice(0, 64);
}

/** What the Go plugin's chains in iptables begin with. */
export const CONTAINER_PREFIX = 'CNI-DN-';

/** The container's own chain in iptables: 28 characters are the most that the kernel takes. */
export function containerChain(owner: Owner): string {
  return CONTAINER_PREFIX + ownerHash(owner);
}

/** The chain that older versions of the Go plugin masqueraded in. */
export function oldSnatChain(owner: Owner): string {
  return `CNI-SN-${ownerHash(owner)}`;
}

function ownerHash({ network, containerId }: Owner): string {
  return sha512(network + containerId).slice(0, 21);
}

function sha512(text: string): string {
  return new Bun.CryptoHasher('sha512').update(text).digest('hex');
}
