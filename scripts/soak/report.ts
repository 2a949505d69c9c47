import { table } from '#lab/report/table.ts';
import { FAULT_KINDS } from './catalogue.ts';
import type { SoakOptions } from './options.ts';
import { repairsOf } from './repairs.ts';
import type { RoundRecord } from './rounds.ts';
import { median, trendOf, type Sample } from './samples.ts';
import type { Stage } from './stage.ts';

const MIB = 1024 * 1024;
/**
 * What the anonymous memory of an agent may differ by from the first third of the time after its warm-up to the last one.
 * The engine's collector lets the heap swing by some MiB.
 */
const TOLERANCE = 6 * MIB;

/** A watch, a write, a question for its health, and as many that an idle client keeps for later. */
const MOST_CONNECTIONS = 6;

/** One line about the last seconds. */
export function progressLine(stage: Stage, rounds: readonly RoundRecord[]): string {
  const last = rounds.at(-1);
  const faults = rounds.reduce((sum, round) => sum + round.faults.length, 0);
  const memory = [...stage.samples.values()].map((samples) => mib(samples.at(-1)?.anonymous ?? 0));
  const { sent } = stage.report;
  const what = last?.faults.map(({ kind }) => kind.name).join('+') ?? '';
  return [
    `${Math.round(stage.elapsed)} s`,
    `${faults} faults`,
    `${sent} packets, ${stage.ledger.lost} lost`,
    `last ${what} ${Math.round(last?.repair ?? 0)} ms`,
    `memory ${memory.join(' ')} MiB`,
  ].join('  ');
}

export interface SummaryParts {
  readonly stage: Stage;
  readonly rounds: readonly RoundRecord[];
  readonly looks: number;
  readonly options: SoakOptions;
}

/** The tables at the end. */
export function summaryLines({ stage, rounds, looks, options }: SummaryParts): string[] {
  const { sent, answered } = stage.report;
  const { lostByMachine } = stage.ledger;
  return [
    '',
    ...faultTable(stage, rounds),
    '',
    ...agentTable(stage.samples, options.minutes * 60),
    '',
    `${rounds.length} rounds in ${Math.round(stage.elapsed)} s, everything compared ${looks} times, ${sent} packets sent, ${answered} answered, ${stage.ledger.lost} lost`,
    ...(lostByMachine > 0
      ? [`${lostByMachine} of them while the machine's receive queues or neighbour tables were full`]
      : []),
  ];
}

function faultTable(stage: Stage, rounds: readonly RoundRecord[]): string[] {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    { title: 'fault' },
    right('number'),
    right('alone'),
    right('median ms'),
    right('max ms'),
    right('lost'),
  ];
  const rows = FAULT_KINDS.flatMap(({ name }) => {
    const number = rounds.flatMap(({ faults }) => faults).filter(({ kind }) => kind.name === name).length;
    if (number === 0) return [];
    const repairs = repairsOf(name, rounds);
    const ms = (value: number) => (repairs.length === 0 ? '' : String(Math.round(value)));
    return [
      [
        name,
        String(number),
        String(repairs.length),
        ms(median(repairs)),
        ms(Math.max(...repairs)),
        String(stage.ledger.lostBy(name)),
      ],
    ];
  });
  return table(columns, rows);
}

function agentTable(samples: ReadonlyMap<string, readonly Sample[]>, soak: number): string[] {
  const right = (title: string) => ({ title, align: 'right' as const });
  const columns = [
    { title: 'agent' },
    right('processes'),
    right('longest s'),
    right('anonymous MiB'),
    right('then'),
    right('KiB/min'),
    right('RSS MiB'),
    right('descriptors'),
    right('then'),
    right('connections'),
  ];
  const rows = [...samples]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([node, list]) => {
      const trend = trendOf(list, soak);
      const processes = new Set(list.map(({ pid }) => pid)).size;
      const rss = mib(list.at(-1)?.rss ?? 0);
      if (trend === undefined) {
        const [first, last] = [list[0], list.at(-1)];
        const memory = [mib(first?.anonymous ?? 0), mib(last?.anonymous ?? 0)];
        const open = [String(first?.descriptors ?? ''), String(last?.descriptors ?? '')];
        return [
          node,
          String(processes),
          'short',
          ...memory,
          '',
          rss,
          ...open,
          String(last?.connections ?? ''),
        ];
      }
      return [
        node,
        String(processes),
        String(Math.round(trend.seconds)),
        mib(trend.first),
        mib(trend.last),
        String(Math.round(trend.slope / 1024)),
        rss,
        String(trend.firstDescriptors),
        String(trend.lastDescriptors),
        String(trend.connections),
      ];
    });
  return table(columns, rows);
}

/** What has grown, in words. */
export function growthOf(samples: ReadonlyMap<string, readonly Sample[]>, soak: number): string[] {
  return [...samples].flatMap(([node, list]) => {
    const trend = trendOf(list, soak);
    if (trend === undefined) return [];
    const { first, last, firstDescriptors, lastDescriptors, connections } = trend;
    return [
      ...(last > first + TOLERANCE
        ? [`the agent of ${node} grew from ${mib(first)} to ${mib(last)} MiB of anonymous memory`]
        : []),
      ...(lastDescriptors > firstDescriptors
        ? [`the agent of ${node} holds ${lastDescriptors} descriptors, ${firstDescriptors} before`]
        : []),
      ...(connections > MOST_CONNECTIONS
        ? [`the agent of ${node} holds ${connections} connections, more than ${MOST_CONNECTIONS}`]
        : []),
    ];
  });
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
