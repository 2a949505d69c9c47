import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { BackendCommands, Command, PeerFacts } from '#backend/backend.ts';
import type { AppliedFacts } from './applied-facts.ts';
import type { RunCommand } from './run-command.ts';

export interface PeerCommandsOptions {
  readonly commands: Pick<BackendCommands, 'add' | 'remove'>;
  readonly applied: AppliedFacts;
  readonly run: RunCommand;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Commands that run at the same time, each for another peer. */
const AT_ONCE = 4;
/** How often a remove command is tried: what it is to remove may be gone already. */
const REMOVE_TRIES = 3;

/** What is known of one peer. */
interface Job {
  wanted: PeerFacts | undefined;
  /** In this run its add command has been run. */
  fresh: boolean;
  working: boolean;
  removals: number;
  complaint: string;
  readonly backoff: Backoff;
  /** Ends a wait between attempts. */
  wake: AbortController;
}

/**
 * Runs a backend's commands for each peer: in order for one peer, the latest wish wins, failures are tried again. At start every add
 * command is run once more, as the original does: the command before it may have made its device anew.
 */
export class PeerCommands {
  readonly #options: PeerCommandsOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #queue: (() => void)[] = [];
  #running = 0;
  #started = false;

  constructor(options: PeerCommandsOptions) {
    this.#options = options;
  }

  /** What is wanted for a peer; undefined: nothing, or no longer. */
  set(name: string, facts: PeerFacts | undefined): void {
    const job = this.#jobs.get(name) ?? this.#job(name);
    if (job.fresh && same(job.wanted, facts)) return;
    job.wanted = facts;
    job.wake.abort();
    this.#start(name, job);
  }

  /** Begins; peers of an earlier run that are no longer wanted are removed. */
  start(): void {
    this.#started = true;
    for (const name of this.#options.applied.names()) if (!this.#jobs.has(name)) this.#job(name);
    for (const [name, job] of this.#jobs) this.#start(name, job);
  }

  #job(name: string): Job {
    const backoff = new Backoff({ initial: 1000, max: 60_000, random: this.#options.random });
    const job: Job = {
      wanted: undefined,
      fresh: false,
      working: false,
      removals: 0,
      complaint: '',
      backoff,
      wake: new AbortController(),
    };
    this.#jobs.set(name, job);
    return job;
  }

  #start(name: string, job: Job): void {
    if (!this.#started || job.working) return;
    job.working = true;
    // Rejects only when the agent stops.
    void this.#work(name, job).catch(() => {});
  }

  async #work(name: string, job: Job): Promise<void> {
    const { signal, clock } = this.#options;
    for (let done = false; !done;) {
      await this.#turn();
      const { wanted } = job;
      let again = false;
      try {
        again = await this.#step(name, job);
      } finally {
        this.#running -= 1;
        this.#queue.shift()?.();
      }
      if (again && job.wanted === wanted) {
        job.wake = new AbortController();
        // Rejects when there is something else to do, or the agent stops.
        await clock.sleep(job.backoff.next(), AbortSignal.any([signal, job.wake.signal])).catch(() => {});
      }
      signal.throwIfAborted();
      done = !again && this.#settled(name, job);
    }
    job.working = false;
    if (job.wanted === undefined) this.#jobs.delete(name);
  }

  #settled(name: string, { wanted, fresh }: Job): boolean {
    const applied = this.#options.applied.get(name);
    return wanted === undefined ? applied === undefined : fresh && same(applied, wanted);
  }

  /** One command; true when it failed and is to be tried again after a while. */
  async #step(name: string, job: Job): Promise<boolean> {
    const { applied, commands } = this.#options;
    const { wanted } = job;
    const there = applied.get(name);
    if (there !== undefined && !same(there, wanted)) {
      const sound = await this.#run(name, job, commands.remove(there));
      job.removals += 1;
      if (!sound && job.removals < REMOVE_TRIES) return true;
      job.removals = 0;
      applied.set(name, undefined);
      return false;
    }
    if (wanted === undefined) return false;
    const sound = await this.#run(name, job, commands.add(wanted));
    // What an earlier run has made is often in its own way; it was sound then.
    if (!sound && there === undefined) return true;
    job.fresh = true;
    applied.set(name, wanted);
    return false;
  }

  async #run(name: string, job: Job, command: Command | undefined): Promise<boolean> {
    if (command === undefined) return true;
    const { run, log, signal } = this.#options;
    try {
      const output = await run(command, signal);
      log.debug('command ran', { what: command.what, peer: name, output: output.trim().slice(0, 200) });
      job.complaint = '';
      job.backoff.reset();
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const text = describe(error);
      if (text !== job.complaint) log.warn('a command failed', { peer: name, error: text });
      job.complaint = text;
      return false;
    }
  }

  async #turn(): Promise<void> {
    this.#running += 1;
    if (this.#running <= AT_ONCE) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue.push(resolve);
    await promise;
  }
}

function same(a: PeerFacts | undefined, b: PeerFacts | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.stdin === b.stdin && JSON.stringify(a.values) === JSON.stringify(b.values);
}
