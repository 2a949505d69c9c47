import { FlannelError } from '#base/errors.ts';

/** The control socket of a running lab, seen from a command. */
export class Control {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Refuses every connection to the store for `ms`. */
  async cut(ms: number): Promise<void> {
    await this.#call(`/cut?ms=${ms}`, 'POST');
  }

  /** Whether the agent at this address says ready. */
  async isReady(ip: string): Promise<boolean> {
    const answer = (await this.#call(`/ready/${ip}`, 'GET')) as { ready?: boolean };
    return answer.ready === true;
  }

  /** Adds a node that exists on paper only. */
  async addPaperNode(): Promise<void> {
    await this.#call('/paper', 'PUT');
  }

  async removePaperNode(): Promise<void> {
    await this.#call('/paper', 'DELETE');
  }

  async #call(path: string, method: string): Promise<unknown> {
    const response = await fetch(`http://lab${path}`, {
      method,
      unix: this.#socket,
    });
    if (response.ok) return response.json();
    throw new FlannelError(
      'bug',
      `the lab answers ${response.status} to ${method} ${path}: ${await response.text()}`,
    );
  }
}
