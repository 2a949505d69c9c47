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
