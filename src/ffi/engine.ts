import { dlopen, read, type FFIFunction } from 'bun:ffi';
import type { Functions, Signature } from './signature.ts';

/** Loads a shared library; throws when there is none of that name or it lacks a function. `engine-node.ts` is the same for Node. */
export function openLibrary<S extends Readonly<Record<string, Signature>>>(
  name: string,
  signatures: S,
): Functions<S> {
  // The declarations know `i64_fast` by number only; the engine knows its name as well.
  const symbols = signatures as unknown as Readonly<Record<string, FFIFunction>>;
  return dlopen(name, symbols).symbols as unknown as Functions<S>;
}

/** Reads an `int` of the C side. `address`: what a function returned as `ptr`, as a number. */
export function readInt(address: number): number {
  return read.i32(address, 0);
}
