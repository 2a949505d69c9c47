import { describe, expect, test } from 'bun:test';
import { cureOf } from '#base/errors.ts';
import { testLink, testPeer } from '#host/fixtures.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { trafficRules } from '#traffic/rules.ts';
import { overlayOf, type OverlayParts } from './overlay.ts';
import { parseOverlay } from './overlay-parse.ts';
import { overlayText, type OverlaySource } from './overlay-text.ts';

const RULES = trafficRules({
  families: [
    {
      network: [Cidr.parse('10.244.0.0/16')],
      subnet: Cidr.parse('10.244.1.0/24'),
      overlay: { source: Ip.parse('10.244.200.1'), port: 8472 },
    },
    { network: [Cidr.parse('fd00:42::/56')], subnet: Cidr.parse('fd00:42:0:1::/64') },
  ],
  ipMasq: true,
  forward: true,
  randomFully: true,
});

const DEVICES = {
  links: [testLink({ txChecksum: false }), testLink({ name: 'flannel-v6.1', local: Ip.parse('fd50::11') })],
  blackholes: [Cidr.parse('10.244.1.0/24')],
  external: 'eth0',
  keepDevices: false,
};

function source(peers: OverlaySource['peers']): OverlaySource {
  const rules = { mode: 'nftables', set: RULES } as const;
  return { node: 'n1', backend: 'vxlan', devices: DEVICES, rules, refused: ['r 10.244.9.0/24'], peers };
}

const text = (overlay: OverlaySource) => [...overlayText(overlay)].join('');

describe('the plan as text', () => {
  test('is read as it was written, names and reasons of others unharmed', () => {
    const peers = new Map([
      ['n2', { entries: testPeer(2) }],
      [
        'n3\n{"end":true,"peers":1}',
        { entries: [], leftOut: { reason: 'backend', why: 'it uses "\u001b"' } as const },
      ],
      [
        'n4',
        {
          entries: [
            {
              type: 'route',
              link: 'eth0',
              dst: Cidr.parse('fd00:42:0:4::/64'),
              gateway: Ip.parse('fd50::14'),
              onlink: false,
            },
          ] as const,
        },
      ],
    ]);
    const overlay = source(peers);
    const read = parseOverlay(text(overlay));
    expect(read).toEqual({ ...overlay, peers });
  });

  test('of thousands of peers comes in pieces, none of them large', () => {
    const many = Array.from(
      { length: 3000 },
      (_, at) => [`node-${at}`, { entries: testPeer(at % 250) }] as const,
    );
    const pieces = [...overlayText(source(many))];
    expect(pieces.length).toBeGreaterThan(10);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(70_000);
    expect(parseOverlay(pieces.join('')).peers.size).toBe(3000);
  });

  test('that breaks off anywhere is told from a whole one', () => {
    const whole = text(
      source([
        ['n2', { entries: testPeer(2) }],
        ['n3', { entries: [] }],
      ]),
    );
    const lines = whole.split('\n');
    for (let at = 0; at < lines.length - 1; at += 1)
      expect(() => parseOverlay(lines.slice(0, at).join('\n'))).toThrow(/cannot be read/);
    expect(() => parseOverlay(whole.replace(/.*n3.*\n/, ''))).toThrow('it breaks off');
  });

  test('of another version names the field and the cure', () => {
    const whole = text(source([['n2', { entries: testPeer(2) }]]));
    const errors = [
      [
        whole.replace('"mtu":1450', '"mtu":"1450"'),
        'the first line.devices.links[0].mtu is "1450", not a number',
      ],
      [whole.replace('"schema":1', '"schema":2'), 'the first line.schema is 2, not a form known here'],
      [
        whole.replace('10.244.2.0/24', '10.244.2.0/33'),
        'a peer.entries[2].dst is "10.244.2.0/33", not a CIDR',
      ],
      [whole.replace('"type":"fdb"', '"type":"nexthop"'), 'not one of neighbour, fdb, route'],
    ] as const;
    for (const [broken, message] of errors) {
      const thrown = (() => {
        try {
          return parseOverlay(broken);
        } catch (error) {
          return error;
        }
      })();
      expect(String(thrown)).toContain(message);
      expect(cureOf(thrown)).toContain('same version');
    }
  });
});

test('peers that the store leaves out are told like those that the backend leaves out', () => {
  const parts: OverlayParts = {
    node: 'n1',
    rules: undefined,
    backend: { type: 'vxlan' },
    plan: { ...DEVICES, entries: new Map() },
    refused: new Set(),
    unreadable: new Map([['n7', 'unreadable']]),
    peers: {
      names: new Set(['n2', 'n3']),
      reasons: new Map([['n3', 'own_mac']]),
      complaints: new Map([['n3', "ipv4: it publishes this node's own VtepMAC"]]),
      claims: { claimed: new Map([['n2', testPeer(2)]]) },
    } as never,
  };
  expect([...overlayOf(parts).peers]).toEqual([
    ['n2', { entries: testPeer(2) }],
    [
      'n3',
      { entries: [], leftOut: { reason: 'own_mac', why: "ipv4: it publishes this node's own VtepMAC" } },
    ],
    ['n7', { entries: [], leftOut: { reason: 'unreadable', why: '' } }],
  ]);
});
