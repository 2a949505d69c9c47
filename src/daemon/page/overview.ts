import { describe, FlannelError } from '#base/errors.ts';
import { VERSION } from '#base/version.ts';
import type { HostPlan } from '#host/plan.ts';
import { Cidr } from '#net/cidr.ts';
import type { Health, NodeView, Overview, PodView, RepairView, RulesState } from '#page/model.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { gatewayOf } from '#subnet/env.ts';
import type { AgentStatus } from '../inspect/agent-status.ts';
import { capacity, reserved } from '../metrics/addresses.ts';
import type { NodeAnswers } from './answers.ts';
import { deviceViews, podViews } from './devices.ts';

export interface OverviewOptions {
  readonly answers: NodeAnswers;
  /** Opened for one question, in this thread's namespace. */
  readonly openKernel: () => Rtnetlink;
  /** Wall clock, ms. */
  readonly now: () => number;
  readonly ipamDir: string;
  readonly bridge?: string;
  /** Whether namespaces of pods may be entered, which changes this thread's for a moment. */
  readonly enter: boolean;
}

/** Everything that changes by itself. What cannot be read is left out, and named. */
export async function overview(options: OverviewOptions): Promise<Overview> {
  const { answers, now } = options;
  const unread: string[] = [];
  // Both at once: an agent that hangs is waited for.
  const [{ status, noAgent }, plan] = await Promise.all([
    answers.status(),
    attemptAsync(unread, 'the plan', answers.plan),
  ]);
  const looked = lookAt(options, { status, links: plan?.head.devices.links ?? [], unread });
  const node = status && nodeView(status, looked);
  return {
    schema: 1,
    version: status?.version ?? VERSION,
    now: now(),
    health: healthOf(status, noAgent),
    ...(node === undefined ? {} : { node }),
    ...(status?.peers === undefined || plan === undefined
      ? {}
      : {
          peers: {
            wanted: status.peers.wanted,
            programmed: status.peers.programmed,
            leftOut: status.peers.wanted - status.peers.programmed,
            revision: plan.revision,
          },
        }),
    ...(status?.rules === undefined ? {} : { rules: rulesState(status.rules) }),
    pods: looked.pods,
    unread,
    repairs: repairsOf(answers, status),
  };
}

interface Looked {
  readonly devices: NodeView['devices'];
  readonly pods: readonly PodView[];
  readonly addresses: NodeView['addresses'];
}

interface LookParts {
  readonly status: AgentStatus | undefined;
  readonly links: HostPlan['links'];
  readonly unread: string[];
}

function lookAt(options: OverviewOptions, { status, links, unread }: LookParts): Looked {
  const { openKernel, ipamDir, bridge, enter } = options;
  const subnets = Object.values(status?.lease?.subnets ?? {}).flatMap((text) => Cidr.tryParse(text) ?? []);
  const taken = reserved(ipamDir, subnets);
  const addresses = subnets.map((subnet, at) => ({
    subnet: `${subnet}`,
    used: taken?.[at] ?? 0,
    capacity: capacity(subnet),
  }));
  using net = attempt(unread, 'the kernel', openKernel);
  if (net === undefined) return { devices: [], pods: [], addresses };
  const gateways = subnets.map((subnet) => gatewayOf(subnet).ip);
  const pods = () => podViews(net, { gateways, ipamDir, enter, ...(bridge === undefined ? {} : { bridge }) });
  return {
    devices: attempt(unread, 'the devices', () => deviceViews(net, links)) ?? [],
    pods: attempt(unread, 'the pods', pods) ?? [],
    addresses,
  };
}

function nodeView(status: AgentStatus, { devices, addresses }: Looked): NodeView | undefined {
  const { node, lease, external, mtu } = status;
  if (node === undefined || lease === undefined || external === undefined || mtu === undefined)
    return undefined;
  return {
    name: node,
    backend: lease.backend,
    mtu,
    subnets: Object.values(lease.subnets),
    publicIps: Object.values(lease.publicIps),
    external,
    devices,
    addresses,
  };
}

export function healthOf(status: AgentStatus | undefined, noAgent: string | undefined): Health {
  const store = { fromMemory: status?.store.fromMemory ?? false, trouble: status?.store.trouble };
  const { lastPass } = status ?? {};
  return {
    state: stateOf(status, noAgent),
    reasons: reasonsOf(status, noAgent),
    startedAt: ms(status?.startedAt),
    ...(lastPass === undefined ? {} : { lastPass: { ...lastPass, at: ms(lastPass.at) } }),
    store: {
      fromMemory: store.fromMemory,
      ...(store.trouble === undefined ? {} : { trouble: store.trouble }),
    },
  };
}

/** Before its first pass, and when only its store is away, it waits; later something fails. */
function stateOf(status: AgentStatus | undefined, noAgent: string | undefined): Health['state'] {
  if (noAgent !== undefined || status === undefined) return 'failing';
  if (status.ready) return 'ready';
  return status.serving || status.lastPass === undefined ? 'waiting' : 'failing';
}

function reasonsOf(status: AgentStatus | undefined, noAgent: string | undefined): string[] {
  const reasons = [
    noAgent,
    status === undefined || status.ready ? undefined : status.reason,
    status?.rules?.error,
    status?.store.trouble,
  ].flatMap((reason) => reason ?? []);
  // One may be part of another: the reason names the error.
  return reasons.filter((reason, at) => !reasons.some((other, i) => i < at && other.includes(reason)));
}

function rulesState({ mode, state, error }: NonNullable<AgentStatus['rules']>): RulesState {
  return {
    mode: mode === 'iptables' ? 'iptables' : 'nftables',
    state: state === 'ok' || state === 'failed' ? state : 'unknown',
    ...(error === undefined ? {} : { error }),
  };
}

function repairsOf(answers: NodeAnswers, status: AgentStatus | undefined): readonly RepairView[] {
  return answers.repairs?.() ?? status?.repairs.map((repair) => ({ ...repair, at: ms(repair.at) })) ?? [];
}

function ms(text: string | undefined): number {
  const at = Date.parse(text ?? '');
  return Number.isFinite(at) ? at : 0;
}

function attempt<T>(unread: string[], what: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    note(unread, what, error);
    return undefined;
  }
}

async function attemptAsync<T>(unread: string[], what: string, read: () => Promise<T>) {
  try {
    return await read();
  } catch (error) {
    note(unread, what, error);
    return undefined;
  }
}

function note(unread: string[], what: string, error: unknown): void {
  if (!(error instanceof FlannelError) || error.actor === 'bug') throw error;
  unread.push(`${what}: ${describe(error)}`);
}
