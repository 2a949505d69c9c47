import { join } from 'node:path';

/** Where the labs of this machine keep their state, unless `FLANNEL_LAB_ROOT` says otherwise. */
export const DEFAULT_ROOT = '/run/flannel-lab';
/** Environment variable with another root folder; the run without root sets it. */
export const ROOT_VARIABLE = 'FLANNEL_LAB_ROOT';
/** Every process of a lab carries its folder in this variable: that is how `down` knows them. */
export const MARK_VARIABLE = 'FLANNEL_LAB';

/** The files of one lab. */
export interface LabPaths {
  readonly name: string;
  readonly root: string;
  readonly folder: string;
  readonly state: string;
  /** Unix socket of the lab process. */
  readonly control: string;
  /** Unix socket of a lab that migrates. */
  readonly hands: string;
  /** JSON lines of what `up` shows. */
  readonly progress: string;
  readonly log: string;
  /** Log of the agent of one node. */
  agentLog(node: string): string;
}

export function labPaths(name: string, environment: NodeJS.ProcessEnv): LabPaths {
  const root = environment[ROOT_VARIABLE] ?? DEFAULT_ROOT;
  const folder = join(root, name);
  return {
    name,
    root,
    folder,
    state: join(folder, 'state.json'),
    control: join(folder, 'control'),
    hands: join(folder, 'hands'),
    progress: join(folder, 'progress'),
    log: join(folder, 'lab.log'),
    agentLog: (node) => join(folder, `flanneld-${node}.log`),
  };
}
