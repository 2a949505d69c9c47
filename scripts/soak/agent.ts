import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { agentArgv } from '#lab/serve/agent.ts';
import { startHeld } from '#lab/serve/child.ts';
import { enterArgv } from '#lab/process/places.ts';
import type { NodeState } from '#lab/state/state.ts';
import { KUBECONFIG_FLAG } from './service-token.ts';

export interface AgentParts {
  /** Where it runs. */
  readonly node: NodeState;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Told when it ends without having been asked to. */
  readonly onDeath: (words: string) => void;
}

/** What an agent holds at one moment. */
export interface Holding {
  readonly pid: number;
  /** Resident set and the anonymous part of it, bytes. */
  readonly rss: number;
  readonly anonymous: number;
  /** Open files and sockets without the connections by TCP. */
  readonly descriptors: number;
  /** Connections to the API server, and from those who ask for its health. */
  readonly connections: number;
}

/** The flanneld of one node. */
export class Agent {
  readonly #parts: AgentParts;
  #process: Bun.Subprocess | undefined;
  #asked = false;
  #executable: string | undefined;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  start(): void {
    const { node, env, logFile } = this.#parts;
    const [built = '', ...flags] = agentArgv(['--kube-subnet-mgr', KUBECONFIG_FLAG]);
    const argv = enterArgv({ kind: 'node', name: node.name, node }, [this.#executable ?? built, ...flags]);
    this.#asked = false;
    const started = startHeld(argv, { env: { ...env, NODE_NAME: node.name }, log: logFile });
    this.#process = started;
    void started.exited.then(() => {
      if (this.#asked || this.#process !== started) return;
      const how = started.signalCode ?? `exit code ${started.exitCode}`;
      this.#parts.onDeath(`flanneld of ${node.name} ended by itself (${how})`);
    });
  }

  /** The next start is that of `executable`, or of the one that was built when it already is. */
  exchange(executable: string): void {
    this.#executable = this.#executable === executable ? undefined : executable;
  }

  /** Sends the signal, waits for the end and returns the exit code, null after a signal. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const running = this.#process;
    if (running === undefined) return null;
    this.#asked = true;
    running.kill(signal);
    await running.exited;
    return running.exitCode;
  }

  /** SIGSTOP: it is there and does nothing. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Undefined while there is none. */
  holding(): Holding | undefined {
    const pid = this.#process?.pid;
    if (pid === undefined || this.#process?.exitCode !== null) return undefined;
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const kib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
      return {
        pid,
        rss: kib('VmRSS') * 1024,
        anonymous: kib('RssAnon') * 1024,
        ...descriptorsOf(pid),
      };
    } catch {
      // It has just ended.
      return undefined;
    }
  }

  /** The last lines that it wrote. */
  logTail(lines: number): string[] {
    return this.logSince(0).trimEnd().split('\n').slice(-lines);
  }

  /** Bytes that all its processes have written. */
  get logSize(): number {
    return statSync(this.#parts.logFile, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** What was written behind the first `bytes`. */
  logSince(bytes: number): string {
    try {
      return readFileSync(this.#parts.logFile).subarray(bytes).toString('utf8');
    } catch {
      return '';
    }
  }
}

/** TCP connections come and go with requests, listeners stay. */
function descriptorsOf(pid: number): { descriptors: number; connections: number } {
  const tables = ['tcp', 'tcp6'].map((table) => readFileSync(`/proc/${pid}/net/${table}`, 'latin1'));
  const lines = tables.flatMap((text) => text.trimEnd().split('\n').slice(1));
  // Columns of /proc/net/tcp: 3 is the state (0A: listening), 9 the inode (`net/ipv4/tcp_ipv4.c`, get_tcp4_sock).
  const columns = lines.map((line) => line.trim().split(/\s+/)).filter((column) => column[3] !== '0A');
  const inodes = new Set(columns.map((column) => `socket:[${column[9]}]`));
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(pid, fd));
  const connections = targets.filter((target) => inodes.has(target)).length;
  return { descriptors: targets.length - connections, connections };
}

function targetOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    // Closed between the look at the folder and this one.
    return '';
  }
}
