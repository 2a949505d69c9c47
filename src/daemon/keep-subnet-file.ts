import type { Logger } from '#base/log.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import { gatewayOf } from '#subnet/env.ts';
import type { OwnRecord } from '#subnet/manager.ts';
import { BridgeMtu } from './bridge-mtu.ts';
import type { AgentOptions } from './options.ts';
import type { Reporter } from './reporter.ts';
import { SubnetFile, writtenMtu } from './subnet-file.ts';

interface SubnetFileParts {
  readonly log: Logger;
  readonly options: AgentOptions;
  readonly config: NetworkConfig;
  readonly own: OwnRecord;
  readonly reporter: Reporter;
  readonly rtnetlink: Rtnetlink;
  /** Ends it. */
  readonly stack: AsyncDisposableStack;
}

/** Writes the subnet file and keeps it; the pods' bridge follows its MTU (bytes). */
export function keepSubnetFile(parts: SubnetFileParts, mtu: number): void {
  const { log, config, own, reporter, rtnetlink, stack } = parts;
  const { flags } = parts.options;
  const what = 'the subnet file was removed or changed; written again';
  const content = { config, own, mtu, ipMasq: flags['ip-masq'] };
  const before = writtenMtu(flags['subnet-file']);
  const end = new SubnetFile(flags['subnet-file'], content).keep({
    onRepair: () => {
      log.warn(what, { file: flags['subnet-file'] });
      reporter.repaired('subnet_file', 1, what);
    },
    onResult: (error) => reporter.file(error),
  });
  stack.defer(end);
  const gateways = Object.values(own.subnets).map(gatewayOf);
  stack.use(new BridgeMtu({ rtnetlink, gateways, before, mtu, log }));
}
