import { FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { enterArgv } from '../process/places.ts';
import { innerArgv, programFolder, runOrThrow } from '../process/run.ts';
import { planNode, POD_NETWORK, type NodePlan } from '../state/address-plan.ts';
import type { LabPaths } from '../state/paths.ts';
import type { LabState, NodeState } from '../state/state.ts';
import { AgentSwitch } from './agent-switch.ts';
import { superviseAgent } from './agent.ts';
import { startEcho } from './echo.ts';
import { startHands } from './hands.ts';
import type { LabManager } from './manager.ts';
import { holdNamespaces } from './namespaces.ts';
import { connectNode, connectWorld } from './network.ts';
import type { NodeFolders } from './node-folders.ts';
import { annotationsOf, layOriginal, originalNodes } from './original.ts';
import { PodKeeper, type Plugins } from './pods.ts';
import { agentReady, leasedNetwork, leasedSubnet } from './readiness.ts';
import { writeServices } from './services.ts';
import type { StateStore } from './state-store.ts';

export interface ClusterParts {
  readonly paths: LabPaths;
  readonly store: StateStore;
  readonly manager: LabManager;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger<string>;
  readonly step: (text: string) => void;
}

/** Builds the cluster from its nodes to the last pod, in the order of a real one. */
export async function buildCluster(parts: ClusterParts): Promise<void> {
  const plans = plansOf(parts);
  await makeNodes(parts, plans);
  await Promise.all(parts.store.state.nodes.map((node) => parts.manager.addNode(node, {})));
  await Promise.all(plans.map((plan) => startAgent(parts, nodeOf(parts, plan.name))));
  const pods = new PodKeeper(parts, new Map());
  await Promise.all(plans.map((plan) => startPods(parts, { plan, pods, plugins: 'ours' })));
  parts.step(`${parts.store.state.pods.length} pods wired by the CNI chain of 10-flannel.conflist`);
  startService(parts);
}

/** Builds the same as the original leaves it when its agents are stopped, and takes orders from then on. */
export async function buildOriginal(parts: ClusterParts): Promise<void> {
  const { store, manager, env, paths } = parts;
  const plans = plansOf(parts);
  await makeNodes(parts, plans);
  const nodes = originalNodes(store.state);
  for (const node of store.state.nodes) {
    await manager.addNode(node, annotationsOf(node.name, nodes));
    await layOriginal(node, { state: store.state, nodes, env });
  }
  parts.step("devices, entries, rules, subnet.env and annotations as the original's agents leave them");
  const pods = new PodKeeper(parts, nodes);
  await Promise.all(plans.map((plan) => startPods(parts, { plan, pods, plugins: 'original' })));
  parts.step(`${store.state.pods.length} pods wired as the original wires them`);
  startService(parts);
  startHands(paths.hands, { agents: new AgentSwitch(parts), pods, manager });
}

function plansOf({ store }: ClusterParts): NodePlan[] {
  const { nodes, pods } = store.state.options;
  return Array.from({ length: nodes }, (_, at) => planNode(at + 1, pods));
}

function nodeOf({ store }: ClusterParts, name: string): NodeState {
  const node = store.state.nodes.find((candidate) => candidate.name === name);
  if (node === undefined) throw new FlannelError('bug', `node ${name} is not there`);
  return node;
}

async function makeNodes(parts: ClusterParts, plans: readonly NodePlan[]): Promise<void> {
  const { env, store, step } = parts;
  const [worldPid, ...pids] = await Promise.all([
    holdNamespaces({ mounts: false }, env),
    ...plans.map(() => holdNamespaces({ mounts: true }, env)),
  ]);
  using net = Rtnetlink.open();
  connectWorld(net, worldPid);
  store.update({ worldPid });
  for (const [at, plan] of plans.entries()) {
    const pid = pids[at] ?? 0;
    connectNode(net, plan, pid);
    store.setNode({ name: plan.name, pid, ip: plan.ip, podCidr: plan.podCidr, agentRestarts: 0 });
  }
  const world = { kind: 'world', name: 'world', pid: worldPid } as const;
  await Promise.all([
    startEcho(world, echoOptions(parts)),
    ...store.state.nodes.map((node) => prepareNode(parts, node)),
  ]);
  step(`${plans.length} nodes on an underlay switch, and the world behind its router`);
}

async function prepareNode(parts: ClusterParts, node: NodeState): Promise<void> {
  const place = { kind: 'node', name: node.name, node } as const;
  const folders: NodeFolders = { netConf: netConf(parts.store.state), programs: programFolder() };
  await runOrThrow(enterArgv(place, innerArgv('__node', JSON.stringify(folders))), { env: parts.env });
  await startEcho(place, echoOptions(parts));
}

export function netConf({ options, traffic }: LabState): string {
  const conf = {
    Network: POD_NETWORK,
    EnableNFTables: traffic === 'nftables',
    Backend:
      options.backend === 'vxlan-direct' ? { Type: 'vxlan', DirectRouting: true } : { Type: options.backend },
  };
  return `${JSON.stringify(conf, null, 2)}\n`;
}

async function startAgent(parts: ClusterParts, node: NodeState): Promise<void> {
  const { manager, env, paths, log, store } = parts;
  const stopped = superviseAgent({
    node,
    flags: manager.agentFlags,
    env,
    log,
    logFile: paths.agentLog(node.name),
    onStart: (agentPid, agentRestarts) =>
      store.setNode({ ...nodeOf(parts, node.name), agentPid, agentRestarts }),
  });
  // The supervisor never ends by itself: it can only fail.
  await Promise.race([agentReady(node, parts), stopped]);
  // With etcd it is the agent that finds a subnet.
  const podCidr = leasedNetwork(node) ?? node.podCidr;
  store.setNode({ ...nodeOf(parts, node.name), podCidr });
  parts.step(`flanneld on ${node.name} is ready with ${leasedSubnet(node)}`);
}

interface PodsOfNode {
  readonly plan: NodePlan;
  readonly pods: PodKeeper;
  readonly plugins: Plugins;
}

/** One pod after the other on a node, as kubelet starts them: their addresses are in the order of their names. */
async function startPods(parts: ClusterParts, { plan, pods, plugins }: PodsOfNode): Promise<void> {
  const node = nodeOf(parts, plan.name);
  for (const name of plan.pods) await pods.start(node, name, plugins);
}

/** The service's endpoint is the first pod of the last node, so that most ways to it lead over the overlay. */
function startService(parts: ClusterParts): void {
  const { nodes } = parts.store.state;
  const endpoint = parts.store.state.pods.find((pod) => pod.node === nodes.at(-1)?.name);
  if (endpoint === undefined) return;
  for (const node of nodes) writeServices(node, endpoint.ip);
  parts.step(`a service with a cluster address and a node port, ${endpoint.name} behind it`);
}

function echoOptions(parts: ClusterParts): { env: Readonly<Record<string, string>>; log: string } {
  return { env: parts.env, log: parts.paths.log };
}
