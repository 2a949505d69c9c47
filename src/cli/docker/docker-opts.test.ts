import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlannelError } from '#base/errors.ts';
import { parseSubnetEnv } from '#subnet/env.ts';
import { dockerOptsMain, parseArguments } from './main.ts';
import { dockerOptions } from './options.ts';

const TEXT =
  'FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n';
const env = parseSubnetEnv(TEXT, 'subnet.env');
const all = {
  env,
  environment: {},
  individual: true,
  combined: true,
  combinedKey: 'DOCKER_OPTS',
  ipMasq: true,
};

describe('the text is that of mk-docker-opts.sh', () => {
  // dist/mk-docker-opts.sh of the original, run by bash on TEXT.
  test('both ways', () => {
    expect(dockerOptions(all)).toBe(
      'DOCKER_OPT_BIP="--bip=10.5.1.1/24"\nDOCKER_OPT_IPMASQ="--ip-masq=false"\nDOCKER_OPT_MTU="--mtu=1450"\n' +
        'DOCKER_OPTS=" --bip=10.5.1.1/24 --ip-masq=false --mtu=1450 "\n',
    );
  });
  test('without --ip-masq: asked for, or because the agent does not masquerade', () => {
    const text = 'DOCKER_OPTS=" --bip=10.5.1.1/24 --mtu=1450 "\n';
    expect(dockerOptions({ ...all, individual: false, ipMasq: false })).toBe(text);
    expect(dockerOptions({ ...all, individual: false, env: { ...env, ipMasq: false } })).toBe(text);
  });
  test('what the environment holds already is kept', () => {
    const environment = { DOCKER_OPTS: '-H unix://', DOCKER_OPT_X: '--x="1"', OTHER: 'y' };
    expect(dockerOptions({ ...all, environment, combinedKey: 'DOCKER_OPTS' })).toBe(
      'DOCKER_OPT_BIP="--bip=10.5.1.1/24"\nDOCKER_OPT_IPMASQ="--ip-masq=false"\nDOCKER_OPT_MTU="--mtu=1450"\n' +
        'DOCKER_OPT_X="--x=\\"1\\""\n' +
        'DOCKER_OPTS="-H unix:// --bip=10.5.1.1/24 --ip-masq=false --mtu=1450 --x=\\"1\\" "\n',
    );
  });
});

test('arguments as getopts takes them', () => {
  expect(parseArguments([])).toMatchObject({ individual: true, combined: true, ipMasq: true });
  expect(parseArguments(['-ik', 'X', '-f/a', '-d', '-'])).toMatchObject({
    individual: true,
    combined: false,
    combinedKey: 'X',
    subnetFile: '/a',
    output: '-',
  });
  expect(parseArguments(['-cm'])).toMatchObject({ individual: false, combined: true, ipMasq: false });
  for (const wrong of [['x'], ['-x'], ['-f'], ['-k', 'a b'], ['--long']]) {
    expect(() => parseArguments(wrong)).toThrow();
  }
});

test('the file is written whole; without subnet.env it says what to do', () => {
  const folder = mkdtempSync(join(tmpdir(), 'docker-opts-'));
  try {
    const [from, to] = [join(folder, 'subnet.env'), join(folder, 'a', 'opts.env')];
    expect(() => dockerOptsMain(['-f', from, '-d', to], {})).toThrow(FlannelError);
    writeFileSync(from, TEXT);
    expect(dockerOptsMain(['-f', from, '-d', to, '-c', '-k', 'OPTS'], {})).toBe(0);
    expect(readFileSync(to, 'utf8')).toBe('OPTS=" --bip=10.5.1.1/24 --ip-masq=false --mtu=1450 "\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
