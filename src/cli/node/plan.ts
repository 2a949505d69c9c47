import { escapeControl } from '#base/log.ts';
import type { Overlay } from '#daemon/inspect/overlay.ts';
import { describeEntry, type VxlanLink } from '#host/plan.ts';
import type { Screen } from '#lab/report/screen.ts';
import { table } from '#lab/report/table.ts';
import { ruleLines } from '#traffic/rule-lines.ts';
import { claimsOf, differenceOf, type Difference } from '#daemon/inspect/difference.ts';
import type { NodeOptions } from './options.ts';
import { count, document } from './output.ts';
import { noAgentLine, sourceOf } from './peers.ts';
import { overlayOfNode } from './view.ts';

/** One planned object. */
export interface PlanRow {
  readonly object: string;
  /** As `ip`, `bridge`, `nft` or `iptables` would say it. */
  readonly what: string;
  /** The peer that it is for. */
  readonly peer?: string;
}

/** The plan in lines: devices, entries in the order of peers, rules in their order. */
export function planRows(overlay: Overlay): PlanRow[] {
  const { devices, rules, peers } = overlay;
  const winners = claimsOf(overlay).entries;
  const rows: PlanRow[] = devices.links.flatMap((link) => [
    { object: 'link', what: linkText(link) },
    ...link.addresses.map((cidr) => ({ object: 'address', what: `${cidr} dev ${link.name}` })),
  ]);
  rows.push(...devices.blackholes.map((cidr) => ({ object: 'blackhole', what: `${cidr}` })));
  const placed = new Set(winners.values());
  for (const [peer, { entries }] of peers) {
    for (const entry of entries) {
      if (!placed.has(entry)) continue;
      rows.push({ object: entry.type, what: describeEntry(entry).slice(entry.type.length + 1), peer });
    }
  }
  if (rules !== undefined)
    rows.push(...ruleLines(rules.mode, rules.set).map((what) => ({ object: 'rule', what })));
  return rows;
}

function linkText(link: VxlanLink): string {
  const { name, vni, local, parent, port, mtu, mac, learning, gbp, txChecksum } = link;
  const more = [
    learning ? ' learning' : ' nolearning',
    gbp ? ' gbp' : '',
    txChecksum === undefined ? '' : ` tx-checksum-ip-generic ${txChecksum ? 'on' : 'off'}`,
  ].join('');
  return `${name} vxlan id ${vni} local ${local} dev ${parent} dstport ${port} mtu ${mtu} address ${mac}${more}`;
}

/** `flannelctl plan`. */
export async function plan(options: NodeOptions, screen: Screen): Promise<number> {
  const { overlay, noAgent } = await overlayOfNode(options);
  const rows = planRows(overlay);
  const { form } = options;
  if (form === 'json' || form === 'yaml') {
    const { node, backend } = overlay;
    screen.write(document(form, { source: sourceOf(noAgent), node, backend, plan: rows }));
    return 0;
  }
  if (noAgent !== undefined) screen.line(screen.paint('yellow', noAgentLine(noAgent)));
  const cells = rows.map(({ object, what, peer }) => [object, what, escapeControl(peer ?? '')]);
  screen.lines(table([{ title: 'object' }, { title: 'what' }, { title: 'peer' }], cells));
  if (overlay.rules === undefined)
    screen.line('rules: not known without the agent, they depend on its flags');
  return 0;
}

/** How long a change that is on its way may take, ms. */
const SETTLE = 300;

/** `flannelctl diff`: 1 when the kernel is not as planned. */
export async function diff(options: NodeOptions, screen: Screen): Promise<number> {
  let looked = await look(options);
  // The plan may have changed between the two readings, and the agent mends what it is told of at once.
  if (looked.noAgent === undefined && differs(looked.difference)) {
    await Bun.sleep(SETTLE);
    looked = await look(options);
  }
  const { overlay, noAgent, difference } = looked;
  const { unread } = difference;
  const found = [...difference.found, ...difference.rules];
  const code = differs(difference) ? 1 : 0;
  const { form } = options;
  if (form === 'json' || form === 'yaml') {
    const { node, backend } = overlay;
    screen.write(
      document(form, { source: sourceOf(noAgent), node, backend, same: code === 0, found, unread }),
    );
    return code;
  }
  if (noAgent !== undefined) screen.line(screen.paint('yellow', noAgentLine(noAgent)));
  if (code === 0) {
    screen.line(`as planned: ${summary(overlay)}`);
    return 0;
  }
  screen.line(screen.paint('red', `${count(found.length, 'difference')} between kernel and plan`));
  screen.lines(found.map((what) => `  ${escapeControl(what)}`));
  screen.lines(unread.map((what) => `  ${screen.paint('yellow', 'not looked at')}: ${escapeControl(what)}`));
  return code;
}

function differs({ found, rules, unread }: Difference): boolean {
  return found.length + rules.length + unread.length > 0;
}

async function look(options: NodeOptions) {
  const { overlay, noAgent } = await overlayOfNode(options);
  return {
    overlay,
    noAgent,
    difference: await differenceOf(overlay, { runDir: options.runDir, env: process.env }),
  };
}

function summary(overlay: Overlay): string {
  const entries = claimsOf(overlay).entries.size;
  const rules = overlay.rules === undefined ? 'rules not looked at' : `${overlay.rules.mode} rules`;
  return `${count(overlay.devices.links.length, 'device')}, ${entries} entries, ${rules}`;
}
