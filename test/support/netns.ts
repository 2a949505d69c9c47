import { held } from '#lab/serve/child.ts';
import { describe, expect, test } from 'bun:test';

/** Set in the child: the block of tests that it is to run. */
const CHILD = 'FLANNEL_TEST_NETNS_BLOCK';
const SKIPPED = 'skipped: kernel lacks ';
const MEASURED = 'measured: ';

export interface NetnsOptions {
  /** A mount namespace of its own as well. */
  readonly mounts?: boolean;
  /** A process namespace of its own as well: what a test leaves running, even as an orphan, ends with the block. */
  readonly processes?: boolean;
  /** Bound of the whole block, ms; default 600,000. */
  readonly timeoutMs?: number;
}

/**
 * Tests that need a network namespace of their own. The test process never enters one: it runs this very test file once
 * more under `unshare --net`, and there `body` registers its tests as usual. `file` is `import.meta.path`, `name`
 * unique within it. The namespace is empty (lo is down) and goes with the child.
 */
export function describeInNetns(
  file: string,
  name: string,
  body: () => void,
  options: NetnsOptions = {},
): void {
  const block = process.env[CHILD];
  if (block !== undefined) {
    if (block === name) describe(name, body);
    return;
  }
  const { mounts = false, processes = false, timeoutMs = 600_000 } = options;
  test(
    `${name} (in a fresh network namespace)`,
    async () => {
      const own = [
        ...(mounts ? ['--mount'] : []),
        ...(processes ? ['--pid', '--fork', '--kill-child', '--mount-proc'] : []),
      ];
      const argv = ['unshare', '--net', ...own, process.execPath, 'test', file, `--timeout=${timeoutMs}`];
      const child = Bun.spawn(held(argv), {
        env: { ...process.env, [CHILD]: name },
        stdout: 'pipe',
        stderr: 'pipe',
        timeout: timeoutMs,
      });
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      for (const line of `${stdout}\n${stderr}`.split('\n'))
        if (line.startsWith(SKIPPED) || line.startsWith(MEASURED)) console.log(line);
      // The child's report is the message: an exit status alone says nothing.
      if (code !== 0) throw new Error(`${name}: the child ended with ${code}\n${stdout}\n${stderr}`);
      // A child that ran no test at all must not count as success.
      expect(stderr).toMatch(/\b[1-9]\d* pass\b/);
    },
    timeoutMs,
  );
}

/**
 * Says that this kernel cannot do what a test is about. The line reaches the output of the whole run, which counts
 * such lines; the test itself returns early.
 */
export function kernelLacks(feature: string): void {
  console.log(SKIPPED + feature);
}

/** A number worth seeing in the output of the whole run. */
export function measured(text: string): void {
  console.log(MEASURED + text);
}

/** True in the process that runs a block, false in the one that reports it: what is needed once is made in that one. */
export function insideNetns(): boolean {
  return process.env[CHILD] !== undefined;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; argv only, no shell. */
export function run(argv: readonly string[]): Finished {
  const done = Bun.spawnSync([...argv], { stdout: 'pipe', stderr: 'pipe' });
  return { code: done.exitCode, stdout: done.stdout.toString(), stderr: done.stderr.toString() };
}

/** As `run`; throws with the program's own words when it fails. */
export function must(argv: readonly string[]): string {
  const { code, stdout, stderr } = run(argv);
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${code}: ${stderr}`);
  return stdout;
}

/** The JSON that `ip -j ...` and `bridge -j ...` print, as a list. */
export function json(argv: readonly string[]): Record<string, unknown>[] {
  const stdout = must(argv).trim();
  return stdout === '' ? [] : (JSON.parse(stdout) as Record<string, unknown>[]);
}

/** The run that a namespace or a lab belongs to: its process, so that the next run finds what a killed one left (scripts/test.mjs). */
const RUN = process.env['FLANNEL_TEST_RUN'] ?? String(process.pid);

/** A name for something on the machine that is there while a test runs, and that the next run sweeps (scripts/test.mjs). */
export function nameOfRun(prefix: string): string {
  return `${prefix}-fltest${RUN}`;
}

/** A named namespace (`ip netns`), removed on dispose. */
export class NamedNetns implements Disposable {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** `prefix`: a few letters that tell whose it is. */
  static create(prefix: string): NamedNetns {
    const name = `${nameOfRun(prefix)}-${crypto.randomUUID().slice(0, 8)}`;
    must(['ip', 'netns', 'add', name]);
    return new NamedNetns(name);
  }

  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs a program inside; throws when it fails. */
  exec(argv: readonly string[]): string {
    return must(['ip', 'netns', 'exec', this.name, ...argv]);
  }

  [Symbol.dispose](): void {
    run(['ip', 'netns', 'delete', this.name]);
  }
}
