import { readFileSync, rmdirSync, statSync } from 'node:fs';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import { gatewayOf, readSubnetEnv, renderSubnetEnv, writeSubnetEnv, type SubnetEnv } from '#subnet/env.ts';
import type { OwnRecord } from '#subnet/manager.ts';

export interface SubnetFileContent {
  readonly config: NetworkConfig;
  readonly own: OwnRecord;
  readonly mtu: number;
  readonly ipMasq: boolean;
}

/** How often somebody's removal of the file is noticed, ms. */
const PERIOD = 500;

export interface SubnetFileListener {
  /** After every look: the file system's error, or undefined when the file is as it should be. */
  readonly onResult: (error: unknown) => void;
  /** The file was missing or different, and is written again. */
  readonly onRepair: () => void;
}

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

  /** Writes the file when it is not as it should be; true when it had to. Throws what the file system says. */
  ensure(): boolean {
    if (this.#isSound()) return false;
    removeEmptyFolder(this.#path);
    writeSubnetEnv(this.#path, this.#env);
    return true;
  }

  /** Writes it now and keeps it; returns what ends that. */
  keep(listener: SubnetFileListener): () => void {
    const once = (): boolean => {
      try {
        const written = this.ensure();
        listener.onResult(undefined);
        return written;
      } catch (error) {
        listener.onResult(error);
        return false;
      }
    };
    once();
    const timer = setInterval(() => {
      if (once()) listener.onRepair();
    }, PERIOD);
    return () => clearInterval(timer);
  }

  /** The text is as it should be, and everybody may read it. */
  #isSound(): boolean {
    try {
      return readFileSync(this.#path, 'utf8') === this.#text && (statSync(this.#path).mode & 0o444) === 0o444;
    } catch {
      return false;
    }
  }
}

/** A container runtime makes an empty folder of a file that a pod asks for before it is there. */
function removeEmptyFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // None there, or something in it, or a mount: writing the file says what is wrong.
  }
}

/** FLANNEL_MTU as an earlier run wrote it; undefined without a sound file. */
export function writtenMtu(path: string): number | undefined {
  try {
    return readSubnetEnv(path).mtu;
  } catch {
    return undefined;
  }
}
