import { expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { Cidr } from '#net/cidr.ts';
import { checkNeighbourTable, neighboursNeeded } from './neighbour-table.ts';

function warnings(
  subnets: { ipv4?: string; ipv6?: string },
  sysctls: Readonly<Record<string, string>>,
): string[] {
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    format: 'text',
    write: (line) => void lines.push(line),
    now: () => new Date(0),
  });
  const { ipv4, ipv6 } = subnets;
  checkNeighbourTable({
    subnets: {
      ...(ipv4 !== undefined && { ipv4: Cidr.parse(ipv4) }),
      ...(ipv6 !== undefined && { ipv6: Cidr.parse(ipv6) }),
    },
    log,
    read: (path) => sysctls[path],
  });
  return lines;
}

const V4 = 'net/ipv4/neigh/default/gc_thresh3';
const V6 = 'net/ipv6/neigh/default/gc_thresh3';

test.each([
  ['10.244.1.0/24', undefined, 768, undefined],
  ['10.244.0.0/22', undefined, 2304, undefined],
  ['10.0.0.0/8', undefined, 2304, undefined],
  [undefined, 'fd00:10:244:1::/64', undefined, 768],
  ['10.244.1.0/24', 'fd00:10:244:1::/64', 768, 768],
  ['10.244.0.0/22', 'fd00:10:244:1::/64', 2304, 2304],
  ['10.244.1.0/24', 'fd00:10:244:1::/122', 768, 384],
])('%s and %s: %p and %p neighbours', (v4, v6, ipv4, ipv6) => {
  const needed = neighboursNeeded({
    ...(v4 !== undefined && { ipv4: Cidr.parse(v4) }),
    ...(v6 !== undefined && { ipv6: Cidr.parse(v6) }),
  });
  expect([needed.ipv4, needed.ipv6]).toEqual([ipv4, ipv6]);
});

test('the default of 1,024 does for a /24, not for a /23', () => {
  expect(warnings({ ipv4: '10.244.1.0/24' }, { [V4]: '1024' })).toEqual([]);
  const [line, ...more] = warnings({ ipv4: '10.244.2.0/23' }, { [V4]: '1024' });
  expect(more).toEqual([]);
  expect(line).toContain('found="net.ipv4.neigh.default.gc_thresh3 is 1024"');
  expect(line).toContain(
    'cure="sysctl -w net.ipv4.neigh.default.gc_thresh1=256 net.ipv4.neigh.default.gc_thresh2=1024 net.ipv4.neigh.default.gc_thresh3=2048"',
  );
});

test('each family by itself; a limit that cannot be read says nothing', () => {
  const both = { ipv4: '10.244.2.0/24', ipv6: 'fd00:10:244:2::/64' };
  const lines = warnings(both, { [V4]: '512', [V6]: '767' });
  expect(lines.map((line) => /gc_thresh3 is \d+/.exec(line)?.[0])).toEqual([
    'gc_thresh3 is 512',
    'gc_thresh3 is 767',
  ]);
  expect(warnings(both, {})).toEqual([]);
  expect(warnings(both, { [V4]: 'many', [V6]: '' })).toEqual([]);
  expect(warnings({ ipv6: 'fd00:10:244:2::/120' }, { [V4]: '1', [V6]: '1024' })).toEqual([]);
});
