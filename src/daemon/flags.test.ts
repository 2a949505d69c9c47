import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { FLAGS } from './flag-table.ts';
import { envName, parseFlags } from './flags.ts';
import { helpText } from './help.ts';
import { checkOptions, txChecksum } from './options.ts';

const values = (args: readonly string[], env: Record<string, string> = {}) => parseFlags(args, env).values;

/** The error that the arguments cause. */
function refusal(
  args: readonly string[],
  env: Record<string, string> = {},
): { message: string; cure: string } {
  try {
    parseFlags(args, env);
  } catch (error) {
    if (error instanceof ConfigError) return { message: error.message, cure: error.cure ?? '' };
    throw error;
  }
  throw new Error('the arguments are accepted');
}

test('defaults', () => {
  expect(values([])).toMatchObject({
    'kube-subnet-mgr': false,
    'ip-masq': false,
    iface: [],
    'subnet-file': '/run/flannel/subnet.env',
    'net-config-path': '/etc/kube-flannel/net-conf.json',
    'kube-annotation-prefix': 'flannel.alpha.coreos.com',
    'iptables-resync': 5,
    'iptables-forward-rules': true,
    'healthz-ip': '0.0.0.0',
    'healthz-port': 0,
    'set-node-network-unavailable': true,
    'subnet-lease-renew-margin': 60,
    'etcd-prefix': '/coreos.com/network',
  });
  expect(parseFlags([], {}).given.size).toBe(0);
});

test('one dash or two, with = or a blank', () => {
  for (const args of [
    ['--healthz-port=80'],
    ['-healthz-port=80'],
    ['--healthz-port', '80'],
    ['-healthz-port', '80'],
  ]) {
    expect(values(args)['healthz-port']).toBe(80);
  }
  expect(values(['--public-ip='])['public-ip']).toBe('');
  expect(values(['--iface-regex=a=b'])['iface-regex']).toEqual(['a=b']);
  expect(values(['--etcd-prefix', '--odd'])['etcd-prefix']).toBe('--odd');
  expect(values(['-v', '5', '--'])['v']).toBe(5);
});

test('booleans stand alone or take their value with =', () => {
  expect(values(['--ip-masq', '--kube-subnet-mgr'])).toMatchObject({
    'ip-masq': true,
    'kube-subnet-mgr': true,
  });
  for (const text of ['1', 't', 'T', 'true', 'TRUE', 'True']) {
    expect(values([`--ip-masq=${text}`])['ip-masq']).toBe(true);
  }
  for (const text of ['0', 'f', 'F', 'false', 'FALSE', 'False']) {
    expect(values([`--iptables-forward-rules=${text}`])['iptables-forward-rules']).toBe(false);
  }
  for (const text of ['yes', '', 'tRUE', 'toString', '__proto__']) {
    expect(refusal([`--ip-masq=${text}`]).message).toBe(
      `--ip-masq: ${JSON.stringify(text)} is not a boolean (true or false)`,
    );
  }
  expect(refusal(['--ip-masq', 'false'])).toEqual({
    message: 'command line: unexpected argument "false"',
    cure: 'Booleans take their value with "=", e.g. --ip-masq=false; see flanneld --help',
  });
});

test('the last of several counts; lists collect', () => {
  expect(values(['--public-ip=1.1.1.1', '--public-ip=2.2.2.2'])['public-ip']).toBe('2.2.2.2');
  expect(values(['--iface=eth0', '-iface', 'eth1', '--iface=10.0.0.1']).iface).toEqual([
    'eth0',
    'eth1',
    '10.0.0.1',
  ]);
});

test('numbers are whole and within their range', () => {
  for (const text of ['-1', '65536', '1e3', '0x10', ' 1', '', '9'.repeat(30)]) {
    expect(refusal([`--healthz-port=${text}`]).message).toBe(
      `--healthz-port: ${JSON.stringify(text)} is not a whole number from 0 to 65535`,
    );
  }
  expect(refusal(['--subnet-lease-renew-margin=1440']).message).toContain('from 1 to 1439');
});

test('a flag that is none is named with the nearest', () => {
  expect(refusal(['--ip-mask'])).toEqual({
    message: '--ip-mask: no such flag',
    cure: 'The nearest is --ip-masq; see flanneld --help',
  });
  expect(refusal(['--constructor']).message).toBe('--constructor: no such flag');
  expect(refusal(['--zzzzzzzzzz']).cure).toBe('See flanneld --help');
  for (const odd of ['-', '---ip-masq', '--=x', 'ip-masq', '']) {
    expect(refusal([odd]).message).toBe(`command line: unexpected argument ${JSON.stringify(odd)}`);
  }
  expect(refusal(['--public-ip']).message).toBe('--public-ip: needs a value (IPv4)');
});

test('the environment counts where the command line is silent', () => {
  expect(envName('kube-subnet-mgr')).toBe('FLANNELD_KUBE_SUBNET_MGR');
  const env = { FLANNELD_IFACE: 'eth5', FLANNELD_IP_MASQ: 'true', FLANNELD_V: '3', FLANNELD_PUBLIC_IP: '' };
  expect(values([], env)).toMatchObject({ iface: ['eth5'], 'ip-masq': true, v: 3, 'public-ip': '' });
  expect(values(['--iface=eth0', '--ip-masq=false'], env)).toMatchObject({
    iface: ['eth0'],
    'ip-masq': false,
  });
  expect([...parseFlags(['-v=1'], env).given].sort()).toEqual(['iface', 'ip-masq', 'v']);
});

test('several interfaces in one variable are parted by commas, regular expressions are not', () => {
  const env = { FLANNELD_IFACE: 'eth0, 10.0.0.1', FLANNELD_IFACE_REGEX: 'eth[0-9]{1,2}' };
  expect(values([], env)).toMatchObject({ iface: ['eth0', '10.0.0.1'], 'iface-regex': ['eth[0-9]{1,2}'] });
});

test('a wrong value in the environment names the variable; an unknown variable is a warning', () => {
  expect(refusal([], { FLANNELD_HEALTHZ_PORT: 'x' }).message).toStartWith(
    'FLANNELD_HEALTHZ_PORT: "x" is not',
  );
  const { warnings } = parseFlags([], { FLANNELD_IP_MASK: '1', FLANNELD_ZZZZZZZZZZZZZ: '1', OTHER: '1' });
  expect(warnings).toEqual([
    'environment variable FLANNELD_IP_MASK is no flag; the nearest is FLANNELD_IP_MASQ',
    'environment variable FLANNELD_ZZZZZZZZZZZZZ is no flag',
  ]);
});

test('help and version', () => {
  for (const flag of ['-h', '-help', '--help']) expect(parseFlags([flag], {}).help).toBe(true);
  expect(parseFlags(['-version'], {}).version).toBe(true);
  const text = helpText();
  for (const [name, spec] of Object.entries(FLAGS)) {
    expect(text).toContain(`--${name}`);
    expect(text).toContain(spec.help);
  }
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(140);
});

test('what flags say together', () => {
  const check = (...args: readonly string[]) => checkOptions({ flags: values(args), env: {} });
  check('--kube-subnet-mgr');
  check('--kube-subnet-mgr', '--public-ip=1.2.3.4', '--public-ipv6=fd00::1', '--iface-can-reach=1.1.1.1');
  check();
  check('--etcd-endpoints=https://10.0.0.1:2379, http://[fd00::1]:2379/');
  for (const [arg, words] of [
    ['--etcd-endpoints=', '--etcd-endpoints: "" is not an address of etcd'],
    ['--etcd-endpoints=ftp://a', '--etcd-endpoints: "ftp://a" is not'],
    ['--etcd-endpoints=http://u:secret@a:1', '--etcd-endpoints: holds a user or password'],
    ['--etcd-keyfile=/k', '--etcd-certfile: is missing'],
    ['--etcd-certfile=/c', '--etcd-keyfile: is missing'],
    ['--etcd-prefix=a', '--etcd-prefix: "a" does not begin with a slash'],
  ] as const) {
    expect(() => check(arg)).toThrow(words);
    expect(() => check(arg)).not.toThrow('secret');
    check('--kube-subnet-mgr', arg);
  }
  expect(() => check('--kube-subnet-mgr', '--subnet-file=')).toThrow('--subnet-file: is empty');
  expect(() => check('--kube-subnet-mgr', '--net-config-path=')).toThrow('--net-config-path: is empty');
  expect(() => check('--kube-subnet-mgr', '--public-ip=fd00::1')).toThrow('--public-ip: "fd00::1" is not');
  expect(() => check('--kube-subnet-mgr', '--public-ipv6=::')).toThrow(
    "--public-ipv6: :: is no node's address",
  );
  expect(() => check('--kube-subnet-mgr', '--iface-regex=[')).toThrow('--iface-regex');
  for (const [word, wish] of [['auto'], ['on', true], ['off', false]] as const) {
    check('--kube-subnet-mgr', `--vxlan-tx-checksum=${word}`);
    expect(txChecksum(values([`--vxlan-tx-checksum=${word}`]))).toBe(wish);
  }
  expect(() => check('--kube-subnet-mgr', '--vxlan-tx-checksum=false')).toThrow(
    '--vxlan-tx-checksum: "false" is none of auto, on and off',
  );
});
