import { join } from 'node:path';
import { cureOf, describe, FlannelError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { parseArguments, type Words } from '../arguments.ts';
import { fileRemovals, runningAgent } from './files.ts';
import { kernelRemovals, podsOn, ruleRemovals } from './kernel.ts';
import { carryOut, foretell, type Removal } from './remove.ts';

export const CLEANUP_HELP = `usage: flannelctl cleanup [flags]

Removes what Flannel made on this node, and nothing else: its devices, routes and rules, the bridge, its files in /run, /etc/cni/net.d and
/var/lib/cni, and the plugins that install-cni put in place. Other programs' links, rules, routes, conflists and plugins stay.

  --dry-run             only says what would go
  --force               also while pods are on the bridge, or the agent runs
  --bridge <name>       the bridge of the CNI configuration (cni0)
  --bin-dir <folder>    (/opt/cni/bin)
  --conf-dir <folder>   (/etc/cni/net.d)
  --run-dir <folder>    (/run/flannel)
  --cni-dir <folder>    (/var/lib/cni)
`;

const WORDS = {
  'dry-run': false,
  force: false,
  bridge: 'cni0',
  'bin-dir': '/opt/cni/bin',
  'conf-dir': '/etc/cni/net.d',
  'run-dir': '/run/flannel',
  'cni-dir': '/var/lib/cni',
} as const satisfies Words;

/** `flannelctl cleanup`. Returns the exit code: 0, or 1 when something could not be removed. */
export async function cleanupMain(args: readonly string[], say: (line: string) => void): Promise<number> {
  const words = parseArguments('cleanup', args, WORDS);
  if (words === 'help') {
    say(CLEANUP_HELP.trimEnd());
    return 0;
  }
  if (process.getuid?.() !== 0) throw new FlannelError('operator', 'cleanup needs root');
  const { bridge } = words;
  if (!words.force && !words['dry-run']) refuseInUse(bridge);
  const kernel = {
    bridge,
    directRoutes: join(words['run-dir'], 'direct-routes'),
    env: process.env,
    log: silentLogger,
  };
  const files = await fileRemovals({
    binDir: words['bin-dir'],
    confDir: words['conf-dir'],
    runDir: words['run-dir'],
    cniDir: words['cni-dir'],
  });
  const { conflist, others } = files;
  const removals: Removal[] = [...conflist, ...kernelRemovals(kernel), ...ruleRemovals(kernel), ...others];
  const dry = words['dry-run'];
  const { removed, failed } = dry ? await foretell(removals) : await carryOut(removals);
  for (const what of removed) say(`${dry ? 'would remove' : 'removed'} ${what}`);
  for (const { what, error } of failed) {
    const cure = cureOf(error);
    const head = `${dry ? 'cannot be looked at' : 'still there'}: ${what}: ${describe(error)}`;
    say(`${head}${cure === undefined ? '' : ` (${cure})`}`);
  }
  return failed.length === 0 ? 0 : 1;
}

function refuseInUse(bridge: string): void {
  const pid = runningAgent();
  if (pid !== undefined) {
    throw new FlannelError('operator', `flanneld runs (process ${pid}): it would put everything back`, {
      cure: 'Stop it first (kubectl delete daemonset, systemctl stop flanneld), or use --force',
    });
  }
  const pods = podsOn(bridge);
  if (pods > 0) {
    throw new FlannelError('operator', `${pods} pods are on ${bridge}: they would lose their network`, {
      cure: 'Drain the node first (kubectl drain), or use --force',
    });
  }
}
