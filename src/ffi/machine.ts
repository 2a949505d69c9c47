import { FlannelError } from '#base/errors.ts';

/** What the kernel's interface differs in from machine to machine. */
export interface Machine {
  /** `asm/unistd.h`; called by number, since old C libraries have no functions for them. */
  readonly SYS_getdents64: number;
  readonly SYS_statx: number;
  /** `asm/socket.h`. */
  readonly SO_RCVTIMEO: number;
  readonly SO_SNDTIMEO: number;
  /** As the C library musl names it in its file's name. */
  readonly musl: string;
}

const USUAL = { SO_RCVTIMEO: 20, SO_SNDTIMEO: 21 } as const;

/** By the name that Bun and Node have for it; `ppc64` is little-endian here, as every Node for Linux on it. */
export const MACHINES: Readonly<Record<string, Machine>> = {
  x64: { ...USUAL, SYS_getdents64: 217, SYS_statx: 332, musl: 'x86_64' },
  arm64: { ...USUAL, SYS_getdents64: 61, SYS_statx: 291, musl: 'aarch64' },
  ppc64: { SO_RCVTIMEO: 18, SO_SNDTIMEO: 19, SYS_getdents64: 202, SYS_statx: 383, musl: 'powerpc64le' },
  s390x: { ...USUAL, SYS_getdents64: 220, SYS_statx: 379, musl: 's390x' },
};

/** The machine that this runs on. */
export function machine(): Machine {
  const found = MACHINES[process.arch];
  if (found !== undefined) return found;
  throw new FlannelError('operator', `this program knows nothing of ${process.arch} machines`, {
    cure: `It runs on ${Object.keys(MACHINES).join(', ')}`,
  });
}
