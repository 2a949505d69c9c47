import type { ByteWriter } from '#base/bytes.ts';
import {
  bareText,
  forEachAttribute,
  text,
  writeAttribute,
  writeNested,
  type Codec,
  type Position,
  type RawAttribute,
} from '#netlink/attribute.ts';
import { bridgePortTable, type BridgePort } from './bridge-port.ts';
import { bridgeKind, type BridgeLink } from './bridge.ts';
import { macvlanKind, type MacvlanLink, type NewMacvlanLink } from './macvlan.ts';
import { tunKind, type TunLink } from './tun.ts';
import { writeVeth, type NewVethLink, type VethLink } from './veth.ts';
import { vxlanKind, type NewVxlanLink, type VxlanLink } from './vxlan.ts';

/** A kind without options of its own. */
export interface PlainLink {
  readonly type: 'ifb' | 'dummy';
}

/** A kind that this project has no table for. */
export interface OtherLink {
  readonly type: 'other';
  /** IFLA_INFO_KIND, e.g. `ipip` or `wireguard`. */
  readonly name: string;
  /** IFLA_INFO_DATA as it stands. */
  readonly data?: readonly RawAttribute[] | undefined;
}

/** What kind of virtual link it is; read from IFLA_LINKINFO. */
export type LinkKind = VxlanLink | BridgeLink | VethLink | MacvlanLink | TunLink | PlainLink | OtherLink;

/** What a link is made from. */
export type NewLinkKind = NewVxlanLink | BridgeLink | NewVethLink | NewMacvlanLink | PlainLink | OtherLink;

/** What may be changed of a link that is there. */
export type LinkKindChange = NewVxlanLink | BridgeLink | MacvlanLink;

/** `linux/if_link.h` IFLA_INFO_*. */
export const IFLA_INFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;

/** IFLA_LINKINFO for writing: the link's own kind, or what its bridge is to know. */
export interface LinkInfoSpec {
  readonly kind?: NewLinkKind | LinkKindChange | undefined;
  readonly port?: BridgePort | undefined;
}

export interface LinkInfo {
  readonly kind: LinkKind | undefined;
  /** Only when the link is the port of a bridge. */
  readonly port: BridgePort | undefined;
}

export const linkInfo: Codec<LinkInfoSpec, LinkInfo> = {
  nested: true,
  write(out, { kind, port }) {
    if (kind !== undefined) {
      const name = kind.type === 'other' ? kind.name : kind.type;
      writeAttribute(out, IFLA_INFO.KIND, () => bareText.write(out, name));
      if (hasData(kind)) writeNested(out, IFLA_INFO.DATA, () => writeData(out, kind));
    }
    if (port !== undefined) {
      writeAttribute(out, IFLA_INFO.SLAVE_KIND, () => bareText.write(out, 'bridge'));
      writeNested(out, IFLA_INFO.SLAVE_DATA, () => bridgePortTable.write(out, port));
    }
  },
  read(bytes, at) {
    const parts = new Map<number, { readonly payload: Uint8Array; readonly position: Position }>();
    forEachAttribute(bytes, at, (type, payload, position) => parts.set(type, { payload, position }));
    const name = (type: number) => {
      const part = parts.get(type);
      return part === undefined ? undefined : text.read(part.payload, part.position);
    };
    const empty = { payload: new Uint8Array(0), position: at };
    const data = parts.get(IFLA_INFO.DATA) ?? empty;
    const portData = parts.get(IFLA_INFO.SLAVE_DATA) ?? empty;
    const kind = name(IFLA_INFO.KIND);
    return {
      kind: kind === undefined ? undefined : readKind(kind, data.payload, data.position),
      port:
        name(IFLA_INFO.SLAVE_KIND) === 'bridge'
          ? bridgePortTable.read(portData.payload, portData.position)
          : undefined,
    };
  },
};

function hasData(kind: NewLinkKind | LinkKindChange): boolean {
  if (kind.type === 'ifb' || kind.type === 'dummy') return false;
  return kind.type !== 'other' || kind.data !== undefined;
}

function writeData(out: ByteWriter, kind: NewLinkKind | LinkKindChange): void {
  switch (kind.type) {
    case 'vxlan':
      return vxlanKind.write(out, kind);
    case 'bridge':
      return bridgeKind.write(out, kind);
    case 'veth':
      return writeVeth(out, kind);
    case 'macvlan':
      return macvlanKind.write(out, kind);
    case 'other':
      for (const { type, payload } of kind.data ?? []) writeAttribute(out, type, () => out.bytes(payload));
      return;
    case 'ifb':
    case 'dummy':
  }
}

function readKind(name: string, bytes: Uint8Array, at: Position): LinkKind {
  switch (name) {
    case 'vxlan':
      return vxlanKind.read(bytes, at);
    case 'bridge':
      return bridgeKind.read(bytes, at);
    case 'macvlan':
      return macvlanKind.read(bytes, at);
    case 'tun':
      return tunKind.read(bytes, at);
    case 'veth':
    case 'ifb':
    case 'dummy':
      return { type: name };
    default: {
      const data: RawAttribute[] = [];
      forEachAttribute(bytes, at, (type, payload) => data.push({ type, payload: payload.slice() }));
      return { type: 'other', name, data };
    }
  }
}
