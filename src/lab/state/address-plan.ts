import { Cidr } from '#net/cidr.ts';
import { Mac } from '#net/mac.ts';

/** All addresses of a lab. Two labs use the same ones: each lives in namespaces of its own. */
export const POD_NETWORK = '10.244.0.0/16';
/** kube-apiserver's `--service-cluster-ip-range` as kubeadm sets it. */
export const SERVICE_NETWORK = '10.96.0.0/12';
export const UNDERLAY = '192.168.50.0/24';
/** The underlay's router; the API server listens here. */
export const GATEWAY = '192.168.50.1';
export const API_PORT = 6443;
/** TEST-NET-3 (RFC 5737): addresses that belong to nobody. */
export const WORLD_NETWORK = '203.0.113.0/24';
export const WORLD_GATEWAY = '203.0.113.1';
export const WORLD_IP = '203.0.113.10';
/** Every pod, every node and the world answer here, by TCP (HTTP) and UDP. */
export const ECHO_PORT = 8080;
/** flanneld's `--healthz-port`. */
export const HEALTH_PORT = 8471;
/** The lab's one service, and its port on every node. */
export const SERVICE_IP = '10.96.0.10';
export const SERVICE_PORT = 80;
export const NODE_PORT = 30080;
export const VXLAN_PORT = 8472;

/** What node number `index` (from 1) gets. */
export interface NodePlan {
  readonly name: string;
  readonly ip: string;
  readonly podCidr: string;
  /** Locally administered, made of the address, so that a capture can be read without a table. */
  readonly mac: Mac;
  readonly pods: readonly string[];
}

export function planNode(index: number, pods: number): NodePlan {
  const name = `n${index}`;
  const ip = Cidr.parse(UNDERLAY)
    .first()
    .add(10 + index);
  return {
    name,
    ip: ip.toString(),
    podCidr: `10.244.${index}.0/24`,
    mac: Mac.fromBytes(Uint8Array.of(2, 0, ...ip.toBytes())),
    pods: Array.from({ length: pods }, (_, at) => `${name}-${String.fromCharCode(97 + at)}`),
  };
}

/** The first address of a node's pod range, which flannel.1 carries. */
export function vtepAddress(podCidr: string): string {
  return Cidr.parse(podCidr).first().toString();
}
