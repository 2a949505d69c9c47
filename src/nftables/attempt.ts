import { hasErrno } from '#base/errors.ts';

/** What passes by itself: something was removed between reading and writing, or the kernel was busy. */
const PASSING = ['ENOENT', 'EAGAIN', 'EINTR', 'ENOBUFS', 'EBUSY'] as const;

/**
 * Runs `attempt`, which reads and then writes by what it has read, again when somebody else has changed that meanwhile.
 * Throws its last error after `tries`.
 */
export function retried<T>(attempt: () => T, tries = 10): T {
  for (let left = tries; ; left -= 1) {
    try {
      return attempt();
    } catch (error) {
      if (left <= 1 || !PASSING.some((name) => hasErrno(error, name))) throw error;
    }
  }
}

/** `fallback` where the kernel has no nf_tables: what is not there holds nothing to remove. */
export function withoutNfTables<T>(fallback: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const lacking = (['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT'] as const).some((name) =>
      hasErrno(error, name),
    );
    if (lacking) return fallback;
    throw error;
  }
}
