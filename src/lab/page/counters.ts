import type { Counters } from '#page/model.ts';
import type { LinkStats } from '#rtnetlink/link.ts';

/** As the page has them. Beyond 2^53 bytes a number is not exact any more, and still good for a picture. */
export function countersOf({ rxBytes, txBytes, rxPackets, txPackets, dropped = 0n }: LinkStats): Counters {
  return {
    rxBytes: Number(rxBytes),
    txBytes: Number(txBytes),
    rxPackets: Number(rxPackets),
    txPackets: Number(txPackets),
    dropped: Number(dropped),
  };
}
