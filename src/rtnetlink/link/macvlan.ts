import { attributeTable, u16, u32, type Codec } from '#netlink/attribute.ts';

/** `linux/if_link.h` IFLA_MACVLAN_*. */
export const macvlanTable = attributeTable('macvlan', { mode: [1, u32], flags: [2, u16] });

/** `linux/if_link.h` MACVLAN_MODE_*. */
export const MACVLAN_MODE = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;
export type MacvlanMode = keyof typeof MACVLAN_MODE;

export interface MacvlanLink {
  readonly type: 'macvlan';
  /** A number when the mode has no name here. */
  readonly mode: MacvlanMode | number;
}

export interface NewMacvlanLink extends MacvlanLink {
  /** Index of the lower link. */
  readonly parent: number;
}

export const macvlanKind: Codec<MacvlanLink> = {
  nested: true,
  write(out, { mode }) {
    macvlanTable.write(out, { mode: typeof mode === 'number' ? mode : MACVLAN_MODE[mode] });
  },
  read(bytes, at) {
    const { mode = 0 } = macvlanTable.read(bytes, at);
    const names = Object.keys(MACVLAN_MODE) as MacvlanMode[];
    return { type: 'macvlan', mode: names.find((name) => MACVLAN_MODE[name] === mode) ?? mode };
  },
};
