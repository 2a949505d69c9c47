import { BACKENDS } from '#lab/command/options.ts';

/** What a node can be configured to: the lab's backends, and one that peers must take for one that encrypts. */
export const SOAK_BACKENDS = [...BACKENDS, 'extension'] as const;
export type SoakBackend = (typeof SOAK_BACKENDS)[number];

interface BackendFacts {
  /** `backend-type` in the annotations. */
  readonly type: string;
  /** `Backend` of net-conf.json. */
  readonly conf: Readonly<Record<string, unknown>>;
  /** It has a VXLAN device, and the MTU of the overlay. */
  readonly tunnel: boolean;
  /** Peers on the link get a route by way of their node. */
  readonly direct: boolean;
}

/** What the agent makes of each, by docs/backends.md. */
export const BACKEND_FACTS: Readonly<Record<SoakBackend, BackendFacts>> = {
  vxlan: { type: 'vxlan', conf: { Type: 'vxlan' }, tunnel: true, direct: false },
  'vxlan-direct': {
    type: 'vxlan',
    conf: { Type: 'vxlan', DirectRouting: true },
    tunnel: true,
    direct: true,
  },
  'host-gw': { type: 'host-gw', conf: { Type: 'host-gw' }, tunnel: false, direct: true },
  extension: { type: 'extension', conf: { Type: 'extension' }, tunnel: false, direct: false },
};

/** Nodes whose packets must not leave in the clear when they cannot be sent to. */
export const MAYBE_ENCRYPTED: ReadonlySet<string> = new Set(['extension']);
