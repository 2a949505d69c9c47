import { appendFileSync } from 'node:fs';
import { cureOf, describe } from '#base/errors.ts';
import { createLogger, type Logger } from '#base/log.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { UpOptions } from '../command/options.ts';
import { labEnvironment } from '../process/run.ts';
import { labPaths, type LabPaths } from '../state/paths.ts';
import type { LabState } from '../state/state.ts';
import { buildCluster, buildOriginal, netConf } from './cluster.ts';
import { startControl } from './control.ts';
import { startEtcd } from './etcd.ts';
import { startKube } from './kube.ts';
import { buildUnderlay } from './network.ts';
import { appendProgress } from './progress.ts';
import { StateStore } from './state-store.ts';

/** What `up` hands to the lab process. */
export interface ServeOptions {
  readonly options: UpOptions;
  readonly traffic: 'iptables' | 'nftables';
  /** The nodes begin as those of the original, without an agent, which `migrate` starts. */
  readonly original: boolean;
}

/** The lab process: it was started in a network namespace of its own, the underlay, and stays until it is killed. */
export async function serveMain(argument: string): Promise<number> {
  const { options, traffic, original } = JSON.parse(argument) as ServeOptions;
  const paths = labPaths(options.name, process.env);
  const start = performance.now();
  const ms = () => Math.round(performance.now() - start);
  const log = fileLogger(paths);
  try {
    await serve({ options, traffic, original }, paths, {
      log,
      step: (text) => appendProgress(paths.progress, { type: 'step', text, ms: ms() }),
    });
    appendProgress(paths.progress, { type: 'ready', ms: ms() });
    log.info('the lab is ready', { ms: ms() });
  } catch (error) {
    log.error('the lab cannot be built', { error: describe(error) });
    appendProgress(paths.progress, { type: 'failed', message: describe(error), cure: cureOf(error) });
    return 1;
  }
  // `down` ends it.
  await new Promise<never>(() => {});
  return 0;
}

interface ServeParts {
  readonly log: Logger<string>;
  readonly step: (text: string) => void;
}

async function serve(
  { original, ...options }: ServeOptions,
  paths: LabPaths,
  parts: ServeParts,
): Promise<void> {
  const initial: LabState = {
    version: 1,
    ...options,
    phase: 'starting',
    pid: process.pid,
    storeUrl: '',
    worldPid: 0,
    nodes: [],
    pods: [],
  };
  const store = new StateStore(paths.state, initial);
  const env = labEnvironment(paths.folder);
  {
    using net = Rtnetlink.open();
    buildUnderlay(net);
  }
  const start = options.options.manager === 'etcd' ? startEtcd : startKube;
  const { folder, log: logFile } = paths;
  const manager = await start({ netConf: netConf(initial), env, log: parts.log, logFile, folder });
  store.update({ storeUrl: manager.url });
  startControl(paths.control, { manager, backend: options.options.backend.replace('-direct', '') });
  parts.step(manager.title);
  await (original ? buildOriginal : buildCluster)({ paths, store, manager, env, ...parts });
  store.update({ phase: 'ready' });
}

function fileLogger(paths: LabPaths): Logger<string> {
  return createLogger<string>({
    level: 'info',
    format: 'text',
    write: (line) => appendFileSync(paths.log, `${line}\n`),
    now: () => new Date(),
  });
}
