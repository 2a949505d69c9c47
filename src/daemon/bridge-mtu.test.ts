import { expect, test } from 'bun:test';
import { ERRNO, ErrnoError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Link } from '#rtnetlink/link.ts';
import { BridgeMtu } from './bridge-mtu.ts';
import { recordedLog } from './fixtures.ts';

const GATEWAY = Cidr.parse('10.244.1.1/24');

/** cni0 with the gateway's address and a port for each MTU; br9 is somebody else's. */
function node(mtu: number, ports: readonly number[], before: number | undefined, now: number) {
  const link = (index: number, name: string, change: object) =>
    ({ index, name, mtu: 1500, kind: { type: 'bridge' }, ...change }) as unknown as Link;
  let links = [
    link(3, 'cni0', { mtu }),
    link(4, 'br9', { mtu }),
    ...ports.map((port, at) => link(10 + at, `veth${at}`, { mtu: port, kind: { type: 'veth' }, master: 3 })),
  ];
  const { log, lines } = recordedLog();
  const rtnetlink = {
    links: () => links,
    addresses: () => [{ link: 3, cidr: GATEWAY, scope: 0, flags: 0 }],
    setLink(index: number, change: { mtu?: number | undefined }) {
      if (change.mtu === 99) throw new ErrnoError('set', ERRNO.EINVAL);
      links = links.map((one) => (one.index === index ? { ...one, mtu: change.mtu ?? one.mtu } : one));
    },
  };
  using _ = new BridgeMtu({ rtnetlink, gateways: [GATEWAY], before, mtu: now, log });
  const of = (name: string) => links.find((one) => one.name === name)?.mtu;
  return { cni0: of('cni0'), other: of('br9'), lines };
}

test('a smaller MTU reaches the bridge at once; how many pods keep theirs is told', () => {
  const { cni0, other, lines } = node(1450, [1450, 1450], 1450, 1350);
  expect([cni0, other]).toEqual([1350, 1450]);
  expect(lines).toEqual(['INFO  the bridge follows the MTU bridge=cni0 found=1450 mtu=1350 keep=2']);
});

test('a larger one reaches an empty bridge; one with pods takes the smallest of theirs', () => {
  expect(node(1450, [], 1450, 8950).cni0).toBe(8950);
  expect(node(1450, [1450, 8950], 1450, 8950)).toMatchObject({ cni0: 1450, lines: [] });
  expect(node(1350, [1450, 8950], 1350, 8950).cni0).toBe(1450);
});

test('a bridge with an MTU of its own, and one when nothing has changed or nothing was before, stays', () => {
  expect(node(1400, [], 1450, 1350).cni0).toBe(1400);
  expect(node(1450, [], 1450, 1450).cni0).toBe(1450);
  expect(node(1450, [], undefined, 1350).cni0).toBe(1450);
});

test('a refusal of the kernel is told and does no harm', () => {
  expect(node(1450, [], 1450, 99)).toMatchObject({
    cni0: 1450,
    lines: [expect.stringContaining('the bridge cannot follow the MTU')],
  });
});
