export interface Member {
  /** Up to 16 bytes. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * An ar archive as deb(5) has it: a global header, then for every member a header of 60 bytes in ASCII and its bytes, padded to an
 * even length. Owner 0:0, mode 0644, one time for all in seconds since 1970. Throws on what the format cannot say.
 */
export function arArchive(members: readonly Member[], time: number): Uint8Array {
  const encoder = new TextEncoder();
  const parts = members.flatMap(({ name, bytes }) => {
    const fields = [
      [name, 16],
      [String(time), 12],
      ['0', 6],
      ['0', 6],
      ['100644', 8],
      [String(bytes.length), 10],
    ] as const;
    const header = fields.map(([value, length]) => {
      if (value.length > length) throw new Error(`${name}: ${value} is too long for ar`);
      return value.padEnd(length);
    });
    return [encoder.encode(`${header.join('')}\`\n`), bytes, encoder.encode('\n'.repeat(bytes.length % 2))];
  });
  return new Uint8Array(Bun.concatArrayBuffers([encoder.encode('!<arch>\n'), ...parts]));
}
