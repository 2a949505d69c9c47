import { FlannelError } from '#base/errors.ts';

/** A 48-bit Ethernet address: an immutable value; its text (lower case, colons) serves as map key. */
export class Mac {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  static fromBytes(bytes: Uint8Array): Mac {
    if (bytes.length !== 6) throw new FlannelError('bug', `a MAC address has 6 bytes, not ${bytes.length}`);
    const hex = bytes.toHex();
    const pair = (at: number) => hex.slice(at, at + 2);
    return new Mac(`${pair(0)}:${pair(2)}:${pair(4)}:${pair(6)}:${pair(8)}:${pair(10)}`);
  }

  /** Six pairs of hex digits with `:` or `-`; undefined for anything else. */
  static tryParse(text: string): Mac | undefined {
    const lower = text.toLowerCase();
    if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(lower)) return new Mac(lower);
    if (/^[0-9a-f]{2}(-[0-9a-f]{2}){5}$/.test(lower)) return new Mac(lower.replaceAll('-', ':'));
    return undefined;
  }

  static parse(text: string): Mac {
    const mac = Mac.tryParse(text);
    if (mac === undefined)
      throw new FlannelError('operator', `${JSON.stringify(text.slice(0, 64))} is not a MAC address`);
    return mac;
  }

  /** Locally administered, unicast, from 6 random bytes (IEEE 802: bit 1 of the first octet set, bit 0 clear). */
  static local(random: Uint8Array): Mac {
    const bytes = Uint8Array.from(random.subarray(0, 6));
    bytes[0] = ((bytes[0] ?? 0) & 0xfe) | 0x02;
    return Mac.fromBytes(bytes);
  }

  toBytes(): Uint8Array {
    return Uint8Array.fromHex(this.#text.replaceAll(':', ''));
  }

  isZero(): boolean {
    return this.#text === '00:00:00:00:00:00';
  }

  isMulticast(): boolean {
    return (Number.parseInt(this.#text.slice(0, 2), 16) & 1) === 1;
  }

  equals(other: Mac | undefined): boolean {
    return other !== undefined && this.#text === other.#text;
  }

  toString(): string {
    return this.#text;
  }

  toJSON(): string {
    return this.#text;
  }
}
