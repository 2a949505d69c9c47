import { Cidr } from '#net/cidr.ts';
import type { Change } from '#nftables/change.ts';
import { back, daddr, goTo, masquerade, nfproto, rule, saddr } from '#nftables/build.ts';
import { Nftables } from '#nftables/connection.ts';
import { PRIORITY, type Table, type TableKey } from '#nftables/objects.ts';
import { unsupported } from '../error.ts';
import { stringField } from '../json.ts';
import type { Invocation } from '../plugin.ts';
import type { CniIp } from '../result.ts';

/** The table of the Go plugins' nftables backend: what one adds the other removes. */
const TABLE: TableKey = { family: 'inet', name: 'cni_plugins_masquerade' };
const CHAIN = 'masq_checks';
const TABLE_COMMENT = 'Masquerading for plugins from github.com/containernetworking/plugins';
const CHAIN_COMMENT = 'Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet';
/** NFTNL_UDATA_COMMENT: longest comment that nft takes, bytes. */
const COMMENT_LIMIT = 127;

/** Masquerades what the pod sends out of its subnet. Rules of an earlier ADD of the same interface are replaced. */
export function addMasquerade(call: Invocation, ips: readonly CniIp[]): void {
  refuseIptables(call);
  using nft = Nftables.open();
  const live = nft.read(TABLE);
  nft.apply([
    ...frame(live),
    ...staleRules(live, call),
    ...ips.map(({ address }): Change => {
      // ip saddr 10.244.1.2 ip daddr != 10.244.1.0/24 masquerade
      const parts = [
        nfproto(address.family),
        saddr('==', new Cidr(address.ip, address.ip.bits)),
        daddr('!=', address.network()),
        masquerade(),
      ];
      return { do: 'add rule', table: TABLE, chain: CHAIN, rule: rule(parts, commentOf(call)) };
    }),
  ]);
}

/** Removes the rules of this container's interface; nothing happens when there are none. */
export function removeMasquerade(call: Invocation): void {
  using nft = Nftables.open();
  nft.apply(staleRules(nft.read(TABLE), call));
}

function refuseIptables({ conf }: Invocation): void {
  const backend = stringField(conf.raw, 'ipMasqBackend');
  if (backend === undefined || backend === '' || backend === 'nftables') return;
  throw unsupported('ipMasqBackend', backend, 'this bridge plugin masquerades by nftables; remove the key');
}

/** Table and chains, when they are not complete: an ADD that deletes nothing does not wait for the kernel. */
function frame(live: Table | undefined): Change[] {
  const rules = live?.chains.find(({ name }) => name === 'postrouting')?.rules.length ?? 0;
  if (rules === 3 && live?.chains.some(({ name }) => name === CHAIN) === true) return [];
  const chain = 'postrouting';
  const hook = { type: 'nat', point: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' } as const;
  const parts = [
    // ip daddr 224.0.0.0/4 return
    [nfproto('ipv4'), daddr('==', Cidr.parse('224.0.0.0/4')), back],
    // ip6 daddr ff00::/8 return
    [nfproto('ipv6'), daddr('==', Cidr.parse('ff00::/8')), back],
    // goto masq_checks
    [goTo(CHAIN)],
  ];
  return [
    { do: 'add table', table: TABLE, comment: TABLE_COMMENT },
    { do: 'add chain', table: TABLE, chain: { name: CHAIN, comment: CHAIN_COMMENT } },
    { do: 'add chain', table: TABLE, chain: { name: chain, hook } },
    { do: 'flush chain', table: TABLE, chain },
    ...parts.map((list): Change => ({ do: 'add rule', table: TABLE, chain, rule: rule(list) })),
  ];
}

function staleRules(live: Table | undefined, call: Invocation): Change[] {
  const prefix = instanceHash(call);
  const rules = live?.chains.find(({ name }) => name === CHAIN)?.rules ?? [];
  return rules.flatMap(({ comment, handle }): Change[] =>
    handle !== undefined && comment?.startsWith(prefix) === true
      ? [{ do: 'delete rule', table: TABLE, chain: CHAIN, handle }]
      : [],
  );
}

function hash(text: string): string {
  return new Bun.CryptoHasher('sha512').update(text).digest('hex').slice(0, 16);
}

/** By network and by interface and container: the comment begins with it, and it finds the rule again. */
function instanceHash({ conf, args }: Invocation): string {
  return `${hash(conf.name)}-${hash(`${args.ifName}:${args.containerId}`)}`;
}

function commentOf(call: Invocation): string {
  const { ifName, containerId } = call.args;
  const text = `${instanceHash(call)}, net: ${call.conf.name}, if: ${ifName}, id: ${containerId}`;
  return text.replaceAll('"', '').slice(0, COMMENT_LIMIT);
}
