import { until } from './until.ts';

const root = new URL('../../..', import.meta.url).pathname;
const PORT = 18_000;

/** The API server program full of Nodes, as a process of its own. */
export class FatCluster implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  readonly url = `http://127.0.0.1:${PORT}`;
  readonly nodes: number;

  private constructor(child: Bun.Subprocess, nodes: number) {
    this.#child = child;
    this.nodes = nodes;
  }

  /** Ready, with the list encoded and compressed: what that costs is the API server's business. */
  static async start(nodes: number): Promise<FatCluster> {
    const argv = ['scripts/fat-api.ts', '--nodes', String(nodes), '--port', String(PORT), '--gzip'];
    const child = Bun.spawn([process.execPath, ...argv], { stdout: 'ignore', cwd: root });
    const cluster = new FatCluster(child, nodes);
    const ready = () =>
      fetch(`${cluster.url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until('the API server', ready, { timeout: 120_000, pause: 50 });
    const list = `${cluster.url}/api/v1/nodes?limit=250&resourceVersion=0`;
    for (const accept of ['application/vnd.kubernetes.protobuf', 'application/json'])
      await (await fetch(list, { headers: { accept } })).bytes();
    return cluster;
  }

  async bytesSent(): Promise<number> {
    return (await this.#ask<{ bytesSent: number }>('GET', 'stats')).bytesSent;
  }

  /** Gives a Node another VTEP MAC; `at`: wall clock of the change, ms. */
  touch(index: number): Promise<{ vtepMac: string; at: number }> {
    return this.#ask('POST', `touch?node=node-${String(index).padStart(5, '0')}`);
  }

  beat(from: number, count: number): Promise<{ at: number }> {
    return this.#ask('POST', `beat?from=${from}&count=${count}`);
  }

  join(from: number, count: number): Promise<{ began: number; at: number }> {
    return this.#ask('POST', `join?from=${from}&count=${count}`);
  }

  async #ask<T>(method: string, path: string): Promise<T> {
    const response = await fetch(`${this.url}/-/${path}`, { method });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#child.exited;
  }
}
