import type { ArgumentType, ReturnType } from 'node:ffi';
import { FlannelError } from '#base/errors.ts';
import type { Functions, Signature } from './signature.ts';

/** Node's names of the types. `buffer` is as Bun's: memory that is borrowed for the length of the call. */
const ARGUMENTS = {
  i32: 'int32',
  u32: 'uint32',
  i64: 'int64',
  u64: 'uint64',
  cstring: 'string',
  buffer: 'buffer',
} as const satisfies Record<Signature['args'][number], ArgumentType>;
const RESULTS = {
  void: 'void',
  i32: 'int32',
  i64_fast: 'int64',
  ptr: 'pointer',
} as const satisfies Record<Signature['returns'], ReturnType>;

type Call = (...args: readonly unknown[]) => unknown;

/** Loaded here and not by an import, so that a Node without it ends in a message, not in the loader. */
function nodeFfi(): typeof import('node:ffi') {
  const ffi = process.getBuiltinModule('node:ffi');
  if (ffi !== undefined) return ffi;
  throw new FlannelError('operator', `this Node (${process.version}, ${process.arch}) has no node:ffi`, {
    cure: 'Use Node 26.9 or later, built with libffi (docs/architectures.md)',
  });
}

/** As `openLibrary` of `engine.ts`, by `node:ffi`; the build for Node puts this file in the place of that one. */
export function openLibrary<S extends Readonly<Record<string, Signature>>>(
  name: string,
  signatures: S,
): Functions<S> {
  const wanted = Object.entries<Signature>(signatures);
  const { functions } = nodeFfi().dlopen(
    name,
    Object.fromEntries(
      wanted.map(([symbol, { args, returns }]) => [
        symbol,
        { arguments: args.map((type) => ARGUMENTS[type]), return: RESULTS[returns] },
      ]),
    ),
  );
  const native = functions as Readonly<Record<string, Call>>;
  const adapted = wanted.map(([symbol, signature]) => [symbol, adapt(native[symbol] as Call, signature)]);
  return Object.fromEntries(adapted) as Functions<S>;
}

/** Node takes and gives 64-bit integers as bigint alone; ours are lengths, flags and descriptors, which a number holds. */
function adapt(call: Call, { args, returns }: Signature): Call {
  const wide = args.flatMap((type, at) => (type === 'i64' || type === 'u64' ? [at] : []));
  if (wide.length === 0 && returns !== 'i64_fast') return call;
  return (...given) => {
    const values = [...given];
    for (const at of wide) values[at] = BigInt(values[at] as number);
    const result = call(...values);
    return returns === 'i64_fast' ? Number(result) : result;
  };
}

/** As `readInt` of `engine.ts`. */
export function readInt(address: number): number {
  return nodeFfi().getInt32(BigInt(address), 0);
}
