import { FlannelError } from '#base/errors.ts';
import { familyBits, type Family } from './family.ts';

/** An IP address: an immutable value. The canonical text (RFC 5952 for IPv6) serves as map key. */
export class Ip {
  readonly family: Family;
  /** The address as an unsigned integer, network order. */
  readonly value: bigint;
  #text: string | undefined;

  private constructor(family: Family, value: bigint) {
    this.family = family;
    this.value = value;
  }

  static fromValue(family: Family, value: bigint): Ip {
    if (value < 0n || value >> BigInt(familyBits(family)) !== 0n) {
      throw new FlannelError('bug', `${value} is out of range for ${family}`);
    }
    return new Ip(family, value);
  }

  /** 4 or 16 bytes in network order. */
  static fromBytes(bytes: Uint8Array): Ip {
    if (bytes.length !== 4 && bytes.length !== 16) {
      throw new FlannelError('bug', `an IP address has 4 or 16 bytes, not ${bytes.length}`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.length === 4) return new Ip('ipv4', BigInt(view.getUint32(0)));
    return new Ip('ipv6', (view.getBigUint64(0) << 64n) | view.getBigUint64(8));
  }

  /** Strict text form; undefined when it is not an address (leading zeros, zones, ports and blanks are refused). */
  static tryParse(text: string): Ip | undefined {
    if (text.length > 45) return undefined;
    if (text.includes(':')) {
      const value = parse6(text);
      return value === undefined ? undefined : new Ip('ipv6', value);
    }
    const value = parse4(text);
    return value === undefined ? undefined : new Ip('ipv4', value);
  }

  /** As `tryParse`; throws for what is not an address. */
  static parse(text: string): Ip {
    const ip = Ip.tryParse(text);
    if (ip === undefined)
      throw new FlannelError('operator', `${JSON.stringify(text.slice(0, 64))} is not an IP address`);
    return ip;
  }

  get bits(): 32 | 128 {
    return familyBits(this.family);
  }

  /** Network order, 4 or 16 bytes; a fresh array. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.bits / 8);
    const view = new DataView(bytes.buffer);
    if (this.family === 'ipv4') view.setUint32(0, Number(this.value));
    else {
      view.setBigUint64(0, this.value >> 64n);
      view.setBigUint64(8, this.value & 0xffff_ffff_ffff_ffffn);
    }
    return bytes;
  }

  /** The address `n` further on (negative: back). Throws past the end of the family's space. */
  add(n: bigint | number): Ip {
    return Ip.fromValue(this.family, this.value + BigInt(n));
  }

  equals(other: Ip): boolean {
    return this.family === other.family && this.value === other.value;
  }

  compare(other: Ip): number {
    if (this.family !== other.family) return this.family === 'ipv4' ? -1 : 1;
    return this.value < other.value ? -1 : Number(this.value > other.value);
  }

  isUnspecified(): boolean {
    return this.value === 0n;
  }

  isLoopback(): boolean {
    return this.family === 'ipv4' ? this.value >> 24n === 127n : this.value === 1n;
  }

  isMulticast(): boolean {
    return this.family === 'ipv4' ? this.value >> 28n === 0xen : this.value >> 120n === 0xffn;
  }

  /** 169.254.0.0/16 or fe80::/10. */
  isLinkLocal(): boolean {
    return this.family === 'ipv4' ? this.value >> 16n === 0xa9fen : this.value >> 118n === 0x3fan;
  }

  toString(): string {
    this.#text ??= this.family === 'ipv4' ? text4(this.value) : text6(this.value);
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }
}

/**
 * One to three decimal digits without leading zeros; undefined for anything else. By hand: the first regular expression
 * of a process costs it more than a whole address.
 */
export function parseDecimal(text: string): number | undefined {
  const { length } = text;
  if (length === 0 || length > 3 || (length > 1 && text.startsWith('0'))) return undefined;
  let value = 0;
  for (let at = 0; at < length; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

function parse4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    const byte = parseDecimal(part);
    if (byte === undefined || byte > 255) return undefined;
    value = (value << 8n) | BigInt(byte);
  }
  return value;
}

/** RFC 4291 section 2.2: up to eight groups, one `::`, an optional dotted tail. */
function parse6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups: bigint[][] = [];
  for (const [index, half] of halves.entries()) {
    const list: bigint[] = [];
    const parts = half === '' ? [] : half.split(':');
    for (const [at, part] of parts.entries()) {
      if (part.includes('.')) {
        const dotted = at === parts.length - 1 && index === halves.length - 1 ? parse4(part) : undefined;
        if (dotted === undefined) return undefined;
        list.push(dotted >> 16n, dotted & 0xffffn);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
        list.push(BigInt(`0x${part}`));
      } else return undefined;
    }
    groups.push(list);
  }
  const [head = [], tail = []] = groups;
  const given = head.length + tail.length;
  if (halves.length === 1 ? given !== 8 : given > 7) return undefined;
  const all = [...head, ...Array.from({ length: 8 - given }, () => 0n), ...tail];
  return all.reduce((value, group) => (value << 16n) | group, 0n);
}

function text4(value: bigint): string {
  const n = Number(value);
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function text6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  if (value >> 32n === 0xffffn) return `::ffff:${text4(value & 0xffffffffn)}`;
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length += 1;
    if (length > best.length) best = { at, length };
  }
  const hex = (list: number[]) => list.map((group) => group.toString(16)).join(':');
  if (best.at < 0) return hex(groups);
  return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`;
}
