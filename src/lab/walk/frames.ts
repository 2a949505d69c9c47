/** `linux/if_packet.h`: a packet on its way out. Anything else came in. */
export const PACKET_OUTGOING = 4;

/** One captured frame as the capture process prints it, one JSON object per line. */
export interface CapturedFrame {
  /** Index of the device. */
  readonly link: number;
  readonly outgoing: boolean;
  /** Kernel time stamp, ns since the epoch, as decimal text (beyond a JSON number's precision). */
  readonly time: string;
  /** The frame from its Ethernet header on, in hex. */
  readonly frame: string;
}

/** First line of a capture process: from here on nothing is missed. */
export const CAPTURING = 'capturing';

/** What a capture process has printed, its last line perhaps cut. */
export function parseFrames(output: string): CapturedFrame[] {
  const complete = output.slice(0, output.lastIndexOf('\n') + 1);
  return complete
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as CapturedFrame);
}
