import { expect } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Subprocess } from 'bun';
import { held } from '#lab/serve/child.ts';
import { eventually } from './eventually.ts';

export interface EtcdOptions {
  /** Default 1. */
  readonly members?: number;
  /** PEM files: members and clients prove themselves. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  readonly folder: string;
  process: Subprocess | undefined;
}

/** Debian's etcd, one or several members on 127.0.0.1, in a folder of its own. */
export class EtcdCluster implements AsyncDisposable {
  readonly #options: EtcdOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'flannel-etcd-'));
  readonly #members: Member[] = [];

  private constructor(options: EtcdOptions) {
    this.#options = options;
  }

  static async start(options: EtcdOptions = {}): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(options);
    const scheme = options.tls === undefined ? 'http' : 'https';
    for (let at = 0; at < (options.members ?? 1); at += 1) {
      const client = `${scheme}://127.0.0.1:${await freePort()}`;
      const peer = `http://127.0.0.1:${await freePort()}`;
      const name = `m${at}`;
      const folder = join(cluster.#folder, name);
      cluster.#members.push({ name, client, peer, folder, process: undefined });
    }
    for (const each of cluster.#members) cluster.#spawn(each);
    await cluster.healthy();
    return cluster;
  }

  get endpoints(): string[] {
    return this.#members.map(({ client }) => client);
  }

  /** Which member leads. */
  leader(): number {
    const status = JSON.parse(this.ctl('endpoint', 'status', '-w', 'json')) as {
      Endpoint: string;
      Status: { leader: number; header: { member_id: number } };
    }[];
    const found = status.find(({ Status }) => Status.leader === Status.header.member_id);
    return this.endpoints.indexOf(found?.Endpoint ?? '');
  }

  /** Ends a member: SIGKILL unless told otherwise. */
  async kill(at = 0, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const member = this.#member(at);
    member.process?.kill(signal);
    await member.process?.exited;
    member.process = undefined;
  }

  /** Stops a member without its connections being closed: what a dead machine looks like. */
  /** Returns when it has stopped: the signal alone may still let it answer. */
  async freeze(at = 0): Promise<void> {
    const { process } = this.#member(at);
    if (process === undefined) return;
    process.kill('SIGSTOP');
    const threads = `/proc/${process.pid}/task`;
    const states = () => readdirSync(threads).map((id) => readFileSync(`${threads}/${id}/stat`, 'utf8'));
    await eventually(() => expect(states().filter((stat) => !stat.includes(') T '))).toEqual([]));
  }

  thaw(at = 0): void {
    this.#member(at).process?.kill('SIGCONT');
  }

  async restart(at = 0): Promise<void> {
    this.#spawn(this.#member(at));
    await this.healthy();
  }

  /** Runs etcdctl; returns what it prints. */
  ctl(...args: readonly string[]): string {
    const { tls } = this.#options;
    const secure = tls === undefined ? [] : [`--cacert=${tls.ca}`, `--cert=${tls.cert}`, `--key=${tls.key}`];
    const alive = this.#members.filter((each) => each.process !== undefined).map(({ client }) => client);
    const result = Bun.spawnSync(['etcdctl', `--endpoints=${alive.join(',')}`, ...secure, ...args], {
      env: { ETCDCTL_API: '3', PATH: process.env['PATH'] ?? '' },
    });
    if (result.exitCode !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${result.stderr.toString()}`);
    return result.stdout.toString();
  }

  /** Keys and values below a prefix. */
  all(prefix: string): Map<string, string> {
    const { kvs = [] } = JSON.parse(this.ctl('get', '--prefix', prefix, '-w', 'json')) as {
      kvs?: { key: string; value?: string }[];
    };
    const text = (base64 = '') => Buffer.from(base64, 'base64').toString();
    return new Map(kvs.map(({ key, value }) => [text(key), text(value)]));
  }

  healthy(): Promise<void> {
    return eventually(() => void this.ctl('endpoint', 'health'), 60_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#members) {
      each.process?.kill('SIGCONT');
      each.process?.kill('SIGKILL');
      await each.process?.exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #member(at: number): Member {
    const member = this.#members[at];
    if (member === undefined) throw new Error(`no member ${at}`);
    return member;
  }

  #spawn(member: Member): void {
    const { tls } = this.#options;
    const secure =
      tls === undefined
        ? []
        : [
            `--cert-file=${tls.cert}`,
            `--key-file=${tls.key}`,
            `--trusted-ca-file=${tls.ca}`,
            '--client-cert-auth',
          ];
    member.process = Bun.spawn(
      held([
        'etcd',
        `--name=${member.name}`,
        `--data-dir=${member.folder}`,
        `--listen-client-urls=${member.client}`,
        `--advertise-client-urls=${member.client}`,
        `--listen-peer-urls=${member.peer}`,
        `--initial-advertise-peer-urls=${member.peer}`,
        `--initial-cluster=${this.#members.map(({ name, peer }) => `${name}=${peer}`).join(',')}`,
        ...secure,
      ]),
      { stdin: 'ignore', stdout: 'ignore', stderr: Bun.file(join(this.#folder, `${member.name}.log`)) },
    );
  }

  /** The end of a member's log, for messages. */
  log(at = 0): string {
    return readFileSync(join(this.#folder, `${this.#member(at).name}.log`), 'utf8').slice(-2000);
  }
}

/** Where ports begin that the kernel gives to connections, as a rule; those below it stay free while a member is away. */
const EPHEMERAL = 32_768;
const LOWEST = 20_000;

/** A port that nobody listens on, and that no connection gets by chance before the member has it (again). */
async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (EPHEMERAL - LOWEST));
    const server = createServer();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
    if (!(await promise)) continue;
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    await closed.promise;
    return port;
  }
}
