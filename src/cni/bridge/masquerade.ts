import type { Cidr } from '#net/cidr.ts';
import { Nftables } from '#nftables/connection.ts';
import { familiesOf } from './gateway.ts';
import { NatTable } from '../nat-table.ts';
import { openNetfilter } from '../netfilter.ts';
import { validAttachments, type Invocation } from '../plugin.ts';
import type { MasqueradeBackend } from './config.ts';
import {
  addByIptables,
  checkByIptables,
  collectByIptables,
  hasByIptables,
  removeByIptables,
  type NatAccess,
} from './masquerade-iptables.ts';
import {
  addByNftables,
  checkByNftables,
  collectByNftables,
  removeByNftables,
  type InterfaceOwner,
} from './masquerade-nftables.ts';

function ownerOf({ conf, args }: Invocation): InterfaceOwner {
  return { network: conf.name, containerId: args.containerId, ifName: args.ifName };
}

function access({ host }: Invocation): NatAccess & { readonly nft: Nftables } {
  const instead = '"ipMasqBackend": "nftables" in the bridge configuration';
  const connection = openNetfilter(host);
  const table = new NatTable({ env: host.env, instead });
  return { connection, nft: Nftables.over(connection), table };
}

/** Masquerades what the pod sends out of its subnets, in the backend that is asked for, or iptables where it works. */
export async function addMasquerade(
  call: Invocation,
  addresses: readonly Cidr[],
  backend: MasqueradeBackend | undefined,
): Promise<void> {
  const { nft, table } = access(call);
  if ((backend ?? (await usualBackend(table, addresses))) === 'nftables') {
    addByNftables(nft, ownerOf(call), addresses);
  } else await addByIptables(ownerOf(call), addresses, table);
}

async function usualBackend(table: NatTable, addresses: readonly Cidr[]): Promise<MasqueradeBackend> {
  const works = await Promise.all(familiesOf(addresses).map(async (family) => table.works(family)));
  return works.includes(false) ? 'nftables' : 'iptables';
}

/** Removes everything of the container in both backends, whoever has made them. */
export async function removeMasquerade(call: Invocation): Promise<void> {
  const nat = access(call);
  removeByNftables(nat.nft, ownerOf(call));
  await removeByIptables(ownerOf(call), nat);
}

/** Throws CniError 999 when a rule is missing. */
export async function checkMasquerade(
  call: Invocation,
  addresses: readonly Cidr[],
  backend: MasqueradeBackend | undefined,
): Promise<void> {
  const nat = access(call);
  const owner = ownerOf(call);
  // Without a backend in the configuration: where ADD has put them.
  const byIptables = backend === undefined ? await hasByIptables(owner, nat) : backend === 'iptables';
  if (byIptables) await checkByIptables(owner, addresses, nat.table);
  else checkByNftables(nat.nft, owner, addresses);
}

/** GC: removes the rules of the network's containers that are not valid any more, in both backends. */
export async function collectMasquerade(call: Invocation): Promise<void> {
  const nat = access(call);
  const valid = validAttachments(call.conf);
  collectByNftables(nat.nft, call.conf.name, valid);
  const containers = new Set(valid.map(({ containerId }) => containerId));
  await collectByIptables(call.conf.name, containers, nat);
}
