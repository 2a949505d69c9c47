import { describe, expect, test } from 'bun:test';
import { ConfigError, cureOf } from '#base/errors.ts';
import { parseLabArguments, type LabCommand } from './options.ts';

function failure(...args: string[]): ConfigError {
  try {
    parseLabArguments(args);
  } catch (error) {
    if (error instanceof ConfigError) return error;
  }
  throw new Error(`${args.join(' ')} was taken`);
}

describe('parseLabArguments', () => {
  test('without a command the whole tour runs with the defaults', () => {
    expect(parseLabArguments([])).toEqual({
      command: 'run',
      options: { name: 'lab', nodes: 3, pods: 2, backend: 'vxlan', manager: 'kube', traffic: 'auto' },
    });
  });

  test('up takes its flags in every spelling', () => {
    expect(parseLabArguments(['up', '--nodes', '5', '-name=b', '--nftables', '--pods=1'])).toEqual({
      command: 'up',
      options: { name: 'b', nodes: 5, pods: 1, backend: 'vxlan', manager: 'kube', traffic: 'nftables' },
    });
    expect(parseLabArguments(['--nodes=1', '--iptables', '--nftables=false'])).toMatchObject({
      command: 'run',
      options: { nodes: 1, traffic: 'iptables' },
    });
  });

  test('page takes an address', () => {
    const [plain, other] = [
      parseLabArguments(['page']),
      parseLabArguments(['page', '--addr', '[::1]:0', '--name=b']),
    ];
    expect(plain).toMatchObject({ command: 'page', name: 'lab', address: { port: 8475 } });
    expect(other).toMatchObject({ command: 'page', name: 'b', address: { port: 0 } });
    expect(failure('page', '--addr', 'example.org:1').message).toContain('--addr');
    expect(failure('page', 'n1').message).toContain('n1');
  });

  test('migrate takes what makes sense between nodes', () => {
    expect(parseLabArguments(['migrate', '--nodes=2', '--backend=host-gw', '--nftables'])).toEqual({
      command: 'migrate',
      options: { name: 'lab', nodes: 2, pods: 2, backend: 'host-gw', manager: 'kube', traffic: 'nftables' },
    });
    expect(failure('migrate', '--nodes', '1').message).toContain('2 at least');
    expect(failure('migrate', '--manager', 'etcd').message).toContain('lab migrate has no such flag');
  });

  test('exec leaves the command alone', () => {
    const wanted: LabCommand = {
      command: 'exec',
      name: 'lab',
      place: 'n1-a',
      argv: ['ip', '--json', 'addr', '--name'],
    };
    expect(parseLabArguments(['exec', 'n1-a', '--', 'ip', '--json', 'addr', '--name'])).toEqual(wanted);
    expect(parseLabArguments(['exec', 'n1-a', 'ip', '--json', 'addr', '--name'])).toEqual(wanted);
    expect(failure('exec', 'n1-a').message).toContain('lab exec n1-a -- <command>');
  });

  test('walk takes none or two ends, break one known fault', () => {
    expect(parseLabArguments(['walk'])).toEqual({ command: 'walk', name: 'lab' });
    expect(parseLabArguments(['walk', 'n1-a', 'world'])).toMatchObject({ from: 'n1-a', to: 'world' });
    expect(failure('walk', 'n1-a').message).toContain('needs two ends');
    expect(parseLabArguments(['break', 'fdb', '--node', 'n2'])).toEqual({
      command: 'break',
      name: 'lab',
      fault: 'fdb',
      node: 'n2',
    });
    expect(failure('break', 'roots').message).toContain('did you mean route?');
    expect(cureOf(failure('break'))).toContain('link, route');
  });

  test('a wrong word is named with the nearest right one', () => {
    expect(failure('verfy').message).toBe('lab verfy: no such command; did you mean verify?');
    expect(failure('up', '--node', '3').message).toContain('did you mean --nodes?');
    expect(failure('down', '--nodes', '3').message).toContain('lab down has no such flag');
    expect(failure('up', 'now').message).toContain('does not know what to do with "now"');
  });

  test('values are checked', () => {
    expect(failure('up', '--nodes', '0').message).toContain('not a number from 1 to 50');
    expect(failure('up', '--nodes').message).toContain('needs a value');
    expect(failure('up', '--name', '../etc').message).toContain('is not a lab name');
    expect(failure('up', '--backend', 'carrier-pigeon').message).toContain('no backend');
    for (const backend of ['vxlan', 'vxlan-direct', 'host-gw'])
      expect(parseLabArguments(['up', `--backend=${backend}`])).toMatchObject({ options: { backend } });
    expect(failure('up', '--iptables', '--nftables').message).toContain('not together');
    expect(failure('up', '--nftables=maybe').message).toContain('neither true nor false');
  });

  test('help is found everywhere', () => {
    expect(parseLabArguments(['--help'])).toEqual({ command: 'help', topic: undefined });
    expect(parseLabArguments(['walk', '-h'])).toEqual({ command: 'help', topic: 'walk' });
  });
});
