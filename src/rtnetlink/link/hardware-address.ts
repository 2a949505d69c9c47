import { Mac } from '#net/mac.ts';
import type { Codec } from '#netlink/attribute.ts';

/** Ethernet addresses; those of tunnels (4 or 16 bytes) and of no length count as none. */
export const hardwareAddress: Codec<Mac | undefined> = {
  write(out, value) {
    if (value !== undefined) out.bytes(value.toBytes());
  },
  read: (bytes) => (bytes.length === 6 ? Mac.fromBytes(bytes) : undefined),
};
