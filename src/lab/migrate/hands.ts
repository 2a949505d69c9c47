import { FlannelError } from '#base/errors.ts';
import type { Plugins } from '../serve/pods.ts';

/** The socket of `serve/hands.ts`, seen from the command. */
export class Hands {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Resolves when the agent of the node is ready. */
  async startAgent(node: string): Promise<void> {
    await this.#call(`/agents/${node}`, 'PUT');
  }

  /** SIGTERM; the exit code. */
  async stopAgent(node: string): Promise<number> {
    const { code } = (await this.#call(`/agents/${node}`, 'DELETE')) as { code: number };
    return code;
  }

  /** Deletes the pod and makes another of its name; the new one's address. */
  async replacePod(pod: string, plugins: Plugins): Promise<string> {
    const { ip } = (await this.#call(`/pods/${pod}/${plugins}`, 'PUT')) as { ip: string };
    return ip;
  }

  /** As the API has them. */
  async annotations(node: string): Promise<Readonly<Record<string, string>>> {
    return (await this.#call(`/annotations/${node}`, 'GET')) as Record<string, string>;
  }

  async #call(path: string, method: string): Promise<unknown> {
    const response = await fetch(`http://lab${path}`, { method, unix: this.#socket });
    if (response.ok) return response.json();
    throw new FlannelError('kernel', `${method} ${path}: ${await response.text()}`);
  }
}
