import { runOrThrow } from '#lab/process/run.ts';

const DEVICE = 'leak';
const TABLE = 99;

export interface LeakPlace {
  readonly subnets: readonly string[];
  /** The device that the packets come by. */
  readonly from: string;
}

/**
 * Counts packets for some subnets that reach the router of the underlay, where nobody should send them: they leave it by a
 * device of their own, which leads nowhere.
 */
export class LeakMeter implements AsyncDisposable {
  readonly #env: Readonly<Record<string, string>>;

  private constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  static async open({ subnets, from }: LeakPlace, env: Readonly<Record<string, string>>): Promise<LeakMeter> {
    const meter = new LeakMeter(env);
    await meter.#ip(`link add ${DEVICE} type veth peer name ${DEVICE}-end`);
    // It has nothing of its own to send, and asks nobody for a MAC.
    for (const device of [DEVICE, `${DEVICE}-end`]) {
      await meter.#ip(`link set ${device} addrgenmode none arp off`);
      await meter.#ip(`link set ${device} up`);
    }
    for (const subnet of subnets) await meter.#ip(`route add ${subnet} dev ${DEVICE} table ${TABLE}`);
    // Not for what the router itself has to say, e.g. that it knows no way.
    for (const family of ['-4', '-6']) await meter.#ip(`${family} rule add iif ${from} lookup ${TABLE}`);
    return meter;
  }

  async packets(): Promise<number> {
    const text = await this.#ip(`-s -j link show ${DEVICE}`);
    const [link] = JSON.parse(text) as readonly { readonly stats64?: { readonly tx: { packets: number } } }[];
    return link?.stats64?.tx.packets ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const family of ['-4', '-6']) await this.#ip(`${family} rule del lookup ${TABLE}`);
    await this.#ip(`link delete ${DEVICE}`);
  }

  #ip(command: string): Promise<string> {
    return runOrThrow(['ip', ...command.split(' ')], { env: this.#env });
  }
}
