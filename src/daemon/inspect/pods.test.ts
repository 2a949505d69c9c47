import { describe, expect, test } from 'bun:test';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import type { Link } from '#rtnetlink/link.ts';
import { joinPods, type PodSources, type Reservation } from './pods.ts';

const port = (index: number, name: string, up = true) => ({ index, name, up }) as Link;
const MAC = Mac.parse('02:00:00:00:00:02');

function reservation(ip: string, parts: Partial<Reservation> = {}): Reservation {
  return {
    ip: Ip.parse(ip),
    holder: { containerId: 'abc', ifName: 'eth0' },
    network: 'cbr0',
    sinceBoot: true,
    netns: { anchor: '1:1', id: '2:2', path: '/run/netns/a' },
    gone: false,
    ...parts,
  };
}

const sources = (parts: Partial<PodSources>): PodSources => ({
  ports: [],
  reservations: [],
  cableOf: () => undefined,
  macOf: () => undefined,
  portOf: () => undefined,
  ...parts,
});

describe('joinPods', () => {
  test('both families of an interface are one pod; its namespace says which port is its', () => {
    const pods = joinPods(
      sources({
        ports: [port(5, 'veth5'), port(6, 'veth6', false)],
        reservations: [reservation('fd00::2'), reservation('10.244.1.2')],
        cableOf: () => ({ peer: 6, mac: MAC }),
      }),
    );
    expect(pods).toHaveLength(2);
    expect(pods[0]).toMatchObject({
      veth: 'veth6',
      up: false,
      mac: MAC,
      namespace: 'alive',
      container: 'abc',
      sinceBoot: true,
    });
    expect(pods[0]?.addresses.map(String)).toEqual(['10.244.1.2', 'fd00::2']);
    expect(pods[1]).toMatchObject({
      veth: 'veth5',
      container: undefined,
      addresses: [],
      namespace: 'unknown',
    });
  });

  test('without its namespace, what the node and the bridge have heard says it', () => {
    const foreign = reservation('10.244.1.2', { netns: undefined, sinceBoot: undefined });
    const pods = joinPods(
      sources({
        ports: [port(5, 'veth5')],
        reservations: [foreign],
        macOf: (ip) => (ip.toString() === '10.244.1.2' ? MAC : undefined),
        portOf: (mac) => (mac.equals(MAC) ? 5 : undefined),
      }),
    );
    expect(pods).toEqual([
      expect.objectContaining({ veth: 'veth5', mac: MAC, namespace: 'unknown', sinceBoot: undefined }),
    ]);
  });

  test('a dead namespace and an earlier boot are told; addresses are in their order', () => {
    const holder = (containerId: string) => ({ holder: { containerId, ifName: 'eth0' } });
    const pods = joinPods(
      sources({
        reservations: [
          reservation('10.244.1.10', { gone: true, ...holder('b') }),
          reservation('10.244.1.9', { sinceBoot: false, ...holder('c') }),
        ],
      }),
    );
    expect(
      pods.map(({ addresses, namespace, sinceBoot }) => [String(addresses[0]), namespace, sinceBoot]),
    ).toEqual([
      ['10.244.1.9', 'gone', false],
      ['10.244.1.10', 'gone', true],
    ]);
  });

  test('two interfaces of a container are two', () => {
    const second = reservation('10.244.1.3', { holder: { containerId: 'abc', ifName: 'net1' } });
    expect(joinPods(sources({ reservations: [reservation('10.244.1.2'), second] }))).toHaveLength(2);
  });
});
