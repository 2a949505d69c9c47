import type { Netns } from '#ffi/netns.ts';
import type { Mac } from '#net/mac.ts';
import { NLM_F, type NetlinkMessage, type NetlinkRequest } from '#netlink/message.ts';
import { IFF, RTM } from './constants.ts';
import type { BridgePort } from './link/bridge-port.ts';
import { LINK_HEADER, readLinkHeader, writeLinkHeader } from './link/header.ts';
import type { LinkKind, LinkKindChange, NewLinkKind } from './link/kind.ts';
import { linkTable, type LinkStats } from './link/table.ts';

export type { BridgePort } from './link/bridge-port.ts';
export type { LinkKind, LinkKindChange, NewLinkKind } from './link/kind.ts';
export type { LinkStats } from './link/table.ts';

/** How a link makes its IPv6 link-local address; a number when the mode has no name here. */
export type AddrGenMode = 'eui64' | 'none' | 'stable-privacy' | 'random';
/** `linux/if_link.h` IN6_ADDR_GEN_MODE_*, by position. */
export const ADDR_GEN_MODES: readonly AddrGenMode[] = ['eui64', 'none', 'stable-privacy', 'random'];

/** A network link as the kernel describes it (RTM_NEWLINK). */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  /** IFF_* */
  readonly flags: number;
  /** IFF_UP: administratively up. */
  readonly up: boolean;
  /** IFF_LOWER_UP: has a carrier. */
  readonly running: boolean;
  /** IF_OPER_* (RFC 2863). */
  readonly operState: number;
  /** ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none. */
  readonly hardwareType: number;
  readonly mac: Mac | undefined;
  /** Index of the lower link or the peer (IFLA_LINK), in the namespace `parentNetnsid` when that is given. */
  readonly parent: number | undefined;
  readonly parentNetnsid: number | undefined;
  /** Index of the bridge (or other master) it belongs to. */
  readonly master: number | undefined;
  readonly txQueueLength: number | undefined;
  readonly alias: string | undefined;
  readonly addrGenMode: AddrGenMode | number | undefined;
  /** How many users have asked for promiscuous mode. */
  readonly promiscuity: number;
  readonly kind: LinkKind | undefined;
  /** Only when the link is the port of a bridge. */
  readonly port: BridgePort | undefined;
  readonly stats?: LinkStats | undefined;
  /** IFLA_EVENT_*: why the kernel sends this notification, where it says so. */
  readonly event?: number | undefined;
}

/** What `newLink` makes a link from. */
export interface LinkSpec {
  readonly name: string;
  readonly kind: NewLinkKind;
  readonly mtu?: number | undefined;
  readonly mac?: Mac | undefined;
  readonly up?: boolean | undefined;
  /** Index of the bridge to join. */
  readonly master?: number | undefined;
  /** Where to make it; default: the namespace of the socket. */
  readonly netns?: Netns | undefined;
  readonly txQueueLength?: number | undefined;
  readonly alias?: string | undefined;
  readonly addrGenMode?: 'eui64' | 'none' | undefined;
}

/** What is to change; what is undefined stays. */
export interface LinkChange {
  readonly up?: boolean | undefined;
  readonly mtu?: number | undefined;
  readonly mac?: Mac | undefined;
  /** Index of the bridge to join; 0: leave the one it is in. */
  readonly master?: number | undefined;
  readonly name?: string | undefined;
  /** The namespace to move to. */
  readonly netns?: Netns | undefined;
  /** `''` takes the alias away. */
  readonly alias?: string | undefined;
  readonly txQueueLength?: number | undefined;
  readonly addrGenMode?: 'eui64' | 'none' | undefined;
  readonly promiscuous?: boolean | undefined;
  readonly kind?: LinkKindChange | undefined;
}

/** Decodes RTM_NEWLINK and RTM_DELLINK. */
export function readLink(message: NetlinkMessage): Link {
  const header = readLinkHeader(message.payload);
  const values = linkTable.read(message.payload.subarray(LINK_HEADER), { path: '', offset: LINK_HEADER });
  const mode = values.families?.inet6?.addrGenMode;
  return {
    index: header.index,
    name: values.name ?? '',
    mtu: values.mtu ?? 0,
    flags: header.flags,
    up: (header.flags & IFF.UP) !== 0,
    running: (header.flags & IFF.LOWER_UP) !== 0,
    operState: values.operState ?? 0,
    hardwareType: header.hardwareType,
    mac: values.mac,
    parent: values.parent,
    parentNetnsid: values.parentNetnsid,
    master: values.master,
    txQueueLength: values.txQueueLength,
    alias: values.alias,
    addrGenMode: mode === undefined ? undefined : (ADDR_GEN_MODES[mode] ?? mode),
    promiscuity: values.promiscuity ?? 0,
    kind: values.info?.kind,
    port: values.info?.port,
    stats: values.stats,
    event: values.event,
  };
}

/** RTM_GETLINK of one link, by index or name. */
export function getLink(ref: number | string): NetlinkRequest {
  return {
    type: RTM.GETLINK,
    flags: 0,
    get what() {
      return `read link ${ref}`;
    },
    write(out) {
      writeLinkHeader(out, { index: typeof ref === 'number' ? ref : 0 });
      if (typeof ref === 'string') linkTable.write(out, { name: ref });
    },
  };
}

/** RTM_GETLINK of all links. */
export function dumpLinks(): NetlinkRequest {
  return { type: RTM.GETLINK, flags: 0, what: 'read links', write: (out) => writeLinkHeader(out, {}) };
}

/**
 * RTM_NEWLINK that makes a link; EEXIST when the name is taken. The kernel takes neither alias nor address generation
 * mode here: `afterCreation` has what must follow.
 */
export function newLink(spec: LinkSpec): NetlinkRequest {
  const { kind } = spec;
  return {
    type: RTM.NEWLINK,
    flags: NLM_F.CREATE | NLM_F.EXCL,
    get what() {
      return `create ${kind.type === 'other' ? kind.name : kind.type} link ${spec.name}`;
    },
    write(out) {
      writeLinkHeader(out, { up: spec.addrGenMode === undefined ? spec.up : undefined });
      linkTable.write(out, {
        ...attributesOf({ ...spec, alias: undefined, addrGenMode: undefined }),
        info: { kind },
        parent: kind.type === 'macvlan' && 'parent' in kind ? kind.parent : undefined,
      });
    },
  };
}

/**
 * The changes that complete what `newLink` made, in order: the address generation mode comes before the link goes up,
 * since going up makes the link-local address, and the kernel handles IFF_UP first within one message.
 */
export function afterCreation({ alias, addrGenMode, up }: LinkSpec): LinkChange[] {
  const changes: LinkChange[] = [];
  if (alias !== undefined) changes.push({ alias });
  if (addrGenMode !== undefined) changes.push({ addrGenMode });
  if (addrGenMode !== undefined && up !== undefined) changes.push({ up });
  return changes;
}

/** RTM_NEWLINK that changes a link. */
export function setLink(index: number, change: LinkChange): NetlinkRequest {
  return {
    type: RTM.NEWLINK,
    flags: 0,
    get what() {
      return `change link ${index} (${Object.keys(change).join(', ')})`;
    },
    write(out) {
      writeLinkHeader(out, { index, up: change.up, promiscuous: change.promiscuous });
      linkTable.write(out, {
        ...attributesOf(change),
        info: change.kind === undefined ? undefined : { kind: change.kind },
      });
    },
  };
}

/** RTM_NEWLINK that changes the options of a bridge port. */
export function setBridgePort(index: number, port: BridgePort): NetlinkRequest {
  return {
    type: RTM.NEWLINK,
    flags: 0,
    get what() {
      return `change bridge port ${index} (${Object.keys(port).join(', ')})`;
    },
    write(out) {
      writeLinkHeader(out, { index });
      linkTable.write(out, { info: { port } });
    },
  };
}

/** RTM_DELLINK by index or name; the peer of a veth pair goes too. */
export function deleteLink(ref: number | string): NetlinkRequest {
  return {
    type: RTM.DELLINK,
    flags: 0,
    get what() {
      return `delete link ${ref}`;
    },
    write(out) {
      writeLinkHeader(out, { index: typeof ref === 'number' ? ref : 0 });
      if (typeof ref === 'string') linkTable.write(out, { name: ref });
    },
  };
}

function attributesOf(spec: LinkSpec | LinkChange) {
  const { name, mtu, mac, master, netns, txQueueLength, alias, addrGenMode } = spec;
  return {
    name,
    mtu,
    mac,
    master,
    txQueueLength,
    alias,
    netnsFd: netns?.fd,
    families:
      addrGenMode === undefined ? undefined : { inet6: { addrGenMode: ADDR_GEN_MODES.indexOf(addrGenMode) } },
  };
}
