import { FlannelError } from '#base/errors.ts';
import type { Family } from './family.ts';
import { Ip, parseDecimal } from './ip.ts';

/** An address with a prefix length. Host bits are kept: 10.244.1.1/24 is a value, `network()` its network. */
export class Cidr {
  readonly ip: Ip;
  /** Prefix length in bits. */
  readonly length: number;

  constructor(ip: Ip, length: number) {
    if (!Number.isInteger(length) || length < 0 || length > ip.bits) {
      throw new FlannelError('operator', `/${length} is not a prefix length of ${ip.family}`);
    }
    this.ip = ip;
    this.length = length;
  }

  static tryParse(text: string): Cidr | undefined {
    const slash = text.indexOf('/');
    if (slash < 0) return undefined;
    const ip = Ip.tryParse(text.slice(0, slash));
    const length = parseDecimal(text.slice(slash + 1));
    return ip === undefined || length === undefined || length > ip.bits ? undefined : new Cidr(ip, length);
  }

  static parse(text: string): Cidr {
    const cidr = Cidr.tryParse(text);
    if (cidr === undefined)
      throw new FlannelError(
        'operator',
        `${JSON.stringify(text.slice(0, 64))} is not a CIDR (address/length)`,
      );
    return cidr;
  }

  get family(): Family {
    return this.ip.family;
  }

  /** How many addresses it spans. */
  get size(): bigint {
    return 1n << BigInt(this.ip.bits - this.length);
  }

  /** The same prefix with all host bits zero. */
  network(): Cidr {
    return new Cidr(this.first(), this.length);
  }

  first(): Ip {
    const host = BigInt(this.ip.bits - this.length);
    return Ip.fromValue(this.family, (this.ip.value >> host) << host);
  }

  last(): Ip {
    return this.first().add(this.size - 1n);
  }

  isNetwork(): boolean {
    return this.first().equals(this.ip);
  }

  contains(other: Ip | Cidr): boolean {
    const ip = other instanceof Ip ? other : other.ip;
    if (ip.family !== this.family) return false;
    if (other instanceof Cidr && other.length < this.length) return false;
    const host = BigInt(this.ip.bits - this.length);
    return ip.value >> host === this.ip.value >> host;
  }

  overlaps(other: Cidr): boolean {
    return this.contains(other.first()) || other.contains(this.first());
  }

  equals(other: Cidr): boolean {
    return this.length === other.length && this.ip.equals(other.ip);
  }

  toString(): string {
    return `${this.ip}/${this.length}`;
  }

  toJSON(): string {
    return this.toString();
  }
}
