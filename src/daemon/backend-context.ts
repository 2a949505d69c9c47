import type { BackendContext, ExternalInterface } from '#backend/backend.ts';
import { createBackend } from '#backend/create.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { OwnAttributes, OwnRecord } from '#subnet/manager.ts';
import { Reach } from './external.ts';
import { txChecksum, type AgentOptions } from './options.ts';

/** What a backend is made of, as far as a run knows it before it touches the kernel. */
interface BackendParts {
  readonly options: AgentOptions;
  readonly config: NetworkConfig;
  readonly external: ExternalInterface;
  readonly own: OwnRecord;
  readonly rtnetlink: Rtnetlink;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** What a backend may know of this node; it asks `reach` which peers are on its link. */
export function backendContext(parts: BackendParts, reach: Reach): BackendContext {
  const { rtnetlink, external, randomBytes, config, own } = parts;
  return {
    config,
    txChecksum: txChecksum(parts.options.flags),
    external,
    own,
    liveMac: (name) => rtnetlink.link(name)?.mac,
    randomMac: () => randomBytes(6),
    isOnLink: (ip) => reach.isOnLink(ip),
  };
}

/** What a node with this subnet would tell its peers. */
export function draftAttributes(parts: BackendParts): OwnAttributes {
  const { type, backendData } = createBackend(
    backendContext(parts, new Reach(parts.rtnetlink, parts.external)),
  );
  return { backendType: type, publicIp: parts.external.publicIps, backendData };
}
