import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { FlannelError, hasErrno } from '#base/errors.ts';
import type { UpOptions } from '../command/options.ts';

/** A simulated node: a network and a mount namespace, held by a sleeping process. */
export interface NodeState {
  readonly name: string;
  /** The process that holds the namespaces. */
  readonly pid: number;
  /** Address on the underlay. */
  readonly ip: string;
  readonly podCidr: string;
  /** The running flanneld, undefined while there is none. */
  readonly agentPid?: number | undefined;
  /** How often the agent was started again. */
  readonly agentRestarts: number;
}

/** A pod: a network namespace, mounted at `/run/netns/<name>` in its node's mount namespace. */
export interface PodState {
  readonly name: string;
  readonly node: string;
  readonly containerId: string;
  /** What the CNI result said. */
  readonly ip: string;
}

/** Everything that the lab's short-lived commands need to know about a running lab. */
export interface LabState {
  readonly version: 1;
  readonly options: UpOptions;
  readonly traffic: 'iptables' | 'nftables';
  readonly phase: 'starting' | 'ready' | 'failed';
  /** The lab process, whose network namespace is the underlay. */
  readonly pid: number;
  /** Of the Kubernetes API or etcd; empty before it runs. */
  readonly storeUrl: string;
  readonly worldPid: number;
  readonly nodes: readonly NodeState[];
  readonly pods: readonly PodState[];
}

/** The state of a lab, undefined when there is none. A file that cannot be read says how to get rid of it. */
export function readState(path: string): LabState | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const state = JSON.parse(text) as LabState;
    if (state.version === 1) return state;
  } catch (error) {
    throw damaged(path, error);
  }
  throw damaged(path, undefined);
}

function damaged(path: string, cause: unknown): FlannelError {
  return new FlannelError('operator', `${path} is not the state of a lab of this version`, {
    cure: 'Run `flannelctl lab down`, then `flannelctl lab up`',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Writes whole or not at all: commands read it at any time. */
export function writeState(path: string, state: LabState): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, `${JSON.stringify(state, null, 1)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
