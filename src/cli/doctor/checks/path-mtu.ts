import { OVERHEAD } from '#backend/vxlan.ts';
import type { Facts } from '../facts/facts.ts';
import { peersToProbe, type PeerSide } from '../facts/peer-sides.ts';
import { error, few, NotAsked, ok, type Check, type Finding } from '../finding.ts';
import { sendEchoes, type EchoOutcome } from '#daemon/probe/echo.ts';

/** Lengths of IP packets that links are known for, bytes: Ethernet, PPPoE, tunnels, GCE, WireGuard, the least of IPv6. */
const LADDER = [1500, 1492, 1480, 1476, 1460, 1450, 1420, 1400, 1350, 1280];
const SHORT = 84;

export const pathMtu: Check = {
  id: 'path-mtu',
  title: 'packets of full length reach the other nodes',
  async run(facts) {
    const { sides } = await peersToProbe(facts);
    const found = await measure(facts, sides);
    const known = found.filter(({ mtu }) => mtu !== undefined);
    if (known.length === 0) throw new NotAsked('no other node answers pings to its address');
    const narrow = known.filter(({ mtu = 0, needed }) => mtu < needed);
    if (narrow.length > 0) return [narrowFinding(narrow)];
    return [ok(`${known[0]?.needed ?? 0} bytes to ${known.length} nodes`)];
  },
};

interface Measured {
  readonly side: PeerSide;
  /** What outer packets of full length take, bytes. */
  readonly needed: number;
  /** The longest packet that came through, bytes; undefined when not even a short one did. */
  readonly mtu: number | undefined;
}

/** Sends every length to every peer at once: one time of waiting for all. */
async function measure(facts: Facts, sides: readonly PeerSide[]): Promise<Measured[]> {
  const external = facts.external();
  const echoes = sides.flatMap((side) => {
    const from = external.addresses[side.publicIp.family];
    if (from === undefined) return [];
    const needed = side.link === undefined ? external.mtu : side.link.mtu + OVERHEAD[side.link.local.family];
    const lengths = [needed, ...LADDER.filter((length) => length < needed), SHORT];
    return lengths.map((length) => ({ side, needed, echo: { from, to: side.publicIp, length } }));
  });
  const { timeoutMs } = facts.options;
  const outcomes = await sendEchoes(
    echoes.map(({ echo }) => echo),
    { timeoutMs, signal: facts.signal },
  );
  return sides.map((side) => {
    const own = echoes.flatMap((entry, at) =>
      entry.side === side ? [{ ...entry, outcome: outcomes[at] }] : [],
    );
    const through = own
      .filter(({ outcome }) => outcome?.outcome === 'answered')
      .map(({ echo }) => echo.length);
    return {
      side,
      needed: own[0]?.needed ?? 0,
      mtu: through.length === 0 ? undefined : longest(through, own),
    };
  });
}

/** A router that says how much it takes knows better than the steps of the ladder. */
function longest(
  through: readonly number[],
  own: readonly { readonly outcome: EchoOutcome | undefined }[],
): number {
  const told = own.flatMap(({ outcome }) =>
    outcome?.outcome === 'too-big' && outcome.mtu > 0 ? [outcome.mtu] : [],
  );
  return Math.max(...through, ...told.slice(0, 1));
}

function narrowFinding(narrow: readonly Measured[]): Finding {
  const mtu = Math.min(...narrow.map((each) => each.mtu ?? 0));
  const [first] = narrow;
  const names = few([...new Set(narrow.map(({ side }) => side.name))]);
  return error({
    what: `packets of ${first?.needed ?? 0} bytes do not reach ${names}: about ${mtu} bytes do`,
    why: 'long packets between pods of these nodes and this one are lost or cut up: connections open and then stall',
    cure: `set Backend.MTU to ${mtu} in net-conf.json and start the agents again, or raise the MTU of the network between the nodes`,
  });
}
