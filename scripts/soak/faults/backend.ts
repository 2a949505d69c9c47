import { writeFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { UNDERLAY_BRIDGE } from '#lab/serve/network.ts';
import { BACKEND_FACTS, MAYBE_ENCRYPTED, SOAK_BACKENDS, type SoakBackend } from '../backends.ts';
import { podsOf, type Draw, type FaultKind } from '../fault.ts';
import { LeakMeter } from '../leak-meter.ts';
import { saidBy } from '../log.ts';

/** From the start of an agent until everything is as planned, ms. */
const START_BOUND = 10_000;
/** In the middle another fault may still keep the API server away, ms. */
const MIDDLE_BOUND = 25_000;

/** As an operator changes it: the file first, then the agent anew. */
async function change({ cluster, node }: Draw, backend: SoakBackend): Promise<void> {
  writeFileSync(node.file('/etc/kube-flannel/net-conf.json'), cluster.netConf(backend));
  const code = await node.agent?.stop('SIGTERM');
  if (code !== 0) throw new FlannelError('bug', `flanneld of ${node.name} ended with ${code} after SIGTERM`);
  node.backend = backend;
  node.agent?.start();
}

/** The node has the other backend, everybody else knows and says so, and it changes back. */
async function thereAndBack(draw: Draw, other: SoakBackend, pause: number): Promise<void> {
  const { cluster, node, settled, alone } = draw;
  const before = node.backend;
  const marks = cluster.nodes.map((each) => ({ each, size: each.agent?.logSize }));
  await change(draw, other);
  await settled(MIDDLE_BOUND);
  const { type } = BACKEND_FACTS[other];
  if (alone && type !== BACKEND_FACTS[before].type) {
    const pattern = `peer is left out peer=${node.name} reason=.*it uses backend ..${type}`;
    for (const { each, size } of marks) if (each !== node) await saidBy(each, pattern, size);
  }
  await systemClock.sleep(pause);
  await change(draw, before);
}

/** No packet for the node's pods may reach the router: that is where the default route leads, in the clear. */
async function withoutLeak(draw: Draw, run: () => Promise<void>): Promise<void> {
  const { cluster, node, settled } = draw;
  await using meter = await LeakMeter.open({ subnets: node.podCidrs, from: UNDERLAY_BRIDGE }, cluster.env);
  await run();
  await settled(MIDDLE_BOUND);
  const leaked = await meter.packets();
  if (leaked > 0)
    throw new FlannelError('bug', `${leaked} packets for pods of ${node.name} left by the default route`);
}

export const BACKEND_FAULTS: readonly FaultKind[] = [
  {
    name: 'backend-change',
    on: 'node',
    weight: 2,
    endsAgent: true,
    draw: (draw) => {
      const { node, random, alone } = draw;
      const other = random.pick(SOAK_BACKENDS.filter((backend) => backend !== node.backend));
      const pause = random.between(0, 1500);
      const { type } = BACKEND_FACTS[other];
      const reached = type === BACKEND_FACTS[node.backend].type;
      const run = () => thereAndBack(draw, other, pause);
      return {
        what: `Backend of ${node.name} becomes ${other}, and ${node.backend} again`,
        hurts: reached ? [] : podsOf(node),
        bound: START_BOUND,
        // Where something else is broken at the same time routes may be missing for another reason.
        run: alone && MAYBE_ENCRYPTED.has(type) ? () => withoutLeak(draw, run) : run,
      };
    },
  },
];
