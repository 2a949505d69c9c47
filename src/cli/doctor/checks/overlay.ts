import type { OverlayPeer } from '#daemon/inspect/overlay.ts';
import { entryKey } from '#host/plan.ts';
import type { Facts } from '../facts/facts.ts';
import { peersToProbe, type PeerSide } from '../facts/peer-sides.ts';
import { error, few, ok, warning, type Check, type Finding } from '../finding.ts';
import { sendEchoes, type Echo, type EchoOutcome } from '#daemon/probe/echo.ts';

/** IP packet of a probe that fits everywhere, bytes. */
const SHORT = 84;

export const overlay: Check = {
  id: 'overlay',
  title: 'the other nodes answer through the overlay',
  async run(facts) {
    const { sides, all } = await peersToProbe(facts);
    const probes = sides.flatMap((side) => probesOf(facts, side));
    const { timeoutMs } = facts.options;
    const outcomes = await sendEchoes(
      probes.map(({ echo }) => echo),
      { timeoutMs, signal: facts.signal },
    );
    const results = sides.map((side) => resultOf(side, probes, outcomes));
    const findings = judge(results, await misplanned(facts));
    const number = sides.length < all ? `${sides.length} of ${all}` : `${all}`;
    return findings.length > 0 ? findings : [ok(`${number} nodes answer`)];
  },
};

interface Probe {
  readonly side: PeerSide;
  readonly way: 'overlay' | 'underlay';
  readonly echo: Echo;
}

/** Through the overlay from device to device; beside it from node to node, which tells a blocked port from a dead node. */
function probesOf(facts: Facts, side: PeerSide): Probe[] {
  const probes: Probe[] = [];
  const from = facts.external().addresses[side.publicIp.family];
  if (from !== undefined)
    probes.push({ side, way: 'underlay', echo: { from, to: side.publicIp, length: SHORT } });
  const own = side.link?.addresses[0]?.ip;
  if (own !== undefined && side.vtep !== undefined)
    probes.push({ side, way: 'overlay', echo: { from: own, to: side.vtep, length: SHORT } });
  return probes;
}

interface Result {
  readonly side: PeerSide;
  readonly overlay: EchoOutcome | undefined;
  readonly underlay: EchoOutcome | undefined;
}

function resultOf(side: PeerSide, probes: readonly Probe[], outcomes: readonly EchoOutcome[]): Result {
  const of = (way: Probe['way']) =>
    outcomes[probes.findIndex((probe) => probe.side === side && probe.way === way)];
  return { side, overlay: of('overlay'), underlay: of('underlay') };
}

/** Names of peers whose entries on this node are not as planned: that is why they do not answer. */
async function misplanned(facts: Facts): Promise<ReadonlySet<string>> {
  const { wrong } = await facts.difference();
  const { peers } = await facts.overlay();
  const isWrong = ({ entries }: OverlayPeer) => entries.some((entry) => wrong.has(entryKey(entry)));
  return new Set([...peers].flatMap(([name, peer]) => (isWrong(peer) ? [name] : [])));
}

function judge(results: readonly Result[], here: ReadonlySet<string>): Finding[] {
  const answers = (outcome: EchoOutcome | undefined) => outcome?.outcome === 'answered';
  const lost = results.filter((result) => !answers(result.overlay ?? result.underlay));
  const blocked = lost.filter((result) => result.overlay !== undefined && answers(result.underlay));
  const silent = lost.filter((result) => !blocked.includes(result));
  const findings: Finding[] = [];
  const ours = blocked.filter(({ side }) => here.has(side.name));
  const theirs = blocked.filter(({ side }) => !here.has(side.name));
  if (ours.length > 0) findings.push(oursFinding(names(ours)));
  const [first] = theirs;
  if (first !== undefined)
    findings.push(blockedFinding(first.side, names(theirs), theirs.length === results.length));
  if (silent.length > 0)
    findings.push(
      warning({
        what: `no answer from ${names(silent)}, neither through the overlay nor beside it`,
        why: 'pods there cannot be reached from here',
        cure: `kubectl get nodes; ping ${silent[0]?.side.publicIp}: when the node is up, a firewall drops UDP and ICMP, or there is no route`,
      }),
    );
  return findings;
}

function oursFinding(who: string): Finding {
  return error({
    what: `no answer through the overlay from ${who}: this node's entries for them are not as planned`,
    why: 'pods of these nodes and of this one do not reach each other',
    cure: 'mend what the check plan says first, then look again: flannelctl doctor --only plan,agent,sync,overlay',
  });
}

function blockedFinding({ publicIp, link }: PeerSide, who: string, all: boolean): Finding {
  const port = link?.port ?? 8472;
  return error({
    what: `no answer through the overlay from ${who}, though ${publicIp} itself answers`,
    why: `UDP port ${port} is blocked between the nodes, or the agent there does not run: pods of these nodes and of this one do not reach each other`,
    cure: `open UDP port ${port} between all nodes${all ? ', first here' : ''} (firewall-cmd --permanent --add-port=${port}/udp; cloud: security group); watch: tcpdump -ni any udp port ${port}`,
  });
}

function names(results: readonly Result[]): string {
  return few([...new Set(results.map(({ side }) => side.name))]);
}
