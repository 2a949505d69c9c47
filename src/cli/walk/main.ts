import { isatty } from 'node:tty';
import { ConfigError, FlannelError } from '#base/errors.ts';
import { escapeControl } from '#base/log.ts';
import { standardScreen, writeStandardOutput, type Screen } from '#lab/report/screen.ts';
import type { Ip } from '#net/ip.ts';
import type { Table } from '#nftables/objects.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { splitPositionals } from '../arguments.ts';
import { NODE_HELP, NODE_WORDS, parseNode, type NodeOptions } from '../node/options.ts';
import { translatingChain } from '../netfilter/service.ts';
import { document } from '../node/output.ts';
import { lookAround, PodKernels, readRules } from './around.ts';
import { dryWalk } from './dry.ts';
import { findEnds, type Ends, type Surroundings } from './ends.ts';
import { walkKernel } from './kernel.ts';
import { Trail, type End, type Walked } from './trail.ts';

const WORDS = { size: '84', capture: false, port: '9' } as const;

/** Of `flannelctl walk`, without what it shares with the others: `NODE_HELP`. */
export const WALK_HELP = `usage: flannelctl walk <from> <to> [flags]

Where a packet would go, step by step, and where it would end: the pod's route, the bridge, this node's route, the rules that it
meets, the overlay's neighbour and forwarding entry, the wire. Nothing is sent and nothing is written. Each end is an address,
the beginning of a container's id ("flannelctl pods") or the name of a node ("flannelctl peers"); one of them is on this node.
What kube-proxy translates (services) is not followed: give the pod's address. Exit code 1 when the packet would not get through.

  --size <bytes>             of the IP packet (84, as ping sends)
  --capture                  sends one UDP packet from a pod of this node, and shows it on every device it comes by
  --port <number>            of that packet (9)
`;

/** `flannelctl walk`. Returns the exit code: 1 when the packet would end, or did. */
export async function walkMain(args: readonly string[]): Promise<number> {
  const words = { ...NODE_WORDS, ...WORDS };
  const { positionals, rest } = splitPositionals(args, words);
  const parsed = parseNode('walk', rest, WORDS);
  if (parsed === 'help') {
    writeStandardOutput(`${WALK_HELP}${NODE_HELP}`);
    return 0;
  }
  const [from, to, ...more] = positionals;
  if (from === undefined || to === undefined || more.length > 0)
    throw new ConfigError('walk', 'takes two ends, where from and where to', {
      cure: 'flannelctl walk --help',
    });
  const { node: options, given } = parsed;
  const size = whole('--size', given.size, { min: 28, max: 65_535 });
  const port = whole('--port', given.port, { min: 1, max: 65_535 });
  if (given.capture && given.size !== WORDS.size)
    throw new ConfigError('--size', 'is of the walk that sends nothing', {
      cure: 'Leave out --size or --capture',
    });
  using net = Rtnetlink.open();
  const around = await lookAround(net, options);
  const ends = findEnds(from, to, around);
  const screen = standardScreen(isatty(1), process.env);
  if (given.capture) {
    const { captured } = await import('./captured.ts');
    return captured({ ends, around, options, port, screen });
  }
  const walked = await walk(net, { ends, around, options, size });
  show({ ...walked, ends, size, options, screen, noPlan: around.noPlan });
  return walked.end.outcome === 'dies' ? 1 : 0;
}

function whole(
  flag: string,
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new ConfigError(flag, `${JSON.stringify(text.slice(0, 64))} is no number from ${min} to ${max}`);
}

interface WalkParts {
  readonly ends: Ends;
  readonly around: Surroundings;
  readonly options: NodeOptions;
  readonly size: number;
}

async function walk(net: Rtnetlink, { ends, around, options, size }: WalkParts): Promise<Walked> {
  const { source, destination, start } = ends;
  const rules = await readRules(destination.family);
  refuseService(rules.tables, destination, around);
  using kernels = new PodKernels();
  const trail = new Trail();
  const end = dryWalk(
    {
      trail,
      node: walkKernel(net),
      pods: around.pods,
      inside: (pod) => kernels.inside(pod),
      bridge: options.bridge,
      source,
      destination,
      size,
      peerOf: around.peerOf,
      plannedRoute: around.plannedRoute,
      plannedFor: around.plannedFor,
      isNobodys: around.isNobodys,
      ...rules,
    },
    start,
  );
  return { steps: trail.steps, end };
}

/** Where a service's packets go is the choice of kube-proxy's rules. Throws FlannelError. */
function refuseService(
  tables: readonly Table[],
  ip: Ip,
  { addresses, peerOf, isNobodys }: Surroundings,
): void {
  if (addresses.some((own) => own.equals(ip)) || peerOf(ip) !== undefined || isNobodys(ip)) return;
  const chain = translatingChain(tables, ip);
  if (chain === undefined) return;
  throw new FlannelError('operator', `${ip} is a service: ${chain} sends its packets to one of its pods`, {
    cure: 'Give the address of such a pod (kubectl get endpointslices --all-namespaces)',
  });
}

interface Shown extends Walked {
  readonly ends: Ends;
  readonly size: number;
  readonly options: NodeOptions;
  readonly screen: Screen;
  readonly noPlan: string | undefined;
}

function show({ steps, end, ends, size, options, screen, noPlan }: Shown): void {
  const { source, destination } = ends;
  const { form } = options;
  if (form === 'json' || form === 'yaml') {
    screen.write(document(form, { from: source, to: destination, size, noPlan, steps, end }));
    return;
  }
  if (noPlan !== undefined) {
    const what = `no plan: ${escapeControl(noPlan)}: names of peers and planned ways are not known`;
    screen.line(screen.paint('yellow', what));
  }
  screen.line(screen.paint('bold', `${source} → ${destination}, ${size} bytes`));
  for (const [at, { where, what, notes }] of steps.entries()) {
    screen.line(
      `${String(at + 1).padStart(4)}  ${screen.paint('bold', where.padEnd(24))} ${escapeControl(what)}`,
    );
    for (const note of notes) screen.line(`      ${screen.paint('cyan', escapeControl(note))}`);
  }
  screen.lines(endLines(end, screen));
}

const WORDS_OF = {
  arrives: { colour: 'green', text: 'arrives' },
  leaves: { colour: 'green', text: 'leaves this node' },
  dies: { colour: 'red', text: 'ends here' },
} as const;

function endLines({ outcome, why, cure }: End, screen: Screen): string[] {
  const { colour, text } = WORDS_OF[outcome];
  const line = `      ${screen.paint(colour, text)}${outcome === 'dies' ? ':' : ''} ${escapeControl(why)}`;
  return cure === undefined ? [line] : [line, `      ${escapeControl(cure)}`];
}
