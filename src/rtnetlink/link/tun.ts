import { attributeTable, bool8, u32, u8, type Codec } from '#netlink/attribute.ts';

/** `linux/if_link.h` IFLA_TUN_*. */
export const tunTable = attributeTable('tun', {
  owner: [1, u32],
  group: [2, u32],
  mode: [3, u8],
  packetInfo: [4, bool8],
  vnetHeader: [5, bool8],
  persist: [6, bool8],
  multiQueue: [7, bool8],
});

/** `linux/if_tun.h` IFF_TUN, IFF_TAP. */
export const TUN_MODE = { tun: 1, tap: 2 } as const;

/** A TUN or TAP device. Reading only: it is made through /dev/net/tun. */
export interface TunLink {
  readonly type: 'tun';
  readonly mode: 'tun' | 'tap';
  /** User and group that may open it; undefined: anybody with CAP_NET_ADMIN. */
  readonly owner?: number | undefined;
  readonly group?: number | undefined;
  readonly persist?: boolean | undefined;
  readonly packetInfo?: boolean | undefined;
  readonly vnetHeader?: boolean | undefined;
  readonly multiQueue?: boolean | undefined;
}

export const tunKind: Codec<TunLink> = {
  nested: true,
  write(out, { type: _type, mode, ...rest }) {
    tunTable.write(out, { ...rest, mode: TUN_MODE[mode] });
  },
  read(bytes, at) {
    const { mode, unknown: _unknown, ...rest } = tunTable.read(bytes, at);
    return { type: 'tun', mode: mode === TUN_MODE.tap ? 'tap' : 'tun', ...rest };
  },
};
