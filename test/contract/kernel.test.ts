import { describe } from 'bun:test';
import { FakeKernel } from '#host/fake-kernel.ts';
import { NetlinkKernel } from '#host/netlink-kernel.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { describeInNetns, must, run } from '../support/netns.ts';
import type { Make } from './kernel-device.ts';
import { entryContract } from './kernel-entries.ts';
import { linkContract } from './kernel-links.ts';

function kernelContract(make: Make): void {
  for (const family of ['ipv4', 'ipv6'] as const) {
    describe(family, () => {
      linkContract(make, family);
      entryContract(make, family);
    });
  }
}

describe('the kernel port, in memory', () => {
  kernelContract(() => {
    const kernel = new FakeKernel();
    kernel.addDevice('eth0');
    return kernel;
  });
});

describeInNetns(import.meta.path, 'the kernel port, over netlink', () => {
  kernelContract(() => {
    // VXLAN devices go with the device below.
    run(['ip', 'link', 'delete', 'eth0']);
    // The first address makes the kernel's table of local addresses, which IPv4 gateways are checked against.
    must(['ip', 'link', 'set', 'lo', 'up']);
    must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire']);
    must(['ip', 'link', 'set', 'wire', 'up']);
    must(['ip', 'link', 'set', 'eth0', 'up']);
    return new NetlinkKernel(Rtnetlink.open());
  });
});
