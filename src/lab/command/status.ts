import { Rtnetlink } from '#rtnetlink/client.ts';
import { openNetns } from '../process/places.ts';
import type { Column } from '../report/table.ts';
import type { Screen } from '../report/screen.ts';
import { table } from '../report/table.ts';
import { peerRoutes } from '../process/peer-routes.ts';
import { leasedSubnet } from '../serve/readiness.ts';
import type { NodeState } from '../state/state.ts';
import { runningLab } from './running.ts';

const NODE_COLUMNS: readonly Column[] = [
  { title: 'node' },
  { title: 'address' },
  { title: 'subnet' },
  { title: 'VTEP' },
  { title: 'VTEP MAC' },
  { title: 'MTU', align: 'right' },
  { title: 'peers', align: 'right' },
  { title: 'flanneld', align: 'right' },
  { title: 'restarts', align: 'right' },
];

/** `lab status`: what the kernel of each node says, not what it should be. */
export function status(name: string, screen: Screen): number {
  const state = runningLab(name);
  screen.line(
    `lab ${name}: ${state.options.backend}, ${state.traffic}, ${state.options.manager} ${state.storeUrl} inside the lab, process ${state.pid}`,
  );
  screen.line();
  screen.lines(table(NODE_COLUMNS, state.nodes.map(nodeRow)));
  screen.line();
  const pods = state.pods.map((pod) => [pod.name, pod.ip, pod.node, pod.containerId.slice(0, 12)]);
  screen.lines(
    table([{ title: 'pod' }, { title: 'address' }, { title: 'node' }, { title: 'container' }], pods),
  );
  return 0;
}

function nodeRow(node: NodeState): string[] {
  using netns = openNetns({ kind: 'node', name: node.name, node });
  using net = Rtnetlink.openIn(netns);
  const vtep = net.links().find((link) => link.kind?.type === 'vxlan');
  const peers = peerRoutes(net).length;
  const agent = node.agentPid === undefined ? '-' : String(node.agentPid);
  return [
    node.name,
    node.ip,
    leasedSubnet(node),
    vtep?.name ?? '-',
    vtep?.mac?.toString() ?? '-',
    vtep === undefined ? '-' : String(vtep.mtu),
    String(peers),
    agent,
    String(node.agentRestarts),
  ];
}
