import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finished } from './netns.ts';

const MAIN = `${import.meta.dir}/../../src/main.ts`;

export interface CtlOptions {
  /** Ended with this signal after `ms`. */
  readonly end?: { readonly signal: NodeJS.Signals; readonly ms: number };
  /** Ended with SIGINT when this is aborted. */
  readonly signal?: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command. */
  readonly prefix?: readonly string[];
}

/** Runs flannelctl from its sources, as a process of its own in this network namespace. */
export async function flannelctl(args: readonly string[], options: CtlOptions = {}): Promise<Finished> {
  const { end, signal, env = {}, prefix = [] } = options;
  const argv = [...prefix, process.execPath, MAIN, ...args];
  const child = Bun.spawn(argv, {
    // The program goes by the name it is called by; a prefix is called by its own.
    ...(prefix.length === 0 ? { argv0: 'flannelctl' } : {}),
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const timer = end === undefined ? undefined : setTimeout(() => child.kill(end.signal), end.ms);
  signal?.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  return { code, stdout, stderr };
}

/** A program called `flannelctl` in `folder` that runs the sources, for what starts itself by its name. */
export function placeFlannelctl(folder: string): string {
  const path = join(folder, 'flannelctl');
  writeFileSync(path, `#!/bin/bash\nexec -a flannelctl ${process.execPath} ${MAIN} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
