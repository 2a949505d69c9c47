import type { Facts } from '../facts/facts.ts';
import { peersToProbe, type PeerSide } from '../facts/peer-sides.ts';
import { error, few, NotAsked, ok, type Check } from '../finding.ts';
import { sendDatagrams, type DatagramOutcome } from '../probe/datagram.ts';

/** Peers that are asked: a wrong checksum is a matter of this node's network card. */
const MOST = 8;
/** One lost packet is no wrong checksum. */
const TRIES = 3;

export const checksum: Check = {
  id: 'checksum',
  title: "checksums of pods' packets are right",
  async run(facts) {
    const { sides } = await peersToProbe(facts);
    const tunnels = sides.filter(({ vtep, link }) => vtep !== undefined && link !== undefined).slice(0, MOST);
    if (tunnels.length === 0) throw new NotAsked('no packet goes through a tunnel');
    const outcomes = await Promise.all(tunnels.map((side) => ask(facts, side)));
    const wrong = tunnels.filter((_, at) => isWrong(outcomes[at]));
    if (wrong.length === 0) {
      const right = outcomes.filter((outcome) => outcome?.offloaded === true).length;
      if (right === 0) throw new NotAsked('no other node says whether it takes UDP');
      return [ok(`${right} nodes take UDP through the overlay`)];
    }
    const device = wrong[0]?.link?.name ?? 'flannel.1';
    return [
      error({
        what: `datagrams to ${few(wrong.map(({ name }) => name))} arrive with a wrong checksum when the network card is to compute it`,
        why: 'pings work, but DNS fails and connections stall (63 s in the known case)',
        cure: `start the agent with --vxlan-tx-checksum=off; until then: ethtool -K ${device} tx-checksum-ip-generic off`,
      }),
    ];
  },
};

/** One was taken, the other never was. */
function isWrong(outcome: DatagramOutcome | undefined): boolean {
  return outcome?.whole === true && !outcome.offloaded;
}

/**
 * Until both are taken, or one of them never is. Silence about both is no answer at once: a firewall may drop them, but a
 * node also says only six times at once and then once a second that a port is closed (net.ipv4.icmp_ratelimit).
 */
async function ask(facts: Facts, { vtep, link }: PeerSide): Promise<DatagramOutcome | undefined> {
  const from = link?.addresses[0]?.ip;
  if (vtep === undefined || from === undefined) return undefined;
  const sum = { offloaded: false, whole: false };
  for (let attempt = 0; attempt < TRIES && !sum.offloaded; attempt += 1) {
    const waiting = { timeoutMs: facts.options.timeoutMs, signal: facts.signal };
    const outcome = await sendDatagrams({ from, to: vtep }, waiting);
    if (outcome === undefined) return undefined;
    sum.offloaded ||= outcome.offloaded;
    sum.whole ||= outcome.whole;
  }
  return sum;
}
