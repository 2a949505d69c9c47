import type { Address } from '#rtnetlink/address.ts';
import { CniError, CODE } from '../error.ts';
import { openContainer, openLivingContainer } from '../container.ts';
import { prevResultOf, type Invocation, type Plugin } from '../plugin.ts';
import type { CniResult } from '../result.ts';

/** Whatever CNI_IFNAME says: this plugin knows one interface. */
const NAME = 'lo';

function loopbackAddresses(addresses: readonly Address[]): readonly Address[] {
  return addresses.filter(({ cidr }) => cidr.ip.isLoopback());
}

function add(call: Invocation): CniResult {
  using container = openContainer(call.args.netns);
  const link = container.client.link(NAME);
  if (link === undefined) throw new CniError(CODE.INTERNAL, `${call.args.netns} has no interface ${NAME}`);
  if (!link.up) container.client.setLink(link.index, { up: true });
  const previous = prevResultOf(call.conf);
  if (previous !== undefined) return previous;
  const addresses = loopbackAddresses(container.client.addresses({ link: link.index }));
  return {
    interfaces: [{ name: NAME, mac: '00:00:00:00:00:00', sandbox: call.args.netns }],
    ips: addresses.map(({ cidr }) => ({ address: cidr, interface: 0 })),
    routes: [],
    dns: {},
  };
}

function del(call: Invocation): void {
  using container = openLivingContainer(call.args.netns);
  const link = container?.client.link(NAME);
  if (link !== undefined) container?.client.setLink(link.index, { up: false });
}

function check(call: Invocation): void {
  using container = openContainer(call.args.netns);
  const link = container.client.link(NAME);
  if (link?.up !== true) throw broken(call, `interface ${NAME} is ${link === undefined ? 'gone' : 'down'}`);
  const present = container.client.addresses({ link: link.index });
  // Of a list, the result names other plugins' addresses as well.
  for (const { address } of prevResultOf(call.conf)?.ips ?? []) {
    if (!address.ip.isLoopback() || present.some(({ cidr }) => cidr.equals(address))) continue;
    throw broken(call, `address ${address} is missing on ${NAME}`);
  }
}

function broken({ args }: Invocation, what: string): CniError {
  return new CniError(CODE.INTERNAL, `CHECK: ${what} in ${args.netns}`, {
    details: 'remove the container and add it again',
  });
}

/** The loopback interface of a pod, up. */
export const loopbackPlugin: Plugin = { add, del, check, gc: () => {}, status: () => {} };
