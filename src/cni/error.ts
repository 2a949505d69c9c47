import { ConfigError, cureOf, describe, ErrnoError, FlannelError } from '#base/errors.ts';
import { FileError } from '#ffi/file-system.ts';

/** Error codes of the CNI specification 1.1.0, section "Error"; 8 and 999 are libcni's own. */
export const CODE = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  UNKNOWN_CONTAINER: 3,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  DECODE_FAILURE: 6,
  INVALID_CONFIG: 7,
  INVALID_NETNS: 8,
  TRY_AGAIN_LATER: 11,
  NOT_AVAILABLE: 50,
  LIMITED_CONNECTIVITY: 51,
  INTERNAL: 999,
} as const;

export interface CniErrorDetails {
  /** What a person does about it; becomes the error's `details`. */
  readonly details?: string | undefined;
  readonly cause?: unknown;
}

/** An error with the code that the runtime is to see. */
export class CniError extends FlannelError {
  override readonly name = 'CniError';
  readonly cniCode: number;

  constructor(code: number, message: string, extra: CniErrorDetails = {}) {
    super(code === CODE.INTERNAL ? 'kernel' : 'operator', message, {
      ...(extra.details === undefined ? {} : { cure: extra.details }),
      ...(extra.cause === undefined ? {} : { cause: extra.cause }),
    });
    this.cniCode = code;
  }
}

/** A key whose value this program cannot honour: specification code 2, which wants key and value in the message. */
export function unsupported(key: string, value: unknown, details?: string): CniError {
  const text = `unsupported value of ${key}: ${JSON.stringify(value)}`;
  return new CniError(CODE.UNSUPPORTED_FIELD, text, { details });
}

/** A value of the network configuration that is wrong: code 7. */
export function invalidConfig(message: string, details?: string): CniError {
  return new CniError(CODE.INVALID_CONFIG, message, { details });
}

/** The code under which any error goes to the runtime. */
export function codeOf(error: unknown): number {
  if (error instanceof CniError) return error.cniCode;
  if (error instanceof ConfigError) return CODE.INVALID_CONFIG;
  if (error instanceof FileError) return CODE.IO_FAILURE;
  if (error instanceof ErrnoError) return CODE.INTERNAL;
  if (error instanceof FlannelError) return error.actor === 'operator' ? CODE.INVALID_CONFIG : CODE.INTERNAL;
  // What Node's file functions throw: a system call that failed, with its path in the message.
  if (error instanceof Error && 'syscall' in error) return CODE.IO_FAILURE;
  return CODE.INTERNAL;
}

/** Longest text of an error, in characters: runtimes write it into events and logs, and what is quoted may be any length. */
const TEXT_LIMIT = 2048;

/** The error object of the specification, as text without a trailing newline. */
export function renderError(error: unknown, cniVersion: string): string {
  const cure = cureOf(error);
  const details = cure === undefined ? undefined : cut(cure);
  return JSON.stringify({ cniVersion, code: codeOf(error), msg: cut(describe(error)), details }, null, 4);
}

/** The beginning, and the end, where the reason is. */
function cut(text: string): string {
  if (text.length <= TEXT_LIMIT) return text;
  return `${text.slice(0, TEXT_LIMIT - 512)} [...] ${text.slice(-500)}`;
}
