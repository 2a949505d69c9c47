import { hasErrno, type ErrnoError } from '#base/errors.ts';
import { NetlinkError } from '#netlink/message.ts';
import type { HostLink } from './kernel.ts';
import type { VxlanLink } from './plan.ts';

/** Says who is in the way of a VXLAN device that cannot be made, and what an operator can do. */
export function explainRefusal(
  error: ErrnoError | undefined,
  link: VxlanLink,
  links: () => readonly HostLink[],
): ErrnoError | undefined {
  if (!(error instanceof NetlinkError)) return error;
  const ack = { message: error.extack, offset: error.badOffset };
  const again = (cure: string) =>
    new NetlinkError(`create vxlan link ${link.name}`, error.errno, ack, { cure });
  if (hasErrno(error, 'EOPNOTSUPP')) return again('Load the kernel module: modprobe vxlan');
  if (hasErrno(error, 'EAFNOSUPPORT')) return again(`Enable ${link.local.family} in this kernel`);
  if (hasErrno(error, 'EPERM')) return again('Run as root or with CAP_NET_ADMIN');
  const { vni, port } = link;
  const others = () => links().filter(({ name, vxlan }) => name !== link.name && vxlan?.port === port);
  if (hasErrno(error, 'EEXIST')) {
    const culprit = others().find(({ vxlan }) => vxlan?.vni === vni && mayShare(vxlan.local, link));
    const who = culprit === undefined ? 'Another device' : `Device ${culprit.name}`;
    const remove = culprit === undefined ? 'remove it' : `remove it with "ip link delete ${culprit.name}"`;
    return again(
      `${who} holds VNI ${vni} on UDP port ${port}: ${remove}, or set Backend.VNI or Backend.Port`,
    );
  }
  if (hasErrno(error, 'EADDRINUSE')) return again(portCure(link.name, port, links));
  return error;
}

/** As `explainRefusal` for a device that cannot go up: only then the kernel opens its port. */
export function explainDown(
  error: ErrnoError | undefined,
  name: string,
  links: () => readonly HostLink[],
): ErrnoError | undefined {
  if (!(error instanceof NetlinkError) || !hasErrno(error, 'EADDRINUSE')) return error;
  const port = links().find((link) => link.name === name)?.vxlan?.port;
  if (port === undefined) return error;
  const ack = { message: error.extack, offset: error.badOffset };
  return new NetlinkError(`bring up vxlan link ${name}`, error.errno, ack, {
    cure: portCure(name, port, links),
  });
}

function portCure(name: string, port: number, links: () => readonly HostLink[]): string {
  const others = links().filter((link) => link.name !== name && link.vxlan?.port === port);
  const who = others.length === 0 ? 'a program' : `device ${others.map((link) => link.name).join(', ')}`;
  return `UDP port ${port} is taken by ${who}: see "ss -lunp", or set Backend.Port`;
}

/** A device without an address of its own is one of IPv4. */
function mayShare(local: VxlanLink['local'] | undefined, link: VxlanLink): boolean {
  return (local?.family ?? 'ipv4') === link.local.family;
}
