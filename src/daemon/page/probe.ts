import { ErrnoError, describe } from '#base/errors.ts';
import type { HostPlan } from '#host/plan.ts';
import { FAMILIES } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { ProbeView } from '#page/model.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import type { OverlayPeer } from '../inspect/overlay.ts';
import { sendEchoes, type Echo, type EchoOutcome } from '../probe/echo.ts';

/** IP packet of a probe that fits everywhere, bytes. */
const LENGTH = 84;
/** How long an answer is waited for, ms. */
const PATIENCE = 1000;

type Way = { readonly over: 'overlay' | 'underlay' } & Pick<Echo, 'from' | 'to'>;

export interface ProbeParts {
  readonly peer: OverlayPeer;
  readonly links: HostPlan['links'];
  readonly kernel: Pick<Rtnetlink, 'routeTo'>;
  /** Wall clock, ms. */
  readonly now: () => number;
}

/** One echo through the overlay and one beside it, per family: which of the two is silent says where it is broken. */
export async function probe({ peer, links, kernel, now }: ProbeParts): Promise<ProbeView> {
  const ways = waysTo(peer, { links, kernel });
  const at = now();
  const echoes = ways.map(({ from, to }) => ({ from, to, length: LENGTH }));
  const waiting = { timeoutMs: PATIENCE, signal: new AbortController().signal, eager: true };
  const outcomes = echoes.length === 0 ? [] : await sendEchoes(echoes, waiting);
  return {
    at,
    results: ways.map(({ over, from, to }, index) => ({
      over,
      from: `${from}`,
      to: `${to}`,
      ...resultOf(outcomes[index]),
    })),
  };
}

function resultOf(outcome: EchoOutcome | undefined): { ms?: number; why?: string } {
  switch (outcome?.outcome) {
    case 'answered':
      return { ms: Math.round(outcome.ms * 1000) / 1000 };
    case 'too-big':
      return { why: `a link on the way takes ${outcome.mtu || 'fewer'} bytes at most` };
    case 'unreachable':
      return { why: 'somebody on the way says that it cannot be reached' };
    case 'refused':
      return { why: `this node does not send it: ${describe(outcome.error)}` };
    case 'silence':
    case undefined:
      return { why: `no answer within ${PATIENCE / 1000} s` };
  }
}

/** VTEP to VTEP through the tunnel, node to node beside it. */
function waysTo({ entries }: OverlayPeer, { links, kernel }: Pick<ProbeParts, 'links' | 'kernel'>): Way[] {
  const ways: Way[] = [];
  for (const family of FAMILIES) {
    let beside: Ip | undefined;
    for (const entry of entries) {
      if (entry.type === 'fdb' && entry.dst.family === family) beside ??= entry.dst;
      if (entry.type !== 'route' || entry.dst.family !== family) continue;
      const device = links.find(({ name }) => name === entry.link);
      const from = device?.addresses.find((address) => address.family === family)?.ip;
      if (from !== undefined) ways.push({ over: 'overlay', from, to: entry.gateway });
      else if (device === undefined) beside ??= entry.gateway;
    }
    const from = beside && sourceFor(beside, kernel);
    if (beside !== undefined && from !== undefined) ways.push({ over: 'underlay', from, to: beside });
  }
  return ways;
}

/** The address that the kernel would send from; undefined when there is no way. */
function sourceFor(to: Ip, kernel: ProbeParts['kernel']): Ip | undefined {
  try {
    return kernel.routeTo(to).source;
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}
