import type { ByteWriter } from '#base/bytes.ts';
import type { Netns } from '#ffi/netns.ts';
import type { Mac } from '#net/mac.ts';
import { attributeTable, text, u32, writeAttribute } from '#netlink/attribute.ts';
import { hardwareAddress } from './hardware-address.ts';
import { writeLinkHeader } from './header.ts';

/** `linux/veth.h`. */
export const VETH_INFO_PEER = 1;

/** The other end of a pair. */
export interface VethPeer {
  readonly name: string;
  readonly mac?: Mac | undefined;
  readonly mtu?: number | undefined;
  /** Follows in a request of its own (`Rtnetlink.createLink`): a peer cannot go up before it has its pair. */
  readonly up?: boolean | undefined;
  /** Where the peer is to be made; default: the namespace of the link itself. */
  readonly netns?: Netns | undefined;
}

export interface VethLink {
  readonly type: 'veth';
}

export interface NewVethLink extends VethLink {
  readonly peer: VethPeer;
}

/** The link attributes (IFLA_*) that a peer takes. */
const peerTable = attributeTable('peer', {
  mac: [1, hardwareAddress],
  name: [3, text],
  mtu: [4, u32],
  netnsFd: [28, u32],
});

/** VETH_INFO_PEER: an ifinfomsg with attributes of its own. */
export function writeVeth(out: ByteWriter, { peer }: NewVethLink): void {
  writeAttribute(out, VETH_INFO_PEER, () => {
    writeLinkHeader(out, {});
    peerTable.write(out, { name: peer.name, mac: peer.mac, mtu: peer.mtu, netnsFd: peer.netns?.fd });
  });
}
