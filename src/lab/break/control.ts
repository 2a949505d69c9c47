import { FlannelError } from '#base/errors.ts';

/** The control socket of a running lab, seen from a command. */
export class Control {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Refuses every connection to the API for `ms`. */
  async cut(ms: number): Promise<void> {
    await this.#call(`/cut?ms=${ms}`, 'POST');
  }

  /** Whether the agent at this address says ready. */
  async isReady(ip: string): Promise<boolean> {
    const answer = (await this.#call(`/ready/${ip}`, 'GET')) as { ready?: boolean };
    return answer.ready === true;
  }

  /** Adds a Node that exists on paper only. */
  async addNode(node: {
    readonly metadata: { readonly name: string };
    readonly spec: object;
  }): Promise<void> {
    await this.#call(`/nodes/${node.metadata.name}`, 'PUT', node);
  }

  async deleteNode(name: string): Promise<void> {
    await this.#call(`/nodes/${name}`, 'DELETE');
  }

  async #call(path: string, method: string, body?: object): Promise<unknown> {
    const response = await fetch(`http://lab${path}`, {
      method,
      unix: this.#socket,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.ok) return response.json();
    throw new FlannelError(
      'bug',
      `the lab answers ${response.status} to ${method} ${path}: ${await response.text()}`,
    );
  }
}
