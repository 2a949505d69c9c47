import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { Netns } from '#ffi/netns.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { IFA_F } from '#rtnetlink/constants.ts';

/** How long the kernel may take on a busy machine, ms. */
const PATIENCE = 20_000;
const POLL = 20;

/**
 * Waits until no IPv6 address in the namespaces of these processes is tentative. A link gives itself an address that is so
 * for up to two seconds after the link came up, and a router asks for the neighbour of a packet that it forwards from that
 * address (RFC 4861 section 7.2.2): until then it says nothing, and asks again a second later. Throws FlannelError.
 */
export async function duplicateDetectionOver(pids: readonly number[]): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (const pid of pids) {
    using netns = Netns.open(`/proc/${pid}/ns/net`);
    using net = Rtnetlink.openIn(netns);
    for (;;) {
      const [tentative] = net
        .addresses({ family: 'ipv6' })
        .filter(({ flags }) => (flags & IFA_F.TENTATIVE) !== 0);
      if (tentative === undefined) break;
      if (performance.now() > end)
        throw new FlannelError('bug', `${tentative.cidr} of process ${pid} is still tentative`);
      await systemClock.sleep(POLL);
    }
  }
}
