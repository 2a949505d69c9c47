import type { Logger } from '#base/log.ts';
import type { NodeState, PodState } from '../state/state.ts';

/** A node that exists in the store only: all that its peers learn of it. */
export const PAPER = {
  name: 'n250',
  subnet: '10.244.250.0/24',
  publicIp: '192.168.50.250',
  mac: '02:00:00:00:02:50',
} as const;

export interface ManagerParts {
  /** `net-conf.json`. */
  readonly netConf: string;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger<string>;
  readonly logFile: string;
  /** A folder of the lab, removed with it. */
  readonly folder: string;
}

/** Where the lab's agents get subnets from: a Kubernetes API or etcd, at the router of the underlay. */
export interface LabManager {
  readonly url: string;
  /** For people, e.g. `a Kubernetes API at http://192.168.50.1:6443`. */
  readonly title: string;
  readonly agentFlags: readonly string[];
  /** `annotations`: what an agent before ours has published of the node. */
  addNode(node: NodeState, annotations: Readonly<Record<string, string>>): Promise<void>;
  /** What agents have published of the node. */
  annotations(node: string): Readonly<Record<string, string>>;
  addPod(pod: PodState, node: NodeState): void;
  removePod(name: string): void;
  /** Whether the store, too, takes the node for ready. */
  nodeReady(name: string): boolean;
  /** Refuses every connection for `ms`; resolves when it does. */
  cut(ms: number): Promise<void>;
  addPaperNode(backend: string): Promise<void>;
  removePaperNode(): Promise<void>;
}
