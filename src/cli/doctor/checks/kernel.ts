import { describe, FlannelError } from '#base/errors.ts';
import type { Facts } from '../facts/facts.ts';
import { error, info, NotAsked, ok, type Check, type Finding } from '../finding.ts';
import type { KernelTrial } from '../probe/kernel-trial.ts';

export const kernel: Check = {
  id: 'kernel',
  title: 'the kernel can make VXLAN devices, bridges, veth pairs and nftables rules',
  run(facts) {
    const findings = facts.host.trials.flatMap((trial) => tryOut(trial, needed(facts, trial)));
    return [...findings, ok(`tried out: ${facts.host.trials.map(({ name }) => name).join(', ')}`)];
  },
};

/** What this configuration does without is only worth knowing. */
function needed(facts: Facts, { name }: KernelTrial): boolean {
  if (name === 'vxlan') return (facts.configIfAny?.backend.type ?? 'vxlan') === 'vxlan';
  return name === 'nftables' ? facts.mode === 'nftables' : true;
}

function tryOut(trial: KernelTrial, isNeeded: boolean): Finding[] {
  try {
    trial.run();
    return [];
  } catch (failure) {
    const isAnswer = failure instanceof FlannelError && failure.actor !== 'bug';
    if (!isAnswer || failure instanceof NotAsked) throw failure;
    const { name, why, cure } = trial;
    return [
      (isNeeded ? error : info)({ what: `this kernel cannot do ${name}: ${describe(failure)}`, why, cure }),
    ];
  }
}
