import { runOrThrow } from '#lab/process/run.ts';

const DEVICE = 'leak';

/**
 * Counts packets for some subnets that reach the router of the underlay, where nobody should send them: they leave it by a
 * device of their own, which leads nowhere.
 */
export class LeakMeter implements AsyncDisposable {
  readonly #env: Readonly<Record<string, string>>;

  private constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  static async open(subnets: readonly string[], env: Readonly<Record<string, string>>): Promise<LeakMeter> {
    const meter = new LeakMeter(env);
    await meter.#ip(`link add ${DEVICE} type dummy`);
    // Nothing of its own to send.
    await meter.#ip(`link set ${DEVICE} addrgenmode none`);
    await meter.#ip(`link set ${DEVICE} up`);
    for (const subnet of subnets) await meter.#ip(`route add ${subnet} dev ${DEVICE}`);
    return meter;
  }

  async packets(): Promise<number> {
    const text = await this.#ip(`-s -j link show ${DEVICE}`);
    const [link] = JSON.parse(text) as readonly { readonly stats64?: { readonly tx: { packets: number } } }[];
    return link?.stats64?.tx.packets ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ip(`link delete ${DEVICE}`);
  }

  #ip(command: string): Promise<string> {
    return runOrThrow(['ip', ...command.split(' ')], { env: this.#env });
  }
}
