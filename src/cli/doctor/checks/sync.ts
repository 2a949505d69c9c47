import { join } from 'node:path';
import { SOCKET_NAME } from '#daemon/inspect/socket-name.ts';
import type { Facts } from '../facts/facts.ts';
import { error, ok, warning, type Check, type Finding } from '../finding.ts';
import type { AgentStatus } from '#daemon/inspect/agent-status.ts';

/** The agent writes after every full pass: each half minute, or, where a pass takes long, so many times its duration. ms. */
const PERIOD = 30_000;
const SHARE = 200;
/** So many periods without a word are too many. */
const PERIODS = 3;
/** So long the agent itself bears with a silent API server, ms. */
const SILENT = 60_000;

export const sync: Check = {
  id: 'sync',
  title: 'the agent is up to date',
  async run(facts) {
    facts.needAgent();
    const status = facts.status();
    const age = facts.host.now() - Date.parse(status.writtenAt);
    // One that still waits for its subnet makes no passes.
    const { lastPass } = status;
    const longest = PERIODS * Math.max(PERIOD, SHARE * (lastPass?.ms ?? 0));
    if (lastPass !== undefined && age > longest) return [frozen(age, facts.agent.pid)];
    if (await facts.host.hangs(join(facts.runDir, SOCKET_NAME))) return [silent(facts.agent.pid)];
    return store(facts, status);
  },
};

function frozen(age: number, pid: number | undefined): Finding {
  return error({
    what: `the agent has written nothing for ${seconds(age)}`,
    why: 'it is stopped or stuck: nothing is learnt and nothing is repaired',
    cure: restart(pid),
  });
}

function silent(pid: number | undefined): Finding {
  return error({
    what: `the agent, process ${pid}, does not answer`,
    why: 'it is stopped or stuck: nothing is learnt and nothing is repaired',
    cure: restart(pid),
  });
}

/** A stopped process takes no other signal. */
function restart(pid: number | undefined): string {
  return `kill -CONT ${pid}; when that does not help: kill -KILL ${pid} (its supervisor starts it again; pods keep their network meanwhile)`;
}

function store({ agent }: Facts, { store: state, lastContact, writtenAt }: AgentStatus): readonly Finding[] {
  const where = agent.flags['kube-subnet-mgr'] ? 'the API server' : 'etcd';
  const silence = lastContact === undefined ? 0 : Date.parse(writtenAt) - Date.parse(lastContact);
  const trouble = state.trouble === undefined ? '' : `: ${state.trouble}`;
  const cure = `mend what stands between this node and ${where}: flannelctl doctor --only api,certificates`;
  const why = 'nodes that come, change or go are not noticed';
  if (state.fromMemory)
    return [warning({ what: `the agent runs from the last known state${trouble}`, why, cure })];
  if (silence > SILENT || state.trouble !== undefined)
    return [warning({ what: `${where} was last heard of ${seconds(silence)} ago${trouble}`, why, cure })];
  return [ok(`${where} was heard of ${seconds(silence)} before the last report`)];
}

function seconds(ms: number): string {
  return `${Math.max(0, Math.round(ms / 1000))} s`;
}
