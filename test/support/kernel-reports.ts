import { eventually } from './eventually.ts';
import { must } from './netns.ts';

const MAC = '02:00:00:00:77:77';

/** Records what the kernel reports about the overlay while it lives. */
export class KernelReports implements AsyncDisposable {
  #text = '';
  readonly #children: Bun.Subprocess<'ignore', 'pipe', 'ignore'>[];
  readonly #reading: Promise<unknown>;

  constructor() {
    const watchers = [
      ['ip', 'monitor', 'link', 'address', 'route', 'neigh'],
      ['bridge', 'monitor', 'fdb'],
      ['nft', 'monitor'],
    ];
    this.#children = watchers.map((argv) => {
      return Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' });
    });
    this.#reading = Promise.all(this.#children.map((child) => this.#read(child.stdout)));
  }

  /** Lines about the overlay, without neighbour discovery and link-local addresses. */
  lines(): string[] {
    return this.#text.split('\n').filter((line) => /flannel|10\.244\.|2001:cafe/.test(line));
  }

  /** Waits until the recorders are seen to work, all of them. */
  async working(): Promise<void> {
    must([
      'ip',
      'link',
      'add',
      'flannel-probe',
      'type',
      'vxlan',
      'id',
      '99',
      'dev',
      'eth0',
      'dstport',
      '4999',
    ]);
    must(['ip', 'link', 'set', 'flannel-probe', 'up']);
    await eventually(() => {
      must([
        'bridge',
        'fdb',
        'replace',
        MAC,
        'dst',
        '192.0.2.1',
        'dev',
        'flannel-probe',
        'self',
        'permanent',
      ]);
      must(['ip', 'route', 'replace', '192.0.2.0/24', 'dev', 'flannel-probe']);
      must(['nft', 'add', 'table', 'ip', 'flannel-probe']);
      must(['nft', 'delete', 'table', 'ip', 'flannel-probe']);
      for (const said of ['192.0.2.0/24 dev flannel-probe', 'add table ip flannel-probe']) {
        if (!this.#text.includes(said)) throw new Error(`not reported: ${said}`);
      }
      if (
        !this.#text.includes(`${MAC} dst 192.0.2.1`) &&
        !this.#text.includes(`${MAC} dev flannel-probe dst`)
      )
        throw new Error(this.#text);
    });
    must(['ip', 'link', 'delete', 'flannel-probe']);
    await eventually(() => {
      if (!/Deleted \d+: flannel-probe/.test(this.#text)) throw new Error('the removal is not reported');
    });
    await Bun.sleep(50);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#text += decoder.decode(chunk, { stream: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill();
    await this.#reading;
  }
}
