import { expect, test } from 'bun:test';
import { ConfigError, cureOf } from '#base/errors.ts';
import { masqueradeExclude } from './masquerade-exclude.ts';

const read = (list: readonly string[], ipMasq = true) =>
  masqueradeExclude({ 'ip-masq': ipMasq, 'ip-masq-exclude': list }).map(String);

function thrown(...list: readonly string[]): { readonly text: string; readonly cure: string | undefined } {
  try {
    read(list);
  } catch (error) {
    if (error instanceof ConfigError) return { text: error.message, cure: error.cure };
    throw error;
  }
  throw new Error('taken');
}

test('lists and repetitions are put together, each network once, in the order given', () => {
  expect(read([])).toEqual([]);
  expect(read(['10.0.0.0/8, 172.16.0.0/12', 'FD00:0::/8,10.0.0.0/8', '192.168.50.11/32'])).toEqual([
    '10.0.0.0/8',
    '172.16.0.0/12',
    'fd00::/8',
    '192.168.50.11/32',
  ]);
  expect(read(['0.0.0.0/0', '::/0'])).toEqual(['0.0.0.0/0', '::/0']);
});

test('what is no network is named with what to write instead', () => {
  expect(thrown('10.0.0.0/8,192.168.50.11')).toEqual({
    text: '--ip-masq-exclude: "192.168.50.11" is no network',
    cure: 'Use 192.168.50.11/32',
  });
  expect(thrown('10.1.2.3/8')).toEqual({
    text: '--ip-masq-exclude: 10.1.2.3/8 is an address in a network',
    cure: 'Use 10.0.0.0/8',
  });
  for (const text of ['', '10.0.0.0/8,', '10.0.0.0/33', 'node', '10.0.0.0/8;reboot', '!10.0.0.0/8', '10/8'])
    expect(thrown(text).cure).toContain('10.0.0.0/8,fd00::/8');
});

test('without masquerading it is refused, not passed over', () => {
  expect(read([], false)).toEqual([]);
  let error: unknown;
  try {
    read(['10.0.0.0/8'], false);
  } catch (thrown) {
    error = thrown;
  }
  expect(String(error)).toContain('--ip-masq-exclude: has no effect without --ip-masq');
  expect(cureOf(error)).toContain('--ip-masq');
});
