import { expect, test } from 'bun:test';
import { FlannelError } from '#base/errors.ts';
import { commandRunner } from './run-command.ts';

const PATH = '/usr/bin:/bin';
const never = new AbortController().signal;
const run = (
  argv: readonly string[],
  more: { timeoutMs?: number; signal?: AbortSignal; stdin?: string } = {},
) =>
  commandRunner({ path: PATH, timeoutMs: more.timeoutMs ?? 5000 })(
    { what: 'SubnetAddCommand', argv, env: { SUBNET: '10.244.2.0/24' }, stdin: more.stdin ?? '\n' },
    more.signal ?? never,
  );

/** What it says when it fails. */
const failure = (attempt: Promise<string>): Promise<string> =>
  attempt.then((output) => `no failure: ${output}`, String);

test('environment, input and output', async () => {
  expect((await run(['env'])).trim().split('\n').sort()).toEqual([`PATH=${PATH}`, 'SUBNET=10.244.2.0/24']);
  expect(await run(['cat'], { stdin: 'data\n' })).toBe('data\n');
  // What looks like a shell's is text.
  expect(await run(['echo', '$(id); `id` $SUBNET'])).toBe('$(id); `id` $SUBNET\n');
});

test('failures say which command, how, and what it wrote', async () => {
  expect(await failure(run(['ls', '/nonexistent']))).toMatch(/SubnetAddCommand: exit code 2: .*nonexistent/);
  expect(run(['/no/such/program'])).rejects.toThrow(
    'SubnetAddCommand: there is no program "/no/such/program"',
  );
  expect(await run(['false']).catch((error: unknown) => error)).toBeInstanceOf(FlannelError);
});

test('bounded in time, with its children, and in output', async () => {
  const start = performance.now();
  expect(await failure(run(['sh', '-c', 'sleep 20; true'], { timeoutMs: 100 }))).toContain(
    'it did not end within 100 ms',
  );
  expect(await failure(run(['yes']))).toContain('it wrote more than 65536 bytes');
  expect(performance.now() - start).toBeLessThan(15_000);
});

test('one that leaves something running with its output open has ended all the same', async () => {
  expect(await run(['sh', '-c', 'echo done; sleep 2 &'])).toBe('done\n');
});

test('the end of the agent ends it', async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('stopped')), 50);
  expect(await failure(run(['sleep', '20'], { signal: stop.signal }))).toContain('stopped');
});
