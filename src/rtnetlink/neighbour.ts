import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import { NLM_F, type NetlinkMessage, type NetlinkRequest } from '#netlink/message.ts';
import { familyNumber, familyOf, NUD, RTM } from './constants.ts';
import { NEIGHBOUR_HEADER, neighbourTable, readNeighbourHeader, writeNeighbourHeader } from './ndmsg.ts';

/** An ARP or neighbour discovery entry. */
export interface Neighbour {
  readonly link: number;
  readonly ip: Ip;
  readonly mac: Mac | undefined;
  /** NUD_* */
  readonly state: number;
  /** NTF_* */
  readonly flags: number;
}

export interface NeighbourSpec {
  readonly link: number;
  readonly ip: Ip;
  readonly mac: Mac;
  /** Default NUD_PERMANENT. */
  readonly state?: number | undefined;
  readonly flags?: number | undefined;
}

/** Decodes RTM_NEWNEIGH and RTM_DELNEIGH; undefined for other families than IP. */
export function readNeighbour(message: NetlinkMessage): Neighbour | undefined {
  const { family, link, state, flags } = readNeighbourHeader(message.payload);
  if (familyOf(family) === undefined) return undefined;
  const at = { path: '', offset: NEIGHBOUR_HEADER };
  const { dst, mac } = neighbourTable.read(message.payload.subarray(NEIGHBOUR_HEADER), at);
  return dst === undefined ? undefined : { link, ip: dst, mac, state, flags };
}

/** RTM_GETNEIGH; the kernel filters by link. */
export function dumpNeighbours(filter: { readonly link?: number; readonly family: Family }): NetlinkRequest {
  return {
    type: RTM.GETNEIGH,
    flags: 0,
    what: 'read neighbours',
    write(out) {
      writeNeighbourHeader(out, { family: familyNumber(filter.family) });
      neighbourTable.write(out, { ifindex: filter.link });
    },
  };
}

/** RTM_GETNEIGH of one entry; ENOENT when it is not there. Since Linux 5.0. */
export function getNeighbour({ link, ip }: Pick<Neighbour, 'link' | 'ip'>): NetlinkRequest {
  return {
    type: RTM.GETNEIGH,
    flags: 0,
    get what() {
      return `read neighbour ${ip} of link ${link}`;
    },
    write(out) {
      writeNeighbourHeader(out, { family: familyNumber(ip.family), link });
      neighbourTable.write(out, { dst: ip });
    },
  };
}

/** RTM_NEWNEIGH. `replace`: an entry that is there gets the new address and state; else it is EEXIST. */
export function addNeighbour(
  spec: NeighbourSpec,
  options: { readonly replace?: boolean } = {},
): NetlinkRequest {
  const { link, ip, mac, state = NUD.PERMANENT, flags } = spec;
  return {
    type: RTM.NEWNEIGH,
    flags: NLM_F.CREATE | (options.replace === true ? NLM_F.REPLACE : NLM_F.EXCL),
    get what() {
      return `${options.replace === true ? 'set' : 'add'} neighbour ${ip} ${mac} on link ${link}`;
    },
    write(out) {
      writeNeighbourHeader(out, { family: familyNumber(ip.family), link, state, flags });
      neighbourTable.write(out, { dst: ip, mac });
    },
  };
}

/** RTM_DELNEIGH; ENOENT when it is not there. */
export function deleteNeighbour(spec: Pick<Neighbour, 'link' | 'ip'>): NetlinkRequest {
  const { link, ip } = spec;
  return {
    type: RTM.DELNEIGH,
    flags: 0,
    get what() {
      return `delete neighbour ${ip} of link ${link}`;
    },
    write(out) {
      writeNeighbourHeader(out, { family: familyNumber(ip.family), link });
      neighbourTable.write(out, { dst: ip });
    },
  };
}
