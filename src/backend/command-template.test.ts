import { expect, test } from 'bun:test';
import { ConfigError, cureOf } from '#base/errors.ts';
import { expandCommand, parseCommand } from './command-template.ts';

const OPTIONS = { path: 'net-conf.json: Backend.SubnetAddCommand', variables: ['SUBNET', 'PUBLIC_IP'] };
const VALUES = { SUBNET: '10.244.2.0/24', PUBLIC_IP: '192.168.50.12' };
const argv = (text: string) => expandCommand(parseCommand(text, OPTIONS), VALUES);

test.each([
  ['ip route add $SUBNET via $PUBLIC_IP', ['ip', 'route', 'add', '10.244.2.0/24', 'via', '192.168.50.12']],
  ['  a \t b  ', ['a', 'b']],
  ['/opt/add.sh ${SUBNET}x "to $PUBLIC_IP"', ['/opt/add.sh', '10.244.2.0/24x', 'to 192.168.50.12']],
  [`a '$SUBNET ; | "' "it's" '' ""`, ['a', '$SUBNET ; | "', "it's", '', '']],
  ['a b\\ c \\$SUBNET \\; "\\$SUBNET \\" \\\\ \\x"', ['a', 'b c', '$SUBNET', ';', '$SUBNET " \\ \\x']],
  [`a"b"'c'd`, ['abcd']],
  ['a --x={1,2} a#b a~b key=$SUBNET', ['a', '--x={1,2}', 'a#b', 'a~b', 'key=10.244.2.0/24']],
])('%j', (text, words) => {
  expect(argv(text)).toEqual(words);
});

test.each([
  ['ip link del x; ip link add x', 'has ";" outside of quotes'],
  ['a | b', 'has "|" outside of quotes'],
  ['a && b', 'has "&" outside of quotes'],
  ['a > /tmp/x', 'has ">" outside of quotes'],
  ['a < /tmp/x', 'has "<" outside of quotes'],
  ['a `id`', 'has "`" outside of quotes'],
  ['a "`id`"', 'has "`"'],
  ['a $(id)', 'has "$" that is not followed by the name of a variable'],
  ['a "$(id)"', 'has "$" that is not followed by the name of a variable'],
  ['a $1', 'has "$" that is not followed'],
  ['a ${SUBNET:-x}', 'has "$" that is not followed'],
  ['a $', 'has "$" that is not followed'],
  ['(a)', 'has "(" outside of quotes'],
  ['a *', 'has "*" outside of quotes'],
  ['a ?', 'has "?" outside of quotes'],
  ['a [b]', 'has "[" outside of quotes'],
  ['a\nb', 'has "\\n" outside of quotes'],
  ['a # b', 'has "#" at the beginning of a word'],
  ['a ~/b', 'has "~" at the beginning of a word'],
  ["a 'b", 'has a quote without its end'],
  ['a "b', 'has a quote without its end'],
  ['a "b\\', 'has a quote without its end'],
  ['a \\', 'has a backslash at its end'],
  ['a \0', 'has a NUL character'],
  ['A=1 b', '"A=1" is an assignment of a shell'],
  ['a $HOME', 'the command does not get $HOME; it gets SUBNET, PUBLIC_IP'],
])('refused: %j', (text, words) => {
  let thrown: unknown;
  try {
    parseCommand(text, OPTIONS);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(ConfigError);
  expect(String(thrown)).toContain(`net-conf.json: Backend.SubnetAddCommand: ${words}`);
  expect(cureOf(thrown)).toContain('script');
});

test('nothing at all, and a variable without a value', () => {
  expect(() => parseCommand(' ', OPTIONS)).toThrow('is empty');
  expect(expandCommand(parseCommand('a "$SUBNET" $PUBLIC_IP', OPTIONS), { SUBNET: 'x' })).toBe('PUBLIC_IP');
  expect(() => parseCommand('a $X', { ...OPTIONS, variables: [] })).toThrow('does not get $X; it gets none');
});

test('values are never read again: no splitting, no expansion', () => {
  const template = parseCommand('a $SUBNET "$PUBLIC_IP"', OPTIONS);
  const values = { SUBNET: 'b c; $(id)', PUBLIC_IP: '" $SUBNET' };
  expect(expandCommand(template, values)).toEqual(['a', 'b c; $(id)', '" $SUBNET']);
});
