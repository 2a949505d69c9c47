import { BIN } from './cni-machine.ts';
import { callPlugin, type CniResultJson, type Outcome } from './cni.ts';

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIP?: string;
}

/** A pod as a runtime knows it. */
export interface Attachment {
  readonly containerId: string;
  /** Path; `''` for none. */
  readonly netns: string;
  readonly portMappings?: readonly PortMapping[];
}

export interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly { readonly type: string; readonly capabilities?: object }[];
}

/** Runs a network list as libcni does: one after the other, DEL from the last to the first. */
export class Chain {
  readonly #list: NetworkList;
  readonly #dir: string;

  /** `dir`: the folder of the plugins' executables. */
  constructor(list: NetworkList, dir: string = BIN) {
    this.#list = list;
    this.#dir = dir;
  }

  /** Throws the words of the plugin that fails. */
  async add(pod: Attachment): Promise<CniResultJson> {
    let prevResult: object | undefined;
    for (const plugin of this.#list.plugins) {
      const { stdout } = await this.#call('ADD', pod, { plugin, prevResult });
      prevResult = JSON.parse(stdout) as object;
    }
    return prevResult as CniResultJson;
  }

  async check(pod: Attachment, prevResult: object): Promise<void> {
    for (const plugin of this.#list.plugins) await this.#call('CHECK', pod, { plugin, prevResult });
  }

  /** Without `prevResult` as after a crash of the runtime. */
  async del(pod: Attachment, prevResult?: object): Promise<void> {
    for (const plugin of this.#list.plugins.toReversed())
      await this.#call('DEL', pod, { plugin, prevResult });
  }

  async #call(
    command: string,
    pod: Attachment,
    { plugin, prevResult }: { plugin: NetworkList['plugins'][number]; prevResult: object | undefined },
  ): Promise<Outcome> {
    const { capabilities, ...own } = plugin;
    const { name, cniVersion } = this.#list;
    const { portMappings } = pod;
    const mapped = capabilities !== undefined && portMappings !== undefined;
    const config = {
      ...own,
      name,
      cniVersion,
      ...(mapped ? { runtimeConfig: { portMappings } } : {}),
      ...(prevResult === undefined ? {} : { prevResult }),
    };
    const { containerId, netns } = pod;
    const outcome = await callPlugin(`${this.#dir}/${plugin.type}`, { command, containerId, netns, config });
    if (outcome.code === 0) return outcome;
    throw new Error(`${plugin.type} ${command} ${containerId}: ${outcome.stdout}${outcome.stderr}`);
  }
}
