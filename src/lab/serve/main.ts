import { appendFileSync } from 'node:fs';
import { cureOf, describe } from '#base/errors.ts';
import { createLogger, type Logger } from '#base/log.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { startApiServer } from '../api/server.ts';
import type { UpOptions } from '../command/options.ts';
import { labEnvironment } from '../process/run.ts';
import { API_PORT, GATEWAY } from '../state/address-plan.ts';
import { labPaths, type LabPaths } from '../state/paths.ts';
import type { LabState } from '../state/state.ts';
import { buildCluster } from './cluster.ts';
import { startControl } from './control.ts';
import { buildUnderlay } from './network.ts';
import { appendProgress } from './progress.ts';
import { StateStore } from './store.ts';

/** What `up` hands to the lab process. */
export interface ServeOptions {
  readonly options: UpOptions;
  readonly traffic: 'iptables' | 'nftables';
}

/** The lab process: it was started in a network namespace of its own, the underlay, and stays until it is killed. */
export async function serveMain(argument: string): Promise<number> {
  const { options, traffic } = JSON.parse(argument) as ServeOptions;
  const paths = labPaths(options.name, process.env);
  const start = performance.now();
  const ms = () => Math.round(performance.now() - start);
  const log = fileLogger(paths);
  try {
    await serve({ options, traffic }, paths, {
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
  readonly log: Logger;
  readonly step: (text: string) => void;
}

async function serve(options: ServeOptions, paths: LabPaths, parts: ServeParts): Promise<void> {
  const initial: LabState = {
    version: 1,
    ...options,
    phase: 'starting',
    pid: process.pid,
    apiUrl: `http://${GATEWAY}:${API_PORT}`,
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
  const api = await startApiServer({ hostname: GATEWAY, port: API_PORT, log: parts.log });
  startControl(paths.control, api);
  parts.step(`a Kubernetes API at ${api.url} inside the lab`);
  await buildCluster({ paths, store, api, env, ...parts });
  store.update({ phase: 'ready' });
}

function fileLogger(paths: LabPaths): Logger {
  return createLogger({
    level: 'info',
    format: 'text',
    write: (line) => appendFileSync(paths.log, `${line}\n`),
    now: () => new Date(),
  });
}
