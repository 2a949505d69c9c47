import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { cureOf, describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Backend, Command, PeerFacts } from '#backend/backend.ts';
import type { PerFamily } from '#subnet/lease.ts';
import { AppliedFacts } from './applied-facts.ts';
import type { AgentOptions } from './options.ts';
import { PeerCommands } from './peer-commands.ts';
import type { Reporter } from './reporter.ts';
import { commandRunner } from './run-command.ts';

export interface CommandsParts {
  readonly options: AgentOptions;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly stop: AbortSignal;
  readonly stack: AsyncDisposableStack;
  readonly reporter: Pick<Reporter, 'waiting'>;
}

/** The commands of a backend, each at its time. */
export interface Commands {
  /** `backend-data` by the command that comes before the lease; undefined when there is none. Waits until it succeeds. */
  before(): Promise<PerFamily<string> | undefined>;
  /** Waits until the command that comes after the lease succeeds. */
  after(): Promise<void>;
  readonly onFacts: (name: string, facts: PeerFacts | undefined) => void;
  /** The peers are known: begins with their commands. */
  start(): void;
}

const TIMEOUT = 30_000;
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Prepares the commands of a backend that has some. `file`: where peers are written down. */
export function startCommands(backend: Backend, parts: CommandsParts, file: string): Commands | undefined {
  const { commands } = backend;
  if (commands === undefined) return undefined;
  const { options, log, stop, stack } = parts;
  const run = commandRunner({ path: options.env['PATH'] ?? SYSTEM_PATH, timeoutMs: TIMEOUT });
  const applied = stack.use(new AppliedFacts(file, log));
  const peers = new PeerCommands({ ...parts, commands, applied, run, signal: stop });
  const once = (command: Command | undefined) =>
    command === undefined ? undefined : untilSuccess(command, () => run(command, stop), parts);
  return {
    async before() {
      const output = await once(commands.before);
      return output === undefined ? undefined : commands.published(output);
    },
    after: async () => {
      await once(commands.after);
    },
    onFacts: (name, facts) => peers.set(name, facts),
    start: () => peers.start(),
  };
}

async function untilSuccess(
  { what }: Command,
  attempt: () => Promise<string>,
  { clock, random, log, stop, reporter }: CommandsParts,
): Promise<string> {
  const backoff = new Backoff({ initial: 500, max: 15_000, random });
  reporter.waiting(`running ${what}`);
  for (let said = ''; ;) {
    try {
      const output = await attempt();
      log.info('command ran', { what });
      log.debug('its output', { what, output: output.trim().slice(0, 200) });
      return output;
    } catch (error) {
      stop.throwIfAborted();
      const text = describe(error);
      const cure = cureOf(error);
      if (text !== said)
        log.error('a command failed; trying again', { error: text, ...(cure === undefined ? {} : { cure }) });
      said = text;
      reporter.waiting(text);
      await clock.sleep(backoff.next(), stop);
    }
  }
}
