import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, describe, FlannelError } from '#base/errors.ts';
import { ACCESS, isAccessible } from '#ffi/file-system.ts';
import { isObject, parseConflist } from '#lab/cni/conflist.ts';
import { programRunner } from '#traffic/exec.ts';
import type { Facts } from '../facts/facts.ts';
import { error, info, orOk, type Check, type Finding } from '../finding.ts';

/** Called by the runtime itself, and by flannel. */
const ALWAYS = ['loopback', 'bridge', 'host-local'] as const;
/** Longest time for an answer, ms. */
const PLUGIN_MS = 3000;
const WHY =
  'pods cannot be started: the runtime says "failed to find plugin" or passes on what the plugin says';
const CURE = 'flannelctl install-cni';

export const cniPlugins: Check = {
  id: 'cni-plugins',
  title: 'the CNI plugins are there and answer',
  async run(facts) {
    const { names, version } = wanted(facts);
    const { binDir } = facts.options;
    const missing = names.filter((name) => !isFile(join(binDir, name)));
    const there = names.filter((name) => !missing.includes(name));
    const findings = await Promise.all(there.map((name) => look(join(binDir, name), version)));
    const all = [...(missing.length === 0 ? [] : [notThere(facts, missing)]), ...findings.flat()];
    return orOk(all, `${names.join(', ')} in ${binDir}`);
  },
};

/** Before the first start an init container is still to bring them. */
function notThere({ agent, options, conflists }: Facts, missing: readonly string[]): Finding {
  const isNew = agent.pid === undefined && !conflists().some(({ isFlannel }) => isFlannel);
  const severe = isNew ? info : error;
  return severe({ what: `not in ${options.binDir}: ${missing.join(', ')}`, why: WHY, cure: CURE });
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Those of the configuration, and those that every node needs. */
function wanted(facts: Facts): { readonly names: readonly string[]; readonly version: string | undefined } {
  const file = facts.conflists().find(({ isFlannel }) => isFlannel);
  if (file === undefined) return { names: ['flannel', ...ALWAYS, 'portmap'], version: undefined };
  try {
    const { plugins, cniVersion } = parseConflist(file.path, file.text);
    const types = plugins.map(({ type }) => type);
    const delegates = plugins.flatMap(({ delegate }) => {
      return isObject(delegate) && typeof delegate['type'] === 'string' ? [delegate['type']] : [];
    });
    return { names: [...new Set([...types, ...delegates, ...ALWAYS])], version: cniVersion };
  } catch (failure) {
    if (failure instanceof ConfigError) return { names: ['flannel', ...ALWAYS], version: undefined };
    throw failure;
  }
}

async function look(path: string, version: string | undefined): Promise<Finding[]> {
  const trouble = (what: string, cure = CURE) => [error({ what, why: WHY, cure })];
  if (!isAccessible(path, ACCESS.EXECUTE)) return trouble(`${path} is not executable`, `chmod 755 ${path}`);
  const answer = await ask(path);
  if (typeof answer === 'string') return trouble(`${path} does not answer as a CNI plugin: ${answer}`);
  if (version === undefined || answer.includes(version)) return [];
  return trouble(
    `${path} does not know cniVersion ${version}, only ${answer.join(', ')}`,
    'flannelctl install-cni --replace-all',
  );
}

/** The versions that it supports (CNI specification, VERSION), or why it does not say. */
async function ask(path: string): Promise<readonly string[] | string> {
  const run = programRunner({ env: { CNI_COMMAND: 'VERSION' }, timeoutMs: PLUGIN_MS });
  try {
    const result = await run([path], { stdin: '{"cniVersion":"1.0.0"}' });
    if (result?.code !== 0) return `it ends with ${result?.code ?? 'nothing'}`;
    const value: unknown = JSON.parse(result.stdout);
    const versions = isObject(value) ? value['supportedVersions'] : undefined;
    return Array.isArray(versions) ? versions.map(String) : 'its answer has no supportedVersions';
  } catch (failure) {
    if (failure instanceof SyntaxError) return 'its answer is not JSON';
    if (failure instanceof FlannelError) return describe(failure);
    // What the kernel says of a file that is no program.
    return failure instanceof Error && 'code' in failure
      ? `it cannot be started (${failure.code})`
      : String(failure);
  }
}
