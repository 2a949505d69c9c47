import { VERSION } from '#base/version.ts';
import type { Facts } from '../facts/facts.ts';
import { error, info, NotAsked, ok, warning, type Check, type Finding } from '../finding.ts';

const LOGS = 'kubectl -n kube-flannel logs daemonset/kube-flannel-ds, or journalctl -u flanneld';

export const agent: Check = {
  id: 'agent',
  title: 'the agent runs and is ready',
  run(facts) {
    const { pid, badFlags } = facts.agent;
    const status = facts.statusIfAny;
    if (pid === undefined) {
      if (status === undefined) throw new NotAsked('the agent has not run since boot');
      return [
        error({
          what: `flanneld does not run; it said last: ${status.reason}`,
          why: 'what exists keeps working, but nothing is learnt and nothing is repaired',
          cure: `systemctl start flanneld, or kubectl -n kube-flannel get pods; why it ended: ${LOGS}`,
        }),
      ];
    }
    if (badFlags !== undefined)
      throw new NotAsked(`the command line of process ${pid} cannot be read: ${badFlags}`);
    if (status === undefined)
      throw new NotAsked(`process ${pid} runs, and keeps its status elsewhere than ${facts.runDir}`);
    return [...readiness(status, pid), ...rules(facts), ...version(status.version)];
  },
};

function readiness(status: NonNullable<Facts['statusIfAny']>, pid: number): Finding[] {
  const { ready, serving, reason } = status;
  if (ready) return [ok(`process ${pid}, ready`)];
  if (status.rules?.state === 'failed') return [];
  const severe = serving ? warning : error;
  return [
    severe({
      what: `the agent is not ready: ${reason}`,
      why: serving
        ? 'pods work with what was known last; changes of other nodes are missed'
        : 'pods may have no network',
      cure: `mend what the reason names; more: ${LOGS}`,
    }),
  ];
}

function rules({ statusIfAny }: Facts): Finding[] {
  const { rules: state } = statusIfAny ?? {};
  if (state?.state !== 'failed') return [];
  return [
    error({
      what: `the traffic rules (${state.mode}) cannot be written: ${state.error ?? 'the agent does not say why'}`,
      why: 'pods reach nothing outside of the pod network, or nothing at all',
      cure: `mend what is named, or change EnableNFTables in net-conf.json; more: ${LOGS}`,
    }),
  ];
}

function version(theirs: string): Finding[] {
  if (theirs === VERSION) return [];
  return [
    info({
      what: `the agent is version ${theirs}, this program ${VERSION}`,
      why: 'what is said here of plan and differences is by the rules of this version',
      cure: 'use the flannelctl of the same version (kubectl -n kube-flannel exec daemonset/kube-flannel-ds -- flannelctl doctor)',
    }),
  ];
}
