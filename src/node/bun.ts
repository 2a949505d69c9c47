import { FlannelError } from '#base/errors.ts';
import { builtin } from './builtin.ts';
import { spawn, spawnSync, which } from './child.ts';
import { deepEquals } from './deep-equals.ts';
import { FetchSession } from './fetch-session.ts';
import { serve } from './serve.ts';

/** `Bun.CryptoHasher`. */
class CryptoHasher {
  readonly #hash;

  constructor(algorithm: 'sha256' | 'sha512') {
    this.#hash = builtin.crypto.createHash(algorithm);
  }

  update(data: string | Uint8Array): this {
    this.#hash.update(data);
    return this;
  }

  digest(encoding: 'hex'): string {
    return this.#hash.digest(encoding);
  }
}

/** Of `Bun.hash`: marks of what was shown, compared with others of this process alone, so any even function will do. */
const hash = {
  crc32: (text: string) => builtin.zlib.crc32(text),
  wyhash: (text: string, seed: bigint) =>
    BigInt(`0x${builtin.crypto.createHash('sha256').update(`${seed} ${text}`).digest('hex').slice(0, 16)}`),
};

/** JSON is YAML, and all of it that can be had without a library. */
const YAML = {
  parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new FlannelError('operator', 'this build, for Node, reads no YAML but JSON', {
        cause,
        cure: 'Write the file as JSON: kubectl config view --raw --flatten --output=json',
      });
    }
  },
  stringify: (value: unknown) => JSON.stringify(value, null, 2),
};

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The part of the global `Bun` that the program uses, made of Node's own modules. The lab's servers are not in it. */
const BUN = {
  version: `none (Node ${process.versions.node})`,
  unsafe: { setJITPolicy: () => {} },
  gc: () => {},
  shrink: () => {},
  sleep: (ms: number) => new Promise((resolve) => setTimeout(resolve, ms)),
  sleepSync,
  deepEquals,
  hash,
  which,
  spawn,
  spawnSync,
  serve,
  FetchSession,
  CryptoHasher,
  YAML,
  file: (path: string) => ({
    text: async () => builtin.fs.promises.readFile(path, 'utf8'),
    stream: () => builtin.fs.createReadStream(path),
  }),
  gzipSync: (data: Uint8Array) => builtin.zlib.gzipSync(data),
  stringWidth: (text: string) => Array.from(text).length,
} satisfies Readonly<Partial<Record<keyof typeof Bun, unknown>>>;

const { fetch } = globalThis;

/** Bun's `fetch` goes to the socket of a path, too: that is how the agent is asked. */
function fetchAlsoUnix(
  input: string,
  options: RequestInit & { readonly unix?: string } = {},
): Promise<Response> {
  const { unix, method = 'GET', signal = null } = options;
  return unix === undefined
    ? fetch(input, options)
    : new FetchSession({ unix }).fetch(input, { method, signal });
}

Object.assign(globalThis, { Bun: BUN, fetch: fetchAlsoUnix });
