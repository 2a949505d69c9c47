import { isatty } from 'node:tty';
import { standardScreen, writeStandardOutput, type Screen } from '#lab/report/screen.ts';
import { NODE_HELP, parseNode, type NodeOptions } from './options.ts';
import { watch } from './watch.ts';

/** The commands that look at this node. */
export type NodeCommand = 'status' | 'peers' | 'pods' | 'plan' | 'diff';

const ABOUT: Readonly<Record<NodeCommand, string>> = {
  status: `How this node's pod network is: lease, peers, entries, rules, the watch, addresses, repairs. Asks the agent; without it
looks at its files and into the kernel. Exit code 1 when the agent does not run or does not do its work.

  --watch                    again every second, until Ctrl-C`,
  peers: 'The other nodes: what is planned for each, whether the kernel has it, and why one is left out.',
  pods: "The pods of this node: ports of the bridge and host-local's reservations, joined.",
  plan: 'Everything that the agent wants in the kernel: devices, addresses, entries, rules. Without the agent from its last record.',
  diff: `What the kernel has otherwise than planned: what the agent's next pass would mend. Writes nothing. Exit code 1 when there is
something, 0 when there is nothing.`,
};

const COMMANDS: Readonly<Record<NodeCommand, (options: NodeOptions, screen: Screen) => Promise<number>>> = {
  status: async (options, screen) => (await import('./status.ts')).status(options, screen),
  peers: async (options, screen) => (await import('./peers.ts')).peers(options, screen),
  pods: async (options, screen) => (await import('./pods-table.ts')).pods(options, screen),
  plan: async (options, screen) => (await import('./plan.ts')).plan(options, screen),
  diff: async (options, screen) => (await import('./plan.ts')).diff(options, screen),
};

/** What `--help` says of a command. */
export function nodeHelp(command: NodeCommand): string {
  const head = `usage: flannelctl ${command} [flags]\n\n${ABOUT[command]}`;
  return `${head}${command === 'status' ? '\n' : '\n\n'}${NODE_HELP}`;
}

/** `flannelctl status|peers|pods|plan|diff`. Returns the exit code. */
export async function nodeMain(command: NodeCommand, args: readonly string[]): Promise<number> {
  const parsed = parseNode(command, args, command === 'status' ? { watch: false } : {});
  if (parsed === 'help') {
    writeStandardOutput(nodeHelp(command));
    return 0;
  }
  const { node, given } = parsed;
  const terminal = isatty(1);
  const run = COMMANDS[command];
  if (!('watch' in given) || !given['watch']) return run(node, standardScreen(terminal, process.env));
  const draw = (write: (text: string) => void) => run(node, standardScreen(terminal, process.env, write));
  await untilInterrupted((signal) => watch(draw, { terminal, write: writeStandardOutput, signal }));
  return 0;
}

/** Ctrl-C is the way out of it, and no fault. */
async function untilInterrupted(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const end = new AbortController();
  const stop = () => end.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  try {
    await work(end.signal);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  }
}
