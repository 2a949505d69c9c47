import { expect, test } from 'bun:test';
import { Ip } from '#net/ip.ts';
import { recordedLog } from './fixtures.ts';
import { Sysctls, sysctlWishes, type SysctlScene } from './sysctls.ts';

const SCENE: SysctlScene = {
  families: ['ipv4', 'ipv6'],
  links: [{ name: 'flannel.1', local: Ip.parse('192.168.50.11') }],
  iptables: true,
};

function start(values: Map<string, string>, scene = SCENE, writable = true) {
  const { log, lines } = recordedLog();
  const tools = {
    read: (path: string) => values.get(path),
    write: (path: string, value: string) => {
      if (writable) values.set(path, value);
      return writable;
    },
  };
  const repairs: string[] = [];
  const onRepair = (what: string) => repairs.push(what);
  const sysctls = new Sysctls({ wishes: sysctlWishes(scene), external: 'eth0', log, tools, onRepair });
  return { sysctls, lines, values, repairs };
}

test('what pods need is set at start and put back, each change told once', () => {
  const { sysctls, lines, values, repairs } = start(
    new Map([
      ['net/ipv4/ip_forward', '0'],
      ['net/ipv6/conf/all/forwarding', '1'],
      ['net/ipv6/conf/flannel.1/accept_ra', '0'],
      ['net/bridge/bridge-nf-call-iptables', '1'],
    ]),
  );
  using _ = sysctls;
  expect(lines).toEqual(['INFO  kernel setting changed sysctl=net.ipv4.ip_forward found=0 now=1']);
  sysctls.check();
  expect(lines).toHaveLength(1);
  for (const [path, value] of [
    ['net/ipv4/ip_forward', '0'],
    ['net/ipv6/conf/flannel.1/accept_ra', '1'],
    ['net/bridge/bridge-nf-call-iptables', '0'],
  ] as const) {
    values.set(path, value);
    sysctls.check();
    sysctls.check();
    expect(values.get(path)).toBe(value === '0' ? '1' : '0');
    expect(lines.splice(1)).toEqual([
      expect.stringContaining(`put back sysctl=${path.replaceAll('/', '.')}`),
    ]);
  }
  expect(repairs).toEqual([
    'net.ipv4.ip_forward was 0',
    'net.ipv6.conf.flannel.1.accept_ra was 1',
    'net.bridge.bridge-nf-call-iptables was 0',
  ]);
});

test('what cannot be set is told once with its cure, and again after it was right', () => {
  const { sysctls, lines, values } = start(new Map([['net/ipv4/ip_forward', '0']]), SCENE, false);
  using _ = sysctls;
  sysctls.check();
  expect(lines).toEqual([
    'WARN  a kernel setting is wrong and cannot be changed from here sysctl=net.ipv4.ip_forward found=0 ' +
      'without="no pod reaches another node by ipv4" cure="sysctl -w net.ipv4.ip_forward=1"',
  ]);
  values.set('net/ipv4/ip_forward', '1');
  sysctls.check();
  values.set('net/ipv4/ip_forward', '0');
  sysctls.check();
  expect(lines).toHaveLength(2);
});

test('a host that learns its default route from a router goes on listening when it begins to forward', () => {
  const learns = new Map([
    ['net/ipv6/conf/all/forwarding', '0'],
    ['net/ipv6/conf/eth0/accept_ra', '1'],
  ]);
  using _ = start(learns).sysctls;
  expect([...learns.values()]).toEqual(['1', '2']);
  const refuses = new Map([
    ['net/ipv6/conf/all/forwarding', '0'],
    ['net/ipv6/conf/eth0/accept_ra', '0'],
  ]);
  using _2 = start(refuses).sysctls;
  expect([...refuses.values()]).toEqual(['1', '0']);
});

test('only what the families and the mode need', () => {
  const paths = (scene: Partial<SysctlScene>) => sysctlWishes({ ...SCENE, ...scene }).map(({ path }) => path);
  expect(paths({ iptables: false, families: ['ipv4'] })).toEqual([
    'net/ipv4/ip_forward',
    'net/ipv6/conf/flannel.1/accept_ra',
  ]);
  expect(paths({ families: ['ipv6'], links: [] })).toEqual([
    'net/ipv6/conf/all/forwarding',
    'net/bridge/bridge-nf-call-ip6tables',
  ]);
});
