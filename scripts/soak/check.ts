import { readFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { API_PORT, HEALTH_PORT } from '#lab/state/address-plan.ts';
import type { Cluster } from './cluster.ts';
import { foundLines, ruleLines } from './found.ts';
import type { SoakNode } from './node.ts';
import { wantedLines } from './wanted.ts';

/** Something that is not as planned. */
export interface Problem {
  readonly node: string;
  readonly text: string;
}

/** Time between two looks, ms. */
const POLL = 40;

/** Compares all nodes with what the API's Nodes say. */
export class Checker {
  readonly #cluster: Cluster;
  #rules: readonly string[] = [];
  #looks = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * Takes the rules of the first node as those that all nodes have from now on; waits until `deadline` for an agent that
   * says that it is ready: before, rules of one table or family may be there and those of the next one not yet.
   */
  async learnRules(deadline: number): Promise<void> {
    const [first] = this.#cluster.nodes;
    if (first === undefined) return;
    let reason: string | undefined;
    do {
      reason = await notReady(first.address('ipv4'));
      if (reason === undefined) break;
      await systemClock.sleep(POLL);
    } while (performance.now() < deadline);
    if (reason !== undefined)
      throw new FlannelError('bug', `flanneld of ${first.name} is not ready: ${reason}`);
    this.#rules = await ruleLines(this.#cluster, first);
    if (!this.#rules.some((rule) => /masquerade/i.test(rule)))
      throw new FlannelError('bug', `${first.name} has no rule that masquerades`);
  }

  /** How often everything was compared. */
  get looks(): number {
    return this.#looks;
  }

  /**
   * Waits until everything is as planned, at most until `deadline` (`performance.now()`); what then is not. The last look
   * is taken after the deadline, so that a machine that stands still does not make a problem.
   */
  async converge(deadline: number): Promise<readonly Problem[]> {
    for (;;) {
      const late = performance.now() > deadline;
      const problems = await this.problems();
      if (problems.length === 0 || late) return problems;
      await systemClock.sleep(POLL);
    }
  }

  async problems(): Promise<readonly Problem[]> {
    this.#looks += 1;
    const { api, nodes } = this.#cluster;
    const objects = api.nodes.list();
    const quick = nodes.flatMap((node) =>
      difference(node.name, wantedLines(node, objects), foundLines(node, objects)),
    );
    const watches = api.stats().watches;
    if (watches < nodes.length) {
      const silent = nodes.filter((node) => !holdsConnection(node)).map(({ name }) => name);
      const text = `${watches} of ${nodes.length} agents watch; without a connection: ${silent.join(', ') || 'none'}`;
      quick.push(...(silent.length === 0 ? ['API server'] : silent).map((node) => ({ node, text })));
    }
    if (quick.length > 0) return quick;
    const slow = await Promise.all(nodes.map((node) => this.#slow(node)));
    return slow.flat();
  }

  async #slow(node: SoakNode): Promise<Problem[]> {
    const rules = difference(node.name, this.#rules, await ruleLines(this.#cluster, node));
    if (rules.length > 0) return rules;
    const reason = await notReady(node.address('ipv4'));
    return reason === undefined ? [] : [{ node: node.name, text: `flanneld is not ready: ${reason}` }];
  }
}

function difference(node: string, wanted: readonly string[], found: readonly string[]): Problem[] {
  const [want, have] = [counted(wanted), counted(found)];
  const missing = [...want].filter(([line, count]) => (have.get(line) ?? 0) < count);
  const extra = [...have].filter(([line, count]) => (want.get(line) ?? 0) < count);
  return [
    ...missing.map(([line]) => ({ node, text: `missing: ${line}` })),
    ...extra.map(([line]) => ({ node, text: `not planned: ${line}` })),
  ];
}

function counted(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}

/** Why the agent does not say that it is ready. Each question has a connection of its own, which ends with it. */
async function notReady(ip: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://${ip}:${HEALTH_PORT}/readyz`, {
      signal: AbortSignal.timeout(2000),
      keepalive: false,
    });
    const text = await answer.text();
    return answer.ok ? undefined : text.trim();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Whether the node has a TCP connection to the API server. */
function holdsConnection(node: SoakNode): boolean {
  const port = API_PORT.toString(16).toUpperCase().padStart(4, '0');
  // Columns of /proc/net/tcp: 2 is the remote end, 3 the state, 01 when established.
  const pattern = new RegExp(`^ *\\d+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:${port} 01 `, 'm');
  return pattern.test(readFileSync(`/proc/${node.pid}/net/tcp`, 'latin1'));
}
