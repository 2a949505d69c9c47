import { readFileSync } from 'node:fs';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import { gatewayOf, renderSubnetEnv, writeSubnetEnv, type SubnetEnv } from '#subnet/env.ts';
import type { OwnRecord } from '#subnet/manager.ts';

export interface SubnetFileContent {
  readonly config: NetworkConfig;
  readonly own: OwnRecord;
  readonly mtu: number;
  readonly ipMasq: boolean;
}

/** How often somebody's removal of the file is noticed, ms. */
const PERIOD = 1000;

/** `subnet.env`: written when the overlay works, and again when somebody removes or edits it. */
export class SubnetFile {
  readonly #path: string;
  readonly #env: SubnetEnv;
  readonly #text: string;

  constructor(path: string, content: SubnetFileContent) {
    const { config, own, mtu, ipMasq } = content;
    const networks: Partial<Record<Family, readonly Cidr[]>> = {};
    const gateways: Partial<Record<Family, Cidr>> = {};
    for (const family of config.families) {
      const network = config.networks[family];
      const subnet = own.subnets[family];
      if (network === undefined || subnet === undefined) continue;
      networks[family] = [network];
      gateways[family] = gatewayOf(subnet);
    }
    this.#path = path;
    this.#env = { networks, gateways, mtu, ipMasq };
    this.#text = renderSubnetEnv(this.#env);
  }

  /** Writes the file when it is not as it should be. Throws what the file system says. */
  ensure(): void {
    if (this.#read() !== this.#text) writeSubnetEnv(this.#path, this.#env);
  }

  /** Keeps it; returns what ends that. A failure is told once until it changes. */
  keep(onError: (error: unknown) => void): () => void {
    let said = '';
    const timer = setInterval(() => {
      try {
        this.ensure();
        said = '';
      } catch (error) {
        const text = String(error);
        if (text !== said) onError(error);
        said = text;
      }
    }, PERIOD);
    return () => clearInterval(timer);
  }

  #read(): string | undefined {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch {
      return undefined;
    }
  }
}
