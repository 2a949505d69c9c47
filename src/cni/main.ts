import { exitNow, readDescriptor, readText, writeDescriptor } from '#ffi/file-system.ts';
import { CniError, CODE } from './error.ts';
import type { Host, Plugin, PluginName } from './plugin.ts';
import { runPlugin } from './skeleton.ts';

/** Each loads what it uses: `portmap` is called for every pod, and pays neither for links nor for addresses. */
const PLUGINS: Readonly<Record<PluginName, () => Promise<Plugin>>> = {
  flannel: async () => (await import('./flannel/plugin.ts')).flannelPlugin,
  bridge: async () => (await import('./bridge/plugin.ts')).bridgePlugin,
  'host-local': async () => (await import('./host-local/plugin.ts')).hostLocalPlugin,
  loopback: async () => (await import('./loopback/plugin.ts')).loopbackPlugin,
  portmap: async () => (await import('./portmap/plugin.ts')).portmapPlugin,
};

/** No network configuration comes near it; a runtime gone wrong must not fill the memory. */
const STDIN_LIMIT = 16 << 20;

/**
 * One call of a CNI plugin: environment and standard input in, standard output and exit code out. For a process that ends
 * with it: what is open is left to the kernel.
 */
export async function pluginMain(name: PluginName): Promise<number> {
  return runPlugin(name, PLUGINS[name], {
    readStdin,
    writeStdout: (text) => writeDescriptor(1, text, { what: 'standard output', wait }),
    host: systemHost,
  });
}

/** As `pluginMain`, and ends the process. */
export async function pluginProcess(name: PluginName): Promise<never> {
  return exitNow(await pluginMain(name));
}

const systemHost: Host = {
  env: process.env,
  untilExit: (resource) => resource,
  wallClock: () => Date.now(),
  now: () => performance.now(),
  sleep: (ms) => Bun.sleepSync(ms),
  random,
  bootId: () => readText('/proc/sys/kernel/random/boot_id').trim(),
  warn,
};

/** For names and MAC addresses, which must not clash and may be guessed; the engine seeds each process by chance. */
function random(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i += 1) bytes[i] = Math.floor(Math.random() * 256);
  return bytes;
}

/** By file descriptor: `process.stdin` and `process.stdout` cost more than a whole ADD. */
function readStdin(): string {
  const text = readDescriptor(0, STDIN_LIMIT, { what: 'standard input', wait });
  if (text !== undefined) return text;
  throw new CniError(CODE.DECODE_FAILURE, `the network configuration is longer than ${STDIN_LIMIT} bytes`);
}

/** The runtime may have left its end of a pipe in non-blocking mode: EAGAIN then means "not yet". */
function wait(): void {
  Bun.sleepSync(1);
}

/** A runtime that closed standard error does not want to hear it; that must not fail the call. */
function warn(line: string): void {
  try {
    writeDescriptor(2, `${line}\n`, { what: 'standard error', wait });
  } catch {
    // Nobody is left to tell.
  }
}
