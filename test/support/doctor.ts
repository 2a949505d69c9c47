import { mkdirSync, writeFileSync } from 'node:fs';
import { CHECKS } from '#cli/doctor/checks.ts';
import { examine } from '#cli/doctor/examine.ts';
import { Facts } from '#cli/doctor/facts/facts.ts';
import { systemAccess, type HostAccess } from '#cli/doctor/facts/host-access.ts';
import { doctorOptions, WORDS } from '#cli/doctor/facts/options.ts';
import type { Finding } from '#cli/doctor/finding.ts';
import { parseArguments } from '#cli/arguments.ts';
import { FLANNEL_CONFLIST } from '#lab/cni/conflist.ts';
import { BIN } from './cni-machine.ts';

export interface Diagnosis {
  /** `severity id` of everything that is not ok, in the order of the checks. */
  readonly found: readonly string[];
  /** What was found, why and cure, all in one text. */
  readonly text: string;
  /** Checks that were not asked, with the reason. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** Runs all checks in the network namespace of this process. `env`: without an agent, its environment. */
export async function diagnose(
  args: readonly string[],
  { env = {}, ...host }: Partial<HostAccess> & { readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Diagnosis> {
  const given = parseArguments('doctor', args, WORDS);
  if (given === 'help') throw new Error('asked for help');
  const all = { PATH: process.env['PATH'], ...env };
  const access = { ...systemAccess(all), ...host };
  const signal = AbortSignal.timeout(20_000);
  using facts = new Facts({ options: doctorOptions(given), env: all, host: access, signal });
  const examined = await examine(CHECKS, facts);
  const bad = examined.flatMap(({ id, findings }) =>
    findings.filter(({ severity }) => severity !== 'ok').map((finding) => ({ id, finding })),
  );
  return {
    found: bad.map(({ id, finding }) => `${finding.severity} ${id}`),
    text: bad.map(({ finding }) => textOf(finding)).join('\n'),
    skipped: new Map(examined.flatMap(({ id, skipped }) => (skipped === undefined ? [] : [[id, skipped]]))),
  };
}

function textOf(finding: Finding): string {
  return finding.severity === 'ok' ? finding.what : `${finding.what}; ${finding.why}; ${finding.cure}`;
}

/** Folders of a host on which Flannel is installed, below `folder`; the flags that name them. */
export function installedHost(folder: string): string[] {
  const confDir = `${folder}/net.d`;
  const netnsDir = `${folder}/netns`;
  for (const path of [confDir, netnsDir]) mkdirSync(path, { recursive: true });
  writeFileSync(`${confDir}/10-flannel.conflist`, JSON.stringify(FLANNEL_CONFLIST));
  return [`--conf-dir=${confDir}`, `--bin-dir=${BIN}`, `--netns-dir=${netnsDir}`, '--peers=0'];
}
