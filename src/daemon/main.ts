import { writeSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { ConfigError, cureOf, describe, FlannelError } from '#base/errors.ts';
import { createLogger, type Logger } from '#base/log.ts';
import { VERSION } from '#base/version.ts';
import { Agent, StartOver, type AgentContext } from './agent.ts';
import { parseFlags, type ParsedFlags } from './flags.ts';
import { startHealth } from './health.ts';
import { helpText } from './help.ts';
import { InspectSocket } from './inspect/socket.ts';
import { SOCKET_NAME } from './inspect/socket-name.ts';
import { AgentMetrics } from './metrics/agent.ts';
import { checkOptions, runFile, type AgentOptions } from './options.ts';
import { SILENCE } from './readiness.ts';
import { Systemd } from './systemd.ts';

/** What no operator sets, but a test does. */
export interface Tuning {
  /** ms without a word from the store after which the agent is not ready. */
  readonly silence?: number;
  /** How long the store may take to answer before the last known state is gone on with, ms. */
  readonly patience?: number;
  /** Least time between two writes of the last known state, ms. */
  readonly saveEvery?: number;
}

/** How long an API server that works may take at most, ms: more than one lost packet costs. */
const PATIENCE = 3000;
/** Writing 5,000 peers takes some ten milliseconds and a megabyte: seldom enough not to be noticed, ms. */
const SAVE_EVERY = 30_000;

/** Exit codes: 0 stopped on request, 1 failed, 2 bad command line or configuration (as Go's flag package does). */
export async function daemonMain(args: readonly string[], tuning: Tuning = {}): Promise<number> {
  let parsed: ParsedFlags;
  try {
    parsed = parseFlags(args, process.env);
    if (parsed.help) {
      writeSync(1, helpText());
      return 0;
    }
    if (parsed.version) {
      writeSync(1, `flanneld v${VERSION}\n`);
      return 0;
    }
    checkOptions({ flags: parsed.values, env: process.env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    writeSync(2, `flanneld: ${describe(error)}\n${error.cure === undefined ? '' : `  ${error.cure}\n`}`);
    return 2;
  }
  return runDaemon(parsed, { silence: SILENCE, patience: PATIENCE, saveEvery: SAVE_EVERY, ...tuning });
}

async function runDaemon(
  { values: flags, warnings }: ParsedFlags,
  tuning: Required<Tuning>,
): Promise<number> {
  const format = flags['log-format'];
  if (format !== 'text' && format !== 'json') {
    writeSync(2, `flanneld: --log-format: ${JSON.stringify(format)} is neither text nor json\n`);
    return 2;
  }
  const log = createLogger({
    level: flags.v > 0 ? 'debug' : 'info',
    format,
    write: (line) => writeSync(2, `${line}\n`),
    now: () => new Date(),
  });
  log.info('flanneld starts', { version: VERSION, pid: process.pid });
  for (const warning of warnings) log.warn(warning);
  for (const name of ['EVENT_QUEUE_DEPTH', 'CONT_WHEN_CACHE_NOT_READY']) {
    if (process.env[name] !== undefined)
      log.info(`${name} has no effect: there is no bounded queue and no cache to wait for`);
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info('stopping; what is in the kernel stays', { signal });
      stop.abort(new Stopped());
    });
  }
  const options: AgentOptions = { flags, env: process.env };
  const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count));
  const context = { options, log, clock: systemClock, random: Math.random, randomBytes, ...tuning };
  return serve(context, stop.signal);
}

class Stopped extends FlannelError {
  override readonly name = 'Stopped';

  constructor() {
    super('operator', 'stopped on request');
  }
}

/** Runs agents, one after another when the subnet of this node changes, until stopped. */
async function serve(parts: Omit<AgentContext, 'metrics' | 'systemd'>, signal: AbortSignal): Promise<number> {
  const { log, options } = parts;
  const { flags, env } = options;
  const metrics = new AgentMetrics();
  const isAlive = () => agent.alive;
  using systemd = new Systemd({ env, pid: process.pid, isAlive, log });
  signal.addEventListener('abort', () => systemd.stopping(), { once: true });
  const context = { ...parts, metrics, systemd };
  let agent = new Agent(context);
  const port = flags['healthz-port'];
  try {
    const sources = { readiness: () => agent.readiness(), metrics: () => metrics.render() };
    const health = port === 0 ? undefined : startHealth(flags['healthz-ip'], port, sources);
    const asked = { status: () => agent.sources.status(), overlay: () => agent.sources.overlay() };
    await using _socket = new InspectSocket({ path: runFile(options, SOCKET_NAME), sources: asked, log });
    await using _page = await startPage({ ...options, log }, () => agent);
    try {
      for (;;) {
        try {
          await agent.run(signal);
          return 0;
        } catch (error) {
          if (!(error instanceof StartOver)) throw error;
          log.warn('starting over', { reason: describe(error) });
          metrics.startedOver();
          agent = new Agent(context);
        }
      }
    } finally {
      await health?.close();
    }
  } catch (error) {
    if (signal.aborted) return 0;
    return fail(log, error);
  }
}

/** Nothing of the page is loaded unless there is to be one. */
async function startPage(
  { flags, env, log }: AgentOptions & { readonly log: Logger },
  agent: () => Agent,
): Promise<AsyncDisposable | undefined> {
  if (flags['ui-addr'] === '') return undefined;
  const { AgentPage } = await import('./page/serve.ts');
  return new AgentPage({
    address: flags['ui-addr'],
    agent: {
      status: () => agent().view.status(),
      repairs: () => agent().view.repairs(),
      overlayParts: () => agent().view.overlayParts(),
    },
    ipamDir: flags['ipam-dir'],
    env,
    log,
  });
}

function fail(log: Logger, error: unknown): number {
  if (!(error instanceof FlannelError) || error.actor === 'bug') throw error;
  const cure = error instanceof Error ? cureOf(error) : undefined;
  log.error(`flanneld cannot go on: ${describe(error)}`, cure === undefined ? {} : { cure });
  return error instanceof ConfigError ? 2 : 1;
}
