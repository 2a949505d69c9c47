import { isatty } from 'node:tty';
import { writeSync } from 'node:fs';
import { ConfigError } from '#base/errors.ts';
import { standardScreen, writeStandardOutput } from '#lab/report/screen.ts';
import { nearest } from '#subnet/nearest.ts';
import { parseArguments } from '../arguments.ts';
import { CHECKS } from './checks.ts';
import { examine, worst } from './examine.ts';
import { Facts } from './facts/facts.ts';
import { systemAccess } from './facts/host-access.ts';
import { doctorOptions, WORDS, type DoctorOptions } from './facts/options.ts';
import type { Check, Severity } from './finding.ts';
import { Progress } from './progress.ts';
import { reportJson, reportText } from './report.ts';

export const DOCTOR_HELP = `usage: flannelctl doctor [flags]

Looks for what is wrong with this node's network and says of each thing what it is, why it matters and the command that mends it. Before
the first start of the agent it says what would keep it from working. Reads and sends probes to other nodes; changes nothing. Needs root.

  --all                     every check, not only what is wrong
  --only <id>[,<id>...]     these checks alone
  --list                    the checks and what they look at
  -o <form>                 text (the default) or json
  --peers <number>          probe at most so many other nodes (32)
  --timeout <ms>            how long answers to probes are waited for (1000)
  --service-cidr <CIDR,...> service ranges of the cluster, to be compared with the pod network
  --node-name <name>        of this node, where NODE_NAME is not set

What the running agent was started with is found by itself; these are for where none runs, or to look elsewhere:

  --net-config-path <file>  --subnet-file <file>  --ipam-dir <folder>  --kubeconfig-file <file>  --kube-api-url <URL>
  --conf-dir <folder>       the container runtime's CNI configuration (/etc/cni/net.d)
  --bin-dir <folder>        CNI plugins (/opt/cni/bin)
  --netns-dir <folder>      network namespaces of pods (/run/netns)
  --bridge <name>           of the CNI configuration (cni0)

Exit code: 0 nothing is wrong, 1 warnings, 2 errors, 64 it could not be run.
`;

const EXIT: Readonly<Record<Severity, number>> = { ok: 0, info: 0, warning: 1, error: 2 };
/** All of it is over by then, whatever hangs, ms. */
const LIMIT = 60_000;

/** `flannelctl doctor`. Returns the exit code. */
export async function doctorMain(args: readonly string[]): Promise<number> {
  const given = parseArguments('doctor', args, WORDS);
  if (given === 'help') {
    writeStandardOutput(DOCTOR_HELP);
    return 0;
  }
  const checks = chosen(given.only);
  if (given.list) {
    for (const { id, title } of checks) writeStandardOutput(`${id.padEnd(17)}${title}\n`);
    return 0;
  }
  const form = given.o || given.output || 'text';
  if (form !== 'text' && form !== 'json')
    throw new ConfigError('-o', `${JSON.stringify(form.slice(0, 64))} is neither text nor json`);
  const options = doctorOptions(given);
  if (process.getuid?.() !== 0)
    throw new ConfigError('doctor', 'needs root: it asks the kernel for what only root may see', {
      cure: 'Try "sudo flannelctl doctor"',
    });
  const examined = await examineAll(checks, options);
  if (form === 'json') writeStandardOutput(reportJson(examined));
  else reportText(examined, standardScreen(isatty(1), process.env), given.all);
  return EXIT[worst(examined)];
}

async function examineAll(checks: readonly Check[], options: DoctorOptions) {
  const { env } = process;
  using facts = new Facts({ options, env, host: systemAccess(env), signal: AbortSignal.timeout(LIMIT) });
  using progress = new Progress((line) => void writeSync(2, `${line}\n`));
  return await examine(checks, facts, (pending) => progress.update(pending));
}

/** `--only`: all when it is empty. */
function chosen(only: string): readonly Check[] {
  if (only === '') return CHECKS;
  const ids = only.split(',').map((id) => id.trim());
  for (const id of ids) {
    if (CHECKS.some((check) => check.id === id)) continue;
    const near = nearest(
      id,
      CHECKS.map((check) => check.id),
    );
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    throw new ConfigError('--only', `there is no check ${JSON.stringify(id.slice(0, 64))}${hint}`, {
      cure: 'flannelctl doctor --list names them',
    });
  }
  return CHECKS.filter(({ id }) => ids.includes(id));
}
