import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ERRNO } from '#base/errors.ts';
import { O } from '#ffi/file-system.ts';
import { MNT_DETACH, MS } from '#ffi/file.ts';
import { MACHINES } from '#ffi/machine.ts';
import { AF as SOCKET_AF, MSG, SIGNAL_ON_INPUT, SO, SOCK } from '#ffi/socket.ts';
import { CTRL_CMD, controlTable, GENL_ID_CTRL } from '#genetlink/control.ts';
import {
  bitsetTable,
  bitTable,
  ETHTOOL_FLAG,
  ETHTOOL_MSG,
  featuresTable,
  headerTable,
} from '#genetlink/ethtool/features.ts';
import { NETLINK } from '#netlink/connection.ts';
import { NLM_F, NLMSG } from '#netlink/message.ts';
import { addressTable } from '#rtnetlink/address.ts';
import * as constants from '#rtnetlink/constants.ts';
import { bridgePortTable } from '#rtnetlink/link/bridge-port.ts';
import { bridgeTable } from '#rtnetlink/link/bridge.ts';
import { IFLA_INFO } from '#rtnetlink/link/kind.ts';
import { MACVLAN_MODE, macvlanTable } from '#rtnetlink/link/macvlan.ts';
import { inet6Table, linkTable } from '#rtnetlink/link/table.ts';
import { TUN_MODE, tunTable } from '#rtnetlink/link/tun.ts';
import { VETH_INFO_PEER } from '#rtnetlink/link/veth.ts';
import { vxlanTable } from '#rtnetlink/link/vxlan.ts';
import { neighbourTable } from '#rtnetlink/ndmsg.ts';
import { metricsTable, routeTable } from '#rtnetlink/route/table.ts';
import { must } from './netns.ts';

/** What each of the numbers is called in the C headers; those that no machine has another one for. */
const expected = new Map<string, number>([['VETH_INFO_PEER', VETH_INFO_PEER]]);

function prefixed(prefix: string, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) expected.set(prefix + name.toUpperCase(), value);
}

/** `names`: the header's name of every field whose own name, in C's spelling, is not it. */
function table(
  prefix: string,
  fields: Readonly<Record<string, readonly [number, unknown]>>,
  names: Readonly<Record<string, string>> = {},
): void {
  for (const [field, [type]] of Object.entries(fields)) {
    expected.set(prefix + (names[field] ?? field.replaceAll(/[A-Z]/g, '_$&').toUpperCase()), type);
  }
}

const { AF, IFA_F, IFF, IF_OPER, NTF, NUD, RT_SCOPE, RT_TABLE, RTM, RTM_F, RTN, RTNH_F, RTNLGRP, RTPROT } =
  constants;
prefixed('', ERRNO);
prefixed('AF_', { ...SOCKET_AF, ...AF });
prefixed('SOCK_', SOCK);
prefixed('MSG_', MSG);
prefixed('O_', O);
prefixed('SO_', SO);
prefixed('', SIGNAL_ON_INPUT);
prefixed('MS_', MS);
prefixed('', { MNT_DETACH });
prefixed('NETLINK_', NETLINK);
prefixed('NLMSG_', NLMSG);
prefixed('NLM_F_', NLM_F);
prefixed('IFF_', IFF);
prefixed('IFF_', TUN_MODE);
prefixed('IF_OPER_', IF_OPER);
prefixed('NUD_', NUD);
prefixed('NTF_', NTF);
prefixed('IFA_F_', IFA_F);
prefixed('RT_TABLE_', RT_TABLE);
prefixed('RTPROT_', RTPROT);
prefixed('RT_SCOPE_', RT_SCOPE);
prefixed('RTN_', RTN);
prefixed('RTM_', RTM);
prefixed('RTM_F_', RTM_F);
prefixed('RTNH_F_', RTNH_F);
prefixed('RTNLGRP_', RTNLGRP);
prefixed('MACVLAN_MODE_', MACVLAN_MODE);
prefixed('IFLA_INFO_', IFLA_INFO);
prefixed('IFLA_EVENT_', constants.IFLA_EVENT);
prefixed('', { GENL_ID_CTRL });
prefixed('CTRL_CMD_', CTRL_CMD);
prefixed('ETHTOOL_MSG_', ETHTOOL_MSG);
prefixed('ETHTOOL_FLAG_', ETHTOOL_FLAG);
table('CTRL_ATTR_', controlTable.fields);
table('ETHTOOL_A_HEADER_', headerTable.fields);
table('ETHTOOL_A_BITSET_', bitsetTable.fields);
table('ETHTOOL_A_BITSET_BIT_', bitTable.fields);
table('ETHTOOL_A_FEATURES_', featuresTable.fields);
table('IFLA_', linkTable.fields, {
  mac: 'ADDRESS',
  name: 'IFNAME',
  parent: 'LINK',
  txQueueLength: 'TXQLEN',
  operState: 'OPERSTATE',
  info: 'LINKINFO',
  alias: 'IFALIAS',
  stats: 'STATS64',
  families: 'AF_SPEC',
  netnsFd: 'NET_NS_FD',
  parentNetnsid: 'LINK_NETNSID',
  alternativeName: 'ALT_IFNAME',
});
table('IFLA_INET6_', inet6Table.fields);
table('IFLA_VXLAN_', vxlanTable.fields, {
  vni: 'ID',
  parent: 'LINK',
  l2miss: 'L2MISS',
  l3miss: 'L3MISS',
  udpZeroCsum6Tx: 'UDP_ZERO_CSUM6_TX',
  udpZeroCsum6Rx: 'UDP_ZERO_CSUM6_RX',
});
table('IFLA_BR_', bridgeTable.fields, {
  groupForwardMask: 'GROUP_FWD_MASK',
  multicastSnooping: 'MCAST_SNOOPING',
  nfCallIptables: 'NF_CALL_IPTABLES',
  nfCallIp6tables: 'NF_CALL_IP6TABLES',
  nfCallArptables: 'NF_CALL_ARPTABLES',
});
table('IFLA_BRPORT_', bridgePortTable.fields, {
  hairpin: 'MODE',
  flood: 'UNICAST_FLOOD',
  proxyArp: 'PROXYARP',
  multicastFlood: 'MCAST_FLOOD',
  broadcastFlood: 'BCAST_FLOOD',
  neighbourSuppression: 'NEIGH_SUPPRESS',
});
table('IFLA_MACVLAN_', macvlanTable.fields);
table('IFLA_TUN_', tunTable.fields, { mode: 'TYPE', packetInfo: 'PI', vnetHeader: 'VNET_HDR' });
table('IFA_', addressTable.fields, { lifetime: 'CACHEINFO', protocol: 'PROTO' });
table('NDA_', neighbourTable.fields, { mac: 'LLADDR' });
table('RTA_', routeTable.fields, { link: 'OIF', in: 'IIF', source: 'PREFSRC', nextHopId: 'NH_ID' });
table('RTAX_', metricsTable.fields, {
  hopLimit: 'HOPLIMIT',
  initialCongestionWindow: 'INITCWND',
  rtoMin: 'RTO_MIN',
  initialReceiveWindow: 'INITRWND',
  quickAck: 'QUICKACK',
});

const HEADERS = [
  'errno.h',
  'stdio.h',
  'fcntl.h',
  'signal.h',
  'sys/socket.h',
  'sys/syscall.h',
  'sys/mount.h',
  'linux/if.h',
  'linux/ethtool_netlink.h',
  'linux/genetlink.h',
  'linux/if_addr.h',
  'linux/if_link.h',
  'linux/if_tun.h',
  'linux/neighbour.h',
  'linux/netlink.h',
  'linux/rtnetlink.h',
  'linux/veth.h',
];

/** How C programs for a machine are compiled and run. */
export interface CMachine {
  /** Node's name of it. */
  readonly arch: string;
  readonly compiler: readonly string[];
  readonly runner?: readonly string[];
}

/** What the program believes of a machine and what the C headers for it say, as sorted lines `NAME value`. */
export function comparedConstants({ arch, compiler, runner = [] }: CMachine): {
  ours: string[];
  theirs: string[];
} {
  const { musl: _musl, ...own } = MACHINES[arch] ?? {};
  const numbers = [...expected, ...Object.entries(own)];
  const directory = mkdtempSync(join(tmpdir(), 'flannel-constants-'));
  try {
    const lines = numbers.map(([name]) => `  printf("${name} %lld\\n", (long long)${name});`);
    const source = `#define _GNU_SOURCE
${HEADERS.map((name) => `#include <${name}>`).join('\n')}
int main(void) {
${lines.join('\n')}
  return 0;
}
`;
    writeFileSync(join(directory, 'constants.c'), source);
    const program = join(directory, 'constants');
    must([...compiler, '-o', program, join(directory, 'constants.c')]);
    const printed = must([...runner, program])
      .trim()
      .split('\n');
    return {
      ours: numbers.map(([name, value]) => `${name} ${value}`).toSorted(),
      theirs: printed.toSorted(),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
