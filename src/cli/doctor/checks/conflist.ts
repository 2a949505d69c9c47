import { atLeast, SUPPORTED_VERSIONS } from '#cni/version.ts';
import { parseConflist } from '#lab/cni/conflist.ts';
import { ConfigError } from '#base/errors.ts';
import type { Facts } from '../facts/facts.ts';
import { error, info, ok, type Check, type Finding } from '../finding.ts';

export const conflist: Check = {
  id: 'conflist',
  title: 'the CNI configuration can be used',
  run(facts) {
    const files = facts.conflists();
    const ours = files.filter(({ isFlannel }) => isFlannel);
    const broken = files.filter(({ problem }) => problem !== undefined);
    const findings = [
      ...broken.map(({ path, problem = '' }) => unreadable(path, problem)),
      ...ours.flatMap(judge),
    ];
    if (findings.length > 0) return findings;
    return ours.length === 0 ? [none(facts)] : [ok(ours.map(({ path }) => path).join(', '))];
  },
};

/** Before the first start there is none: an init container writes it. */
function none({ agent, options }: Facts): Finding {
  const severe = agent.pid === undefined ? info : error;
  return severe({
    what: `no file in ${options.confDir} names the plugin flannel`,
    why: 'the container runtime says "cni plugin not initialized", and the node stays NotReady',
    cure: 'flannelctl install-cni (the manifest does it in an init container)',
  });
}

function unreadable(path: string, problem: string): Finding {
  return error({
    what: `${path} ${problem}`,
    why: 'the container runtime refuses it, and with it possibly every pod',
    cure: `flannelctl install-cni when it is Flannel's, else rm ${path}`,
  });
}

function judge({ path, text }: { readonly path: string; readonly text: string }): Finding[] {
  try {
    const { cniVersion } = parseConflist(path, text);
    if (SUPPORTED_VERSIONS.includes(cniVersion) && atLeast(cniVersion, '0.3.0')) return [];
    return [
      error({
        what: `${path}: cniVersion ${JSON.stringify(cniVersion)} is not one of ${SUPPORTED_VERSIONS.slice(2).join(', ')}`,
        why: 'every plugin of the list refuses to work',
        cure: 'flannelctl install-cni, or set cniVersion to 1.0.0',
      }),
    ];
  } catch (failure) {
    if (!(failure instanceof ConfigError)) throw failure;
    return [unreadable(path, failure.message.slice(path.length))];
  }
}
