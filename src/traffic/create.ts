import { programRunner } from './exec.ts';
import { IptablesTraffic } from './iptables.ts';
import { NftablesTraffic } from './nftables.ts';
import type { Removed, TrafficBackend } from './port.ts';
import type { TrafficMode } from './rules.ts';

export interface TrafficSetup {
  readonly mode: TrafficMode;
  /** The agent's environment; programs get it without BUN_*. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Time limit of one program, ms; default 30,000. */
  readonly timeoutMs?: number;
}

export interface Traffic {
  readonly backend: TrafficBackend;
  /** Removes what a run in the other mode left; nothing to do when that mode's tool or kernel part is missing. */
  readonly clearOther: (signal?: AbortSignal) => Promise<Removed>;
}

/** The traffic rules of the current network namespace in the given mode. Opens nothing yet. */
export function createTraffic({ mode, env, timeoutMs = 30_000 }: TrafficSetup): Traffic {
  const open = (wanted: TrafficMode): TrafficBackend =>
    wanted === 'nftables' ? new NftablesTraffic() : new IptablesTraffic(programRunner({ env, timeoutMs }));
  return {
    backend: open(mode),
    clearOther: async (signal) => {
      await using other = open(mode === 'nftables' ? 'iptables' : 'nftables');
      return other.clear(signal);
    },
  };
}
