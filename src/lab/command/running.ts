import { existsSync, readdirSync } from 'node:fs';
import { FlannelError } from '#base/errors.ts';
import { isLabProcess } from '../process/processes.ts';
import { refuseForeign } from '../state/owner.ts';
import { labPaths } from '../state/paths.ts';
import { readState, type LabState } from '../state/state.ts';

/** The state of a lab that runs; an error that says what to do when it does not. */
export function runningLab(name: string): LabState {
  const paths = labPaths(name, process.env);
  refuseForeign(paths);
  const state = readState(paths.state);
  const flag = name === 'lab' ? '' : ` --name ${name}`;
  if (state === undefined) {
    const others = existsSync(paths.root) ? readdirSync(paths.root) : [];
    throw new FlannelError('operator', `lab "${name}" is not running`, {
      cure:
        others.length === 0
          ? `Start it with \`flannelctl lab up${flag}\``
          : `Running: ${others.join(', ')}; choose with --name`,
    });
  }
  if (!isLabProcess(state.pid, paths.folder))
    throw new FlannelError('operator', `the process of lab "${name}" has been killed`, {
      cure: `Clear away what is left with \`flannelctl lab down${flag}\``,
    });
  if (state.phase !== 'ready')
    throw new FlannelError('operator', `lab "${name}" is still being built`, {
      cure: 'Wait for `lab up` to end',
    });
  return state;
}
