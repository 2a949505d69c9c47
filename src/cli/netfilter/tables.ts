import { FlannelError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';
import { Nftables } from '#nftables/connection.ts';
import type { Table } from '#nftables/objects.ts';

const FAMILIES = { ipv4: ['ip', 'inet'], ipv6: ['ip6', 'inet'] } as const;

/**
 * All tables of nf_tables that see packets of the family, those of iptables-nft too. Tables that cannot be read here, and all of
 * them on a kernel without nf_tables, are left out; the legacy variant of iptables has none.
 */
export function tablesOf(family: Family): Table[] {
  try {
    using nftables = Nftables.open();
    return FAMILIES[family].flatMap((each) =>
      nftables.tables(each).flatMap((key) => orNone(() => nftables.read(key)) ?? []),
    );
  } catch (error) {
    if (error instanceof FlannelError && error.actor !== 'bug') return [];
    throw error;
  }
}

function orNone<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof FlannelError) return undefined;
    throw error;
  }
}
