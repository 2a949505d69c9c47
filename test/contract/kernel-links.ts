import { expect, test } from 'bun:test';
import type { KernelOp } from '#host/kernel.ts';
import type { RouteEntry } from '#host/plan.ts';
import type { Family } from '#net/family.ts';
import {
  type Make,
  VALUES,
  MAC,
  OTHER_MAC,
  vxlan,
  UP,
  create,
  put,
  codes,
  link,
  withDevice,
} from './kernel-device.ts';

/** Making, changing and removing VXLAN devices. */
export function linkContract(make: Make, family: Family): void {
  test('a VXLAN device is made as asked for, down, and reads back the same', () => {
    const kernel = make();
    const wanted = vxlan(family, { learning: true, gbp: true, port: 4789, vni: 0xfffffe });
    expect(codes(kernel.apply([create(wanted)]))).toEqual([undefined]);
    const found = link(kernel, 'flannel.1');
    expect({
      ...found,
      mac: String(found.mac),
      vxlan: { ...found.vxlan, local: String(found.vxlan?.local) },
    }).toEqual({
      index: found.index,
      name: 'flannel.1',
      kind: 'vxlan',
      mtu: 1430,
      mac: String(MAC),
      up: false,
      vxlan: {
        vni: 0xfffffe,
        port: 4789,
        local: String(wanted.local),
        parent: link(kernel, 'eth0').index,
        learning: true,
        gbp: true,
      },
    });
    kernel.settleLink('flannel.1', family);
    expect(kernel.settleLink('flannel.1', family)).toEqual([]);
    expect(kernel.settleLink('none', family)).toEqual([]);
  });

  test('a name or a VNI that is taken, and a parent that is not there, are told apart', () => {
    const { kernel } = withDevice(make, family);
    const other: Family = family === 'ipv4' ? 'ipv6' : 'ipv4';
    const results = kernel.apply([
      create(vxlan(family, { vni: 2 })),
      create(vxlan(family, { name: 'other' })),
      create(vxlan(family, { name: 'lost', vni: 3, parent: 'eth7' })),
      create(vxlan(other, { name: 'flannel-v6.1' })),
      create(vxlan(family, { name: 'another', vni: 4 })),
    ]);
    expect(codes(results)).toEqual(['EEXIST', 'EEXIST', 'ENODEV', undefined, undefined]);
    const names = kernel.links().map(({ name }) => name);
    expect(names).toContain('flannel-v6.1');
    expect(names).not.toContain('other');
    expect(names).not.toContain('lost');
  });

  test('MTU, MAC and state change, one by one and together', () => {
    const { kernel, index } = withDevice(make, family);
    expect(codes(kernel.apply([{ op: 'set-link', name: 'flannel.1', mtu: 1400 }]))).toEqual([undefined]);
    expect(link(kernel, 'flannel.1')).toMatchObject({ mtu: 1400, up: true, index });
    const both: KernelOp = { op: 'set-link', name: 'flannel.1', mtu: 1410, mac: OTHER_MAC };
    expect(codes(kernel.apply([both, { op: 'set-link', name: 'none', mtu: 1400 }]))).toEqual([
      undefined,
      'ENODEV',
    ]);
    const found = link(kernel, 'flannel.1');
    expect([found.mtu, String(found.mac), found.up]).toEqual([1410, String(OTHER_MAC), true]);
  });

  test('the checksum offload is on in a new device, changes both ways, and is of one link', () => {
    const { kernel } = withDevice(make, family);
    const set = (name: string, on: boolean): KernelOp => ({ op: 'set-tx-checksum', name, on });
    expect(kernel.txChecksum('flannel.1')).toBe(true);
    const results = kernel.apply([
      { op: 'set-link', name: 'flannel.1', mtu: 1400 },
      set('flannel.1', false),
      set('none', false),
      { op: 'set-link', name: 'flannel.1', mtu: 1410 },
    ]);
    expect(codes(results)).toEqual([undefined, undefined, 'ENODEV', undefined]);
    expect(kernel.txChecksum('flannel.1')).toBe(false);
    expect(link(kernel, 'flannel.1')).toMatchObject({ mtu: 1410, up: true });
    expect(codes(kernel.apply([set('flannel.1', false), set('flannel.1', true)]))).toEqual([
      undefined,
      undefined,
    ]);
    expect(kernel.txChecksum('flannel.1')).toBe(true);
    kernel.apply([set('flannel.1', false), { op: 'delete-link', name: 'flannel.1' }, create(vxlan(family))]);
    expect(kernel.txChecksum('flannel.1')).toBe(true);
    expect(() => kernel.txChecksum('none')).toThrow('ENODEV');
  });

  test('a link that goes takes everything along; a second time it is not there', () => {
    const { kernel, index } = withDevice(make, family);
    const { gateway, subnet, peer } = VALUES[family];
    const route: RouteEntry = { type: 'route', link: 'flannel.1', dst: subnet, gateway, onlink: true };
    kernel.apply([
      put({ type: 'neighbour', link: 'flannel.1', ip: gateway, mac: MAC }),
      put({ type: 'fdb', link: 'flannel.1', mac: MAC, dst: peer }),
      put(route),
    ]);
    expect(kernel.routes(family, index).some(({ dst }) => dst?.equals(subnet))).toBe(true);
    const gone: KernelOp = { op: 'delete-link', name: 'flannel.1' };
    expect(codes(kernel.apply([gone, gone]))).toEqual([undefined, 'ENODEV']);
    expect(kernel.links().map(({ name }) => name)).not.toContain('flannel.1');
    expect(kernel.routes(family).some(({ dst }) => dst?.equals(subnet))).toBe(false);
    expect(codes(kernel.apply([put(route)]))).toEqual(['ENODEV']);
  });

  test('made anew under the same name in one go: what follows is for the new one', () => {
    const { kernel, index } = withDevice(make, family);
    const { address } = VALUES[family];
    const results = kernel.apply([
      { op: 'delete-link', name: 'flannel.1' },
      create(vxlan(family, { mtu: 1420 })),
      UP,
      { op: 'add-address', link: 'flannel.1', cidr: address },
    ]);
    expect(codes(results)).toEqual([undefined, undefined, undefined, undefined]);
    const fresh = link(kernel, 'flannel.1');
    expect(fresh.index).not.toBe(index);
    expect(fresh).toMatchObject({ mtu: 1420, up: true });
    expect(kernel.addresses(fresh.index).some(({ cidr }) => cidr.equals(address))).toBe(true);
  });
}
