import type { Reservation } from '#ipam/store.ts';
import type { Ip } from '#net/ip.ts';
import { executePlugin } from './delegate.ts';
import {
  hostLocalAdd,
  hostLocalDead,
  hostLocalDel,
  hostLocalGc,
  hostLocalPlugin,
  hostLocalStatus,
  type CompletedProbe,
} from './host-local/plugin.ts';
import type { Invocation } from './plugin.ts';
import { EMPTY_RESULT, type CniResult } from './result.ts';

/** Address management as a main plugin sees it: `host-local` in this process, everything else executed. */
export interface Ipam {
  /** `completed`: see CompletedProbe; only asked by host-local. */
  add(call: Invocation, completed: CompletedProbe): Promise<CniResult>;
  /** Frees; returns the addresses when they are known. */
  del(call: Invocation): readonly Ip[];
  check(call: Invocation): Promise<void>;
  gc(call: Invocation): void;
  /** What GC is going to free; empty when only the IPAM plugin knows. */
  dead(call: Invocation): readonly Reservation[];
  status(call: Invocation): void;
}

const hostLocal: Ipam = {
  add: hostLocalAdd,
  del: hostLocalDel,
  check: async (call) => hostLocalPlugin.check(call),
  gc: hostLocalGc,
  dead: hostLocalDead,
  status: hostLocalStatus,
};

function foreign(type: string): Ipam {
  const run = (call: Invocation): void => void executePlugin(type, call);
  return {
    add: async (call) => executePlugin(type, call) ?? EMPTY_RESULT,
    del(call) {
      executePlugin(type, call);
      return [];
    },
    check: async (call) => run(call),
    gc: run,
    dead: () => [],
    status: run,
  };
}

/** The manager named by `ipam.type`. */
export function ipamOf(type: string): Ipam {
  return type === 'host-local' ? hostLocal : foreign(type);
}
