import { readFileSync, readSync, writeSync } from 'node:fs';
import { hasErrno } from '#base/errors.ts';
import { CniError, CODE } from './error.ts';
import type { Host, Plugin, PluginName } from './plugin.ts';
import { runPlugin } from './skeleton.ts';

/** Each plugin is loaded when it is called, so that none pays for the others at start. */
const PLUGINS: Readonly<Record<PluginName, () => Promise<Plugin>>> = {
  flannel: async () => (await import('./flannel/plugin.ts')).flannelPlugin,
  bridge: async () => (await import('./bridge/plugin.ts')).bridgePlugin,
  'host-local': async () => (await import('./host-local/plugin.ts')).hostLocalPlugin,
  loopback: async () => (await import('./loopback/plugin.ts')).loopbackPlugin,
  portmap: async () => (await import('./portmap/plugin.ts')).portmapPlugin,
};

/** No network configuration comes near it; a runtime gone wrong must not fill the memory. */
const STDIN_LIMIT = 16 << 20;

/** One call of a CNI plugin: environment and standard input in, standard output and exit code out. */
export async function pluginMain(name: PluginName): Promise<number> {
  return runPlugin(name, PLUGINS[name], {
    readStdin,
    writeStdout: (text) => writeAll(1, text),
    host: systemHost,
  });
}

const systemHost: Host = {
  env: process.env,
  wallClock: () => Date.now(),
  now: () => performance.now(),
  sleep: (ms) => Bun.sleepSync(ms),
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),
  bootId: () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  warn,
};

/** By file descriptor: `process.stdin` and `process.stdout` cost more than a whole ADD. */
function readStdin(): string {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = new Uint8Array(16 * 1024);
    const count = retried(() => readSync(0, chunk));
    if (count === 0) break;
    length += count;
    if (length > STDIN_LIMIT) {
      throw new CniError(
        CODE.DECODE_FAILURE,
        `the network configuration is longer than ${STDIN_LIMIT} bytes`,
      );
    }
    chunks.push(chunk.subarray(0, count));
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

/** A pipe may take less than all at once. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += retried(() => writeSync(fd, bytes, at));
}

/** The runtime may have left its end of a pipe in non-blocking mode: EAGAIN then means "not yet". */
function retried(call: () => number): number {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (!hasErrno(error, 'EAGAIN')) throw error;
      Bun.sleepSync(1);
    }
  }
}

/** A runtime that closed standard error does not want to hear it; that must not fail the call. */
function warn(line: string): void {
  try {
    writeAll(2, `${line}\n`);
  } catch {
    // Nobody is left to tell.
  }
}
