// `node --import <this> <program>`: gives a Node without node:ffi one made of an addon (ffi-stand-in.c), whose path is in
// FFI_STAND_IN, and what else Node 26 has and Node 24 lacks. For tests under emulation only.
import { createRequire } from 'node:module';

const { symbol, call, readInt } = createRequire(import.meta.url)(process.env.FFI_STAND_IN);
const encoder = new TextEncoder();

/** As the C side expects an argument in a register: 32 bits extended by their sign, or with zeros. */
function word(type, value) {
  switch (type) {
    case 'int32':
      return BigInt.asIntN(32, BigInt(value));
    case 'uint32':
      return BigInt.asUintN(32, BigInt(value));
    case 'string':
      return encoder.encode(`${value}\0`);
    case 'buffer':
      return value;
    default:
      if (typeof value !== 'bigint') throw new TypeError(`${type} must be a bigint`);
      return value;
  }
}

function result(type, register) {
  if (type === 'int32') return Number(BigInt.asIntN(32, register));
  return type === 'void' ? undefined : register;
}

const ffi = {
  dlopen(library, definitions) {
    const functions = Object.entries(definitions).map(([name, { arguments: types, return: returns }]) => {
      const address = symbol(library, name);
      if (address === 0n) throw new Error(`dlsym ${name} failed`);
      const native = (...values) =>
        result(returns, call(address, ...types.map((type, at) => word(type, values[at]))));
      return [name, native];
    });
    return { functions: Object.fromEntries(functions) };
  },
  getInt32: (address) => readInt(address),
};

const builtin = process.getBuiltinModule.bind(process);
process.getBuiltinModule = (name) => (name === 'node:ffi' ? ffi : builtin(name));

if (Uint8Array.fromHex === undefined) {
  const value = function toHex() {
    return Buffer.from(this.buffer, this.byteOffset, this.length).toString('hex');
  };
  // It stands in for what a later version of the language has there.
  // oxlint-disable-next-line eslint/no-extend-native
  Object.defineProperty(Uint8Array.prototype, 'toHex', { value });
  Uint8Array.fromHex = (text) => new Uint8Array(Buffer.from(text, 'hex'));
}
