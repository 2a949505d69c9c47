import { enterArgv, findPlace } from '../process/places.ts';
import { labEnvironment } from '../process/run.ts';
import { labPaths } from '../state/paths.ts';
import { runningLab } from './running.ts';

/** Runs a command in a pod, on a node or in the world, with this terminal; returns its exit code. */
export async function exec(name: string, placeName: string, argv: readonly string[]): Promise<number> {
  const place = findPlace(runningLab(name), placeName);
  const env = labEnvironment(labPaths(name, process.env).folder);
  const child = Bun.spawn(enterArgv(place, argv), {
    stdin: 'inherit',
    stdout: 'inherit',
    stderr: 'inherit',
    env,
  });
  // Ctrl-C is for the command.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  const code = await child.exited;
  process.off('SIGINT', ignore);
  return code;
}
