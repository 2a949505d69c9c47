import { join } from 'node:path';
import { describe, FlannelError, isNotFound } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { Overlay } from './overlay.ts';
import { Claims } from '#host/claims.ts';
import { FileDirectRoutes, MemoryDirectRoutes } from '#host/direct-routes.ts';
import type { KernelOp, KernelPort } from '#host/kernel.ts';
import { NetlinkKernel } from '#host/netlink-kernel.ts';
import { entryKey, type Entry } from '#host/plan.ts';
import { readOnlyKernel } from '#host/read-only-kernel.ts';
import { planOf, Reconciler } from '#host/reconcile.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { createTraffic } from '#traffic/create.ts';

/** What the kernel has otherwise than the plan says: what the agent's next pass would mend. */
export interface Difference {
  /** In words: devices first, then entries. */
  readonly found: readonly string[];
  /** Those of `found` that are there and that nobody wants. */
  readonly leftOver: readonly string[];
  /** As `found`, of traffic rules. */
  readonly rules: readonly string[];
  /** Keys (`entryKey`) of planned entries that are missing or otherwise. */
  readonly wrong: ReadonlySet<string>;
  /** Entries on our devices that nobody wants. */
  readonly stale: readonly Entry[];
  /** What is not as planned because nobody could look. */
  readonly unread: readonly string[];
}

export interface DifferenceOptions {
  readonly runDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Who claims what, conflicts settled as the agent does it. */
export function claimsOf({ peers }: Overlay): Claims {
  const claims = new Claims();
  claims.load([...peers].map(([name, { entries }]) => [name, entries]));
  return claims;
}

/** Compares the plan with the kernel of this network namespace, rules included where they are planned. Writes nothing. */
export async function differenceOf(overlay: Overlay, options: DifferenceOptions): Promise<Difference> {
  using net = Rtnetlink.open();
  using kernel = new NetlinkKernel(net);
  const known = new FileDirectRoutes(join(options.runDir, 'direct-routes')).known();
  const objects = compareObjects(overlay, kernel, known);
  const rules = await compareRules(overlay.rules, options.env);
  return { ...objects, rules: rules.found, unread: [...objects.unread, ...rules.unread] };
}

/** Without the rules: the agent's own reconciler, with a kernel that only takes down what it would write. */
export function compareObjects(
  overlay: Overlay,
  kernel: KernelPort,
  known: ReturnType<MemoryDirectRoutes['known']>,
): Omit<Difference, 'rules'> {
  const ops: KernelOp[] = [];
  const directRoutes = new MemoryDirectRoutes();
  directRoutes.remember(known);
  const reconciler = new Reconciler({
    kernel: readOnlyKernel(kernel, ops),
    directRoutes,
    log: silentLogger,
    foundLimit: Number.POSITIVE_INFINITY,
  });
  const { found, stale, errors } = reconciler.full(planOf(overlay.devices, claimsOf(overlay)));
  return {
    found,
    leftOver: stale,
    wrong: new Set(ops.flatMap((op) => (op.op === 'put' ? [entryKey(op.entry)] : []))),
    stale: ops.flatMap((op) => (op.op === 'remove' ? [op.entry] : [])),
    // A device that is missing is found already; that nothing could be read of it says no more.
    unread: errors.filter((error) => !isNotFound(error)).map(describe),
  };
}

/** What the kernel has otherwise than `rules`; nothing when they are not known. */
export async function compareRules(
  rules: Overlay['rules'],
  env: DifferenceOptions['env'],
): Promise<Pick<Difference, 'found' | 'unread'>> {
  if (rules === undefined) return { found: [], unread: [] };
  await using backend = createTraffic({ mode: rules.mode, env }).backend;
  try {
    return { found: await backend.compare(rules.set), unread: [] };
  } catch (error) {
    if (!(error instanceof FlannelError) || error.actor === 'bug') throw error;
    return { found: [], unread: [describe(error)] };
  }
}
