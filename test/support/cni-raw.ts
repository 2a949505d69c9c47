import { BIN, WORK } from './cni-machine.ts';
import type { Outcome } from './cni.ts';

export interface RawCall {
  readonly plugin: string;
  readonly stdin: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

export interface TimedOutcome extends Outcome {
  readonly ms: number;
}

/** A call of the compiled plugin with whatever input; `env` over that of a usual ADD. */
export function callRaw({ plugin, stdin, env = {} }: RawCall): TimedOutcome {
  const started = performance.now();
  const done = Bun.spawnSync([`${BIN}/${plugin}`], {
    env: {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'pod',
      CNI_NETNS: '/run/netns/nobody',
      CNI_IFNAME: 'eth0',
      CNI_PATH: BIN,
      ...env,
    },
    stdin: typeof stdin === 'string' ? Buffer.from(stdin) : stdin,
    cwd: WORK,
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 20_000,
  });
  const ms = performance.now() - started;
  return { code: done.exitCode, stdout: done.stdout.toString(), stderr: done.stderr.toString(), ms };
}
