import { describe, expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { parseSave, type SavedTable } from '#traffic/iptables-save.ts';
import { readNetConf } from '../plugin.ts';
import { parsePortmap } from './config.ts';
import type { Forwarding } from './forwarding.ts';
import { planAdd, planCollection, planRemoval } from './iptables-plan.ts';
import { entryOwner, entryRules } from './iptables-rules.ts';
import { containerChain } from './names.ts';

const ADDRESS = Cidr.parse('10.244.1.8/24');

function forwarding(containerId: string, portMappings: readonly object[], extra: object = {}): Forwarding {
  const conf = readNetConf({ cniVersion: '1.0.0', name: 'cbr0', runtimeConfig: { portMappings }, ...extra });
  return { config: parsePortmap(conf), network: 'cbr0', containerId, addresses: [ADDRESS] };
}

/** What iptables-restore would make of commands: enough of it for the commands that plans consist of. */
function applied(live: SavedTable, commands: readonly string[]): SavedTable {
  const table = new Map([...live].map(([name, lines]) => [name, [...lines]]));
  for (const command of commands) {
    const [, verb = '', chain = '', rest = ''] = /^(-\w |:)(\S+) ?(.*)$/.exec(command) ?? [];
    const lines = table.get(chain);
    if (verb === ':' || verb === '-N ') {
      if (verb === '-N ' && lines !== undefined) throw new Error(`${chain} exists`);
      table.set(chain, []);
      continue;
    }
    if (lines === undefined) throw new Error(`no chain ${chain}: ${command}`);
    if (verb === '-A ') lines.push(rest);
    else if (verb === '-I ') lines.unshift(rest.replace(/^1 /, ''));
    else if (verb === '-F ') lines.length = 0;
    else if (verb === '-X ') {
      if (lines.length > 0) throw new Error(`${chain} is not empty`);
      table.delete(chain);
    } else if (verb === '-D ' && lines.includes(rest)) lines.splice(lines.indexOf(rest), 1);
    else throw new Error(`cannot ${command}`);
  }
  return table;
}

const EMPTY: SavedTable = new Map([
  ['PREROUTING', []],
  ['OUTPUT', []],
  ['POSTROUTING', ['-s 10.9.0.0/16 -j MASQUERADE']],
]);

function after(live: SavedTable, wanted: Forwarding, address = ADDRESS): SavedTable {
  return applied(live, planAdd(wanted, address, live).commands);
}

const web = { hostPort: 8080, containerPort: 80 };

describe('an ADD', () => {
  test('twice is the same as once', () => {
    const once = after(EMPTY, forwarding('a', [web]));
    expect(after(once, forwarding('a', [web]))).toEqual(once);
    expect(once.get('POSTROUTING')?.[1]).toBe('-s 10.9.0.0/16 -j MASQUERADE');
  });

  test('of a container with the address of another: the other is gone', () => {
    const live = after(EMPTY, forwarding('dead', [web, { hostPort: 1, containerPort: 1, protocol: 'udp' }]));
    const { commands, lost } = planAdd(forwarding('next', [{ ...web, hostPort: 9090 }]), ADDRESS, live);
    const chain = containerChain({ network: 'cbr0', containerId: 'dead' });
    expect(applied(live, commands).has(chain)).toBe(false);
    expect(lost.map(({ protocol, hostPort, target }) => `${protocol} ${hostPort} ${target}`)).toEqual([
      'tcp 8080 10.244.1.8',
      'udp 1 10.244.1.8',
    ]);
  });

  test('in the place of another: only that mapping is taken', () => {
    const elsewhere = Cidr.parse('10.244.1.9/24');
    const live = after(EMPTY, forwarding('other', [web, { ...web, hostPort: 9090 }]), elsewhere);
    const now = after(live, forwarding('next', [web]));
    const lines = now.get(containerChain({ network: 'cbr0', containerId: 'other' })) ?? [];
    expect(lines.some((line) => line.includes('8080'))).toBe(false);
    expect(lines.filter((line) => line.includes('9090'))).toHaveLength(3);
  });

  test('for one address stands before another container’s for all', () => {
    const elsewhere = Cidr.parse('10.244.1.9/24');
    const live = after(EMPTY, forwarding('all', [web]), elsewhere);
    const now = after(
      live,
      forwarding('one', [
        { ...web, hostIP: '192.0.2.1' },
        { ...web, hostPort: 1 },
      ]),
    );
    const owners = now.get('CNI-HOSTPORT-DNAT')?.map((line) => entryOwner(line)?.containerId);
    expect(owners).toEqual(['one', 'all', 'one']);
  });

  test('that has nothing for the family makes nothing', () => {
    expect(planAdd(forwarding('six', [{ ...web, hostIP: '::1' }]), ADDRESS, EMPTY).commands).toEqual([]);
  });
});

test('DEL and GC remove chains and what leads to them', () => {
  const live = after(
    after(EMPTY, forwarding('a', [web])),
    forwarding('b', [{ ...web, hostPort: 1 }]),
    Cidr.parse('10.244.1.9/24'),
  );
  const chain = (containerId: string) => containerChain({ network: 'cbr0', containerId });
  const without = applied(live, planRemoval([chain('a'), 'CNI-SN-none'], live).commands);
  expect(without.has(chain('a'))).toBe(false);
  expect(without.get('CNI-HOSTPORT-DNAT')).toHaveLength(1);
  expect(planCollection('other', new Set(), live).commands).toEqual([]);
  const collected = applied(live, planCollection('cbr0', new Set(['b']), live).commands);
  expect([collected.has(chain('a')), collected.has(chain('b'))]).toEqual([false, true]);
});

test('more than 15 ports take several entry rules; a comment that is too long is cut', () => {
  const many = Array.from({ length: 16 }, (_, at) => ({ hostPort: at + 1, containerPort: 80 }));
  const rules = entryRules(forwarding('x'.repeat(250), many), 'ipv4');
  expect(rules.map(({ ports }) => ports.length)).toEqual([15, 1]);
  expect(/--comment "(.*)" -m/.exec(rules[0]?.line ?? '')?.[1]?.replaceAll('\\', '')).toHaveLength(255);
  expect(entryOwner(rules[0]?.line ?? '')).toBeUndefined();
});

test('the chain of a recorded container', () => {
  const owner = { network: 'cbr0', containerId: 'cont-iptables' };
  expect(containerChain(owner)).toBe('CNI-DN-1a73285618ec59a7c6c49');
  const [rule] = entryRules(forwarding('cont-iptables', [web]), 'ipv4');
  expect(entryOwner(rule?.line ?? '')).toEqual(owner);
  const saved = parseSave(`*nat\n:X - [0:0]\n-A X ${rule?.line}\nCOMMIT\n`).get('nat');
  expect(saved?.get('X')).toEqual([rule?.line ?? '']);
});
