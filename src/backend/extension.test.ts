import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import type { Lease } from '#subnet/lease.ts';
import type { Backend } from './backend.ts';
import { checkBackend, createBackend } from './create.ts';
import { config, context, lease, side, SIDE6 } from './fixtures.ts';

const COMMANDS = {
  Type: 'extension',
  PreStartupCommand: '/opt/pre',
  PostStartupCommand: '/opt/post $NETWORK $SUBNET $PUBLIC_IP',
  SubnetAddCommand: 'ip route add $SUBNET via $PUBLIC_IP',
  SubnetRemoveCommand: 'ip route del $SUBNET via $PUBLIC_IP',
};
const V4 = { SUBNET: '10.244.2.0/24', PUBLIC_IP: '192.168.50.12' };
const extension = (change: Parameters<typeof context>[1] = {}, more: object = {}): Backend =>
  createBackend(context({ ...COMMANDS, ...more }, change));
const peer = (families: Lease['families']) => lease(families, 'extension');

test('the commands, with the variables and the input of the original', () => {
  const { commands, ...backend } = extension();
  expect(backend).toMatchObject({ type: 'extension', mtu: 1500, links: [], backendData: { ipv4: '' } });
  expect(commands?.before).toEqual({ what: 'PreStartupCommand', argv: ['/opt/pre'], env: {}, stdin: '\n' });
  expect(commands?.after).toMatchObject({
    argv: ['/opt/post', '10.244.0.0/16', '10.244.1.0/24', '192.168.50.11'],
    env: { NETWORK: '10.244.0.0/16', SUBNET: '10.244.1.0/24', PUBLIC_IP: '192.168.50.11' },
  });
  const { facts = { values: {}, stdin: '' }, ...plan } = extension().peer(
    peer({ ipv4: side({ backendData: '"02:00:00:00:00:07"' }) }),
  );
  expect(plan).toEqual({ entries: [], rejected: [] });
  expect(commands?.add(facts)).toEqual({
    what: 'SubnetAddCommand',
    argv: ['ip', 'route', 'add', '10.244.2.0/24', 'via', '192.168.50.12'],
    env: V4,
    stdin: '02:00:00:00:00:07\n',
  });
  expect(commands?.remove(facts)?.argv).toEqual([
    'ip',
    'route',
    'del',
    '10.244.2.0/24',
    'via',
    '192.168.50.12',
  ]);
});

test('what PreStartupCommand prints is published as a JSON string, within bounds', () => {
  const { commands } = extension();
  expect(commands?.published(' a "b"\n')).toEqual({ ipv4: '"a \\"b\\""' });
  expect(() => commands?.published('x'.repeat(5000))).toThrow('PreStartupCommand: prints 5002 characters');
});

test('commands that are not there are not run', () => {
  const { commands } = createBackend(context({ Type: 'extension', SubnetAddCommand: '' }));
  expect(commands?.before).toBeUndefined();
  expect(commands?.after).toBeUndefined();
  expect(commands?.add({ values: V4, stdin: '' })).toBeUndefined();
});

test('both families are one call, with variables of their own for IPv6', () => {
  const dual = extension(
    { families: ['ipv4', 'ipv6'] },
    { SubnetAddCommand: '/opt/add $SUBNET ${IPV6_SUBNET} $PUBLIC_IPV6' },
  );
  const { facts } = dual.peer(
    peer({ ipv4: side({ backendData: '"x"' }), ipv6: { ...SIDE6, backendData: '"x"' } }),
  );
  expect(facts?.values).toEqual({ ...V4, IPV6_SUBNET: '2001:cafe:42:2::/64', PUBLIC_IPV6: 'fd50::12' });
  const half = dual.peer(peer({ ipv4: side({ backendData: '' }) }));
  expect(half.facts).toBeUndefined();
  expect(half.rejected.map(({ reason }) => reason)).toEqual([
    'SubnetAddCommand needs $IPV6_SUBNET, which it does not have',
  ]);
});

test('data that is none, and data of the original without a PreStartupCommand', () => {
  const backend = extension();
  const plan = (each: Lease) => backend.peer(each);
  const stdin = (backendData: string) => plan(peer({ ipv4: side({ backendData }) })).facts?.stdin;
  expect(['', 'null', '""', '"a\\tb\\nc"'].map(stdin)).toEqual(['', '', '', 'a\tb\nc']);
  for (const bad of ['{"VNI":1}', '7', '["a"]', '"', '"a\\u0000"', '"\\u001b[2J"', '"\\u007f"']) {
    const { facts, rejected } = plan(peer({ ipv4: side({ backendData: bad }) }));
    expect(facts).toBeUndefined();
    expect(rejected).toMatchObject([
      { kind: 'unreadable', reason: expect.stringContaining('printable text') },
    ]);
  }
});

test('hostile peers reach no command', () => {
  const own = side({ subnet: Cidr.parse('10.244.1.0/24'), backendData: '' });
  expect(extension().peer(peer({ ipv4: own })).facts).toBeUndefined();
  const { facts, rejected } = extension().peer(lease({ ipv4: side() }, 'vxlan'));
  expect(facts).toBeUndefined();
  expect(rejected).toMatchObject([{ kind: 'backend' }]);
});

test('a command that needs a shell, or a variable that it does not get, is refused by its key', () => {
  const check = (change: object) => () => checkBackend(config({ ...COMMANDS, ...change }));
  expect(check({})).not.toThrow();
  expect(check({ SubnetAddCommand: 'read X; ip route add $SUBNET' })).toThrow(
    'Backend.SubnetAddCommand: has ";"',
  );
  expect(check({ PreStartupCommand: 'echo $SUBNET' })).toThrow(
    'Backend.PreStartupCommand: the command does not get',
  );
  expect(check({ SubnetRemoveCommand: 'echo $NETWORK' })).toThrow('it gets SUBNET, PUBLIC_IP');
  expect(check({ PostStartupCommand: 7 })).toThrow('Backend.PostStartupCommand');
});
