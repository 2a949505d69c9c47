/** What a C function takes: integers by width, a string without NUL, memory that stays in place for the length of the call. */
interface Argument {
  readonly i32: number;
  readonly u32: number;
  readonly i64: number;
  readonly u64: number;
  readonly cstring: string;
  readonly buffer: Uint8Array | Uint32Array;
}

/** What it returns; `i64_fast`: lengths and file offsets, a bigint only where a number would not hold them. */
interface Result {
  readonly void: void;
  readonly i32: number;
  readonly i64_fast: number | bigint;
  readonly ptr: number | bigint | null;
}

export interface Signature {
  readonly args: readonly (keyof Argument)[];
  readonly returns: keyof Result;
}

type Arguments<A extends readonly (keyof Argument)[]> = { readonly [I in keyof A]: Argument[A[I]] };

/** A C library by the names of its functions. */
export type Functions<S extends Readonly<Record<string, Signature>>> = {
  readonly [Name in keyof S]: (...args: Arguments<S[Name]['args']>) => Result[S[Name]['returns']];
};
