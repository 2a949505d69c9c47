import {
  attributeTable,
  be16,
  be32,
  bool8,
  flag,
  ip,
  raw,
  u32,
  u8,
  type Codec,
  type RawAttribute,
} from '#netlink/attribute.ts';
import type { Ip } from '#net/ip.ts';

/** `linux/if_link.h` IFLA_VXLAN_*. */
export const vxlanTable = attributeTable('vxlan', {
  vni: [1, u32],
  group: [2, ip],
  parent: [3, u32],
  local: [4, ip],
  ttl: [5, u8],
  tos: [6, u8],
  learning: [7, bool8],
  ageing: [8, u32],
  limit: [9, u32],
  portRange: [10, raw],
  proxy: [11, bool8],
  rsc: [12, bool8],
  l2miss: [13, bool8],
  l3miss: [14, bool8],
  port: [15, be16],
  group6: [16, ip],
  local6: [17, ip],
  udpCsum: [18, bool8],
  udpZeroCsum6Tx: [19, bool8],
  udpZeroCsum6Rx: [20, bool8],
  gbp: [23, flag],
  collectMetadata: [25, bool8],
  label: [26, be32],
  gpe: [27, flag],
  df: [29, u8],
});

interface VxlanOptions {
  /** Source address of the outer packets. */
  readonly local?: Ip | undefined;
  /** Default destination: a peer or a multicast group (IFLA_VXLAN_GROUP). */
  readonly remote?: Ip | undefined;
  /** Index of the underlay link. */
  readonly parent?: number | undefined;
  readonly gbp?: boolean | undefined;
  readonly udpCsum?: boolean | undefined;
  readonly udpZeroCsum6Tx?: boolean | undefined;
  readonly udpZeroCsum6Rx?: boolean | undefined;
  /** 0: the kernel's default. */
  readonly ttl?: number | undefined;
  readonly tos?: number | undefined;
  /** Seconds until a learned entry goes. */
  readonly ageing?: number | undefined;
  /** Largest number of FDB entries, 0: no limit. */
  readonly limit?: number | undefined;
  readonly proxy?: boolean | undefined;
  readonly l2miss?: boolean | undefined;
  readonly l3miss?: boolean | undefined;
  /** Flow based ("external") tunnel. */
  readonly collectMetadata?: boolean | undefined;
  /** Attributes not named here, as they came. */
  readonly unknown?: readonly RawAttribute[] | undefined;
}

/** A VXLAN tunnel as the kernel describes it (RFC 7348). */
export interface VxlanLink extends VxlanOptions {
  readonly type: 'vxlan';
  readonly vni: number;
  /** UDP destination port. */
  readonly port: number;
  readonly learning: boolean;
}

/** What a VXLAN tunnel is made from; what is left out gets the kernel's default (port 8472, learning on). */
export interface NewVxlanLink extends VxlanOptions {
  readonly type: 'vxlan';
  readonly vni: number;
  readonly port?: number | undefined;
  readonly learning?: boolean | undefined;
}

export const vxlanKind: Codec<NewVxlanLink, VxlanLink> = {
  nested: true,
  write(out, kind) {
    const { type: _type, local, remote, gbp, unknown = [], ...rest } = kind;
    vxlanTable.write(out, {
      ...rest,
      ...(remote?.family === 'ipv6' ? { group6: remote } : { group: remote }),
      ...(local?.family === 'ipv6' ? { local6: local } : { local }),
      gbp: gbp === true ? true : undefined,
      unknown,
    });
  },
  read(bytes, at) {
    const {
      vni = 0,
      port = 0,
      learning = false,
      group,
      group6,
      local,
      local6,
      gbp,
      ...rest
    } = vxlanTable.read(bytes, at);
    return {
      type: 'vxlan',
      vni,
      port,
      learning,
      local: local ?? local6,
      remote: group ?? group6,
      gbp: gbp === true,
      ...rest,
    };
  },
};
