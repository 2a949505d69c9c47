import { readdirSync, readFileSync } from 'node:fs';
import type { Registry } from '#base/metrics.ts';

/** What Prometheus client libraries say of every process, under the same names. */
export function declareProcess(registry: Registry): void {
  registry.read({
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'User and system time spent, in seconds.',
    read: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  });
  registry.read({
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory size in bytes.',
    read: () => process.memoryUsage.rss(),
  });
  registry.read({
    name: 'process_open_fds',
    type: 'gauge',
    help: 'Number of open file descriptors.',
    read: () => {
      try {
        // Without the one that reads the folder.
        return readdirSync('/proc/self/fd').length - 1;
      } catch {
        return undefined;
      }
    },
  });
  registry.read({
    name: 'process_max_fds',
    type: 'gauge',
    help: 'Maximum number of open file descriptors.',
    read: maxFds,
  });
  const start = performance.timeOrigin / 1000;
  registry.read({
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'Start time of the process since the epoch, in seconds.',
    read: () => start,
  });
}

/** The soft limit (proc_pid_limits(5)). */
function maxFds(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
