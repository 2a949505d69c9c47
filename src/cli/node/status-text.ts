import { escapeControl } from '#base/log.ts';
import type { Colour, Screen } from '#lab/report/screen.ts';
import { table } from '#lab/report/table.ts';
import { count, since, span } from './output.ts';
import type { DeviceCount, StatusReport } from './status-report.ts';

export interface TextOptions {
  readonly screen: Pick<Screen, 'paint'>;
  readonly wide: boolean;
  /** Wall clock, ms. */
  readonly now: number;
}

/** How many repairs and findings are shown unless all are asked for. */
const FEW = 3;

/** The report for people: a headline, and a line for each thing that is known. */
export function statusText(given: StatusReport, options: TextOptions): string[] {
  const report = harmless(given);
  const rows: (readonly [string, string] | undefined)[] = [
    agentRow(report, options),
    leaseRow(report),
    interfaceRow(report),
    ...peersRows(report, options),
    entriesRow(report, options),
    rulesRow(report, options),
    storeRow(report, options),
    addressesRow(report),
    passRow(report, options),
    repairsRow(report, options),
  ];
  const cells = rows.filter((row) => row !== undefined).map(([name, text]) => [`  ${name}`, text]);
  // The first line is the table's head: there is none here.
  return [headline(report, options), ...table([{ title: '' }, { title: '' }], cells).slice(1)];
}

/** Others have a hand in names and reasons: nothing in them may draw on a terminal or forge a line. */
function harmless(report: StatusReport): StatusReport {
  const text = JSON.stringify(report);
  return JSON.parse(text, (_, value: unknown) => (typeof value === 'string' ? escapeControl(value) : value));
}

function headline(report: StatusReport, { screen }: TextOptions): string {
  const { node = 'this node', reason } = report;
  const colour: Colour = report.ready ? 'green' : 'red';
  if (report.source.from === 'files')
    return `${node}: ${screen.paint('red', reason)}; from its files and the kernel:`;
  return `${node}: ${screen.paint(colour, reason)}`;
}

function agentRow({ agent, source }: StatusReport, { now }: TextOptions) {
  if (agent === undefined) return undefined;
  const age = since(agent.startedAt, now);
  const running = age === undefined ? '' : `, for ${span(age)}`;
  const last = source.from === 'files' ? 'last: ' : '';
  return [
    'agent',
    `${last}process ${agent.pid}, flanneld v${agent.version}${last === '' ? running : ''}`,
  ] as const;
}

function leaseRow({ lease }: StatusReport) {
  if (lease === undefined) return undefined;
  const subnets = Object.values(lease.subnets).join(', ');
  return ['lease', `${lease.backend}, ${subnets}, at ${Object.values(lease.publicIps).join(', ')}`] as const;
}

function interfaceRow({ external, mtu }: StatusReport) {
  if (external === undefined) return undefined;
  const pods = mtu === undefined ? '' : `, pods ${mtu}`;
  return ['interface', `${external.name}, MTU ${external.mtu}${pods}`] as const;
}

function peersRows({ peers, unknown }: StatusReport, { screen }: TextOptions) {
  if (peers === undefined) {
    if (unknown === undefined) return [];
    const cure = unknown.cure === undefined ? '' : `\n${unknown.cure}`;
    const there = unknown.kernel.map(deviceText);
    const kernel = there.length === 0 ? 'no device of the overlay' : there.join('\n');
    return [
      ['peers', `${screen.paint('yellow', 'not known')}: ${unknown.why}${cure}`],
      ['kernel', kernel],
    ] as const;
  }
  const { wanted, programmed, stale, others } = peers;
  const parts = [`${wanted} wanted`, `${programmed} programmed`];
  for (const [state, number] of Object.entries(others))
    parts.push(screen.paint('yellow', `${number} ${state}`));
  const left =
    stale === 0
      ? ''
      : `; ${screen.paint('red', `${count(stale, 'kernel entry', 'kernel entries')} of no peer`)}`;
  return [['peers', `${parts.join(', ')}${left}`] as const];
}

function deviceText({ device, up, routes, neighbours, fdb }: DeviceCount): string {
  const state = up ? '' : ' (down)';
  const parts = [
    count(routes, 'route'),
    count(neighbours, 'neighbour'),
    count(fdb, 'FDB entry', 'FDB entries'),
  ];
  return `${device}${state}: ${parts.join(', ')}`;
}

function entriesRow({ entries }: StatusReport, { screen, wide }: TextOptions) {
  if (entries === undefined) return undefined;
  const { planned, found, unread } = entries;
  const all = [...found, ...unread.map((what) => `not looked at: ${what}`)];
  if (all.length === 0) return ['entries', `${planned}, as planned`] as const;
  const shown = some(all, wide);
  return ['entries', [screen.paint('red', `${all.length} not as planned`), ...shown].join('\n')] as const;
}

function rulesRow({ rules }: StatusReport, { screen }: TextOptions) {
  if (rules === undefined) return undefined;
  const { mode, state, error, found } = rules;
  if (error !== undefined) return ['rules', `${mode}, ${screen.paint('red', state)}: ${error}`] as const;
  if (found.length === 0)
    return ['rules', `${mode}, ${state === 'unknown' ? 'in the kernel' : state}`] as const;
  return ['rules', [`${mode}, ${screen.paint('red', 'not as planned')}`, ...found].join('\n')] as const;
}

function storeRow({ store }: StatusReport, { screen }: TextOptions) {
  if (store === undefined) return undefined;
  const heard = store.age === undefined ? 'never heard of the store' : `heard ${span(store.age * 1000)} ago`;
  const memory = store.fromMemory ? `; ${screen.paint('yellow', 'peers are those of an earlier run')}` : '';
  const trouble = store.trouble === undefined ? '' : `; ${screen.paint('yellow', store.trouble)}`;
  return ['watch', `${heard}${memory}${trouble}`] as const;
}

function addressesRow({ addresses, lease }: StatusReport) {
  const lines = Object.entries(addresses).map(
    ([family, { used, free }]) => `${lease?.subnets[family] ?? family}: ${used} used, ${free} free`,
  );
  return lines.length === 0 ? undefined : (['addresses', lines.join('\n')] as const);
}

function passRow({ lastPass }: StatusReport, { now }: TextOptions) {
  if (lastPass === undefined) return undefined;
  const { at, ms, found, errors } = lastPass;
  const ago = since(at, now);
  const when = ago === undefined ? at : `${span(ago)} ago`;
  return ['last pass', `${when}, ${ms} ms, ${found} found, ${errors} errors`] as const;
}

function repairsRow({ repairs }: StatusReport, { now, wide }: TextOptions) {
  if (repairs.length === 0) return ['repairs', 'none'] as const;
  const lines = repairs.toReversed().map(({ at, what }) => {
    const ago = since(at, now);
    return `${ago === undefined ? at : `${span(ago)} ago`}: ${what}`;
  });
  return ['repairs', some(lines, wide).join('\n')] as const;
}

function some(lines: readonly string[], all: boolean): string[] {
  if (all || lines.length <= FEW + 1) return [...lines];
  return [...lines.slice(0, FEW), `and ${lines.length - FEW} more (-o wide)`];
}
