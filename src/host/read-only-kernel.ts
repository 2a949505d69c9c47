import type { KernelOp, KernelPort } from './kernel.ts';

/** Answers like `kernel` and writes nothing: `ops` takes down what would have been written, in order. */
export function readOnlyKernel(kernel: KernelPort, ops: KernelOp[]): KernelPort {
  return {
    links: () => kernel.links(),
    txChecksum: (name) => kernel.txChecksum(name),
    addresses: (link) => kernel.addresses(link),
    neighbours: (link, family) => kernel.neighbours(link, family),
    fdb: (link) => kernel.fdb(link),
    routes: (family, link) => kernel.routes(family, link),
    blackholes: (family) => kernel.blackholes(family),
    settleLink: () => [],
    apply: (more) => {
      ops.push(...more);
      return more.map(() => undefined);
    },
  };
}
