import { FlannelError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import type { JsonObject, ObjectInput } from './object.ts';
import type { ApiServer } from './server.ts';
import { resourceOf } from './store.ts';

/** How many /24 networks 10.0.0.0/8 has. */
const MOST = 65_536;

const FLANNEL = 'flannel.alpha.coreos.com';

/** What a fat Node's annotations tell other agents: all unique per index. */
export interface FatPeer {
  readonly name: string;
  readonly podCidr: Cidr;
  readonly publicIp: Ip;
  readonly vtepMac: Mac;
}

/** The peer behind an index from 0 to 65,535: a /24 of 10.0.0.0/8 and an address of 172.16.0.0/12. */
export function fatPeer(index: number): FatPeer {
  if (!Number.isInteger(index) || index < 0 || index >= MOST)
    throw new FlannelError('operator', `${index} is no index of a fat Node: those are 0 to ${MOST - 1}`);
  const podNetwork = Ip.parse('10.0.0.0').add(index * 256);
  return {
    name: `node-${String(index).padStart(5, '0')}`,
    podCidr: new Cidr(podNetwork, 24),
    publicIp: Ip.parse('172.16.0.0').add(index + 1),
    vtepMac: Mac.fromBytes(Uint8Array.of(0x0e, 0xf1, 0xa0, index >>> 16, (index >>> 8) & 255, index & 255)),
  };
}

/** Flannel's `backend-data` of the VXLAN backend. */
export function backendData(mac: Mac): string {
  return JSON.stringify({ VNI: 1, VtepMAC: mac.toString() });
}

/**
 * A Node as a busy cluster holds it, about 18 KB of JSON: 40 images, five conditions, managed fields of three managers,
 * and Flannel's annotations. The same index gives the same Node.
 */
export function fatNode(index: number): ObjectInput {
  const peer = fatPeer(index);
  const at = '2026-01-15T08:00:00Z';
  return {
    metadata: {
      name: peer.name,
      labels: labels(peer.name, index),
      annotations: annotations(peer),
      managedFields: managedFields(at),
    },
    spec: {
      podCIDR: peer.podCidr.toString(),
      podCIDRs: [peer.podCidr.toString()],
      providerID: `example://zone-${index % 3}/${peer.name}`,
    },
    status: status(peer, at),
  };
}

function labels(name: string, index: number): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': 'amd64',
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'amd64',
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'node.kubernetes.io/instance-type': 'standard-8',
    'topology.kubernetes.io/region': 'region-1',
    'topology.kubernetes.io/zone': `zone-${index % 3}`,
  };
}

function annotations(peer: FatPeer): Record<string, string> {
  return {
    'csi.volume.kubernetes.io/nodeid': JSON.stringify({ 'csi.example.com': peer.name }),
    [`${FLANNEL}/backend-data`]: backendData(peer.vtepMac),
    [`${FLANNEL}/backend-type`]: 'vxlan',
    [`${FLANNEL}/kube-subnet-manager`]: 'true',
    [`${FLANNEL}/public-ip`]: peer.publicIp.toString(),
    'kubeadm.alpha.kubernetes.io/cri-socket': 'unix:///run/containerd/containerd.sock',
    'node.alpha.kubernetes.io/ttl': '0',
    'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
  };
}

function status(peer: FatPeer, at: string): JsonObject {
  const quantities = {
    cpu: '8',
    'ephemeral-storage': '203056560Ki',
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    memory: '32871176Ki',
    pods: '110',
  };
  return {
    addresses: [
      { type: 'InternalIP', address: peer.publicIp.toString() },
      { type: 'Hostname', address: peer.name },
    ],
    allocatable: quantities,
    capacity: quantities,
    conditions: conditions(at),
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    images: Array.from({ length: 40 }, (_, at) => image(at)),
    nodeInfo: {
      architecture: 'amd64',
      bootID: 'b1a5c7d2-3d6e-4f63-9a51-0f3f7c1d2e4b',
      containerRuntimeVersion: 'containerd://1.7.24',
      kernelVersion: '6.1.0-28-amd64',
      kubeProxyVersion: 'v1.32.0',
      kubeletVersion: 'v1.32.0',
      machineID: '2f7d9c1be4a84c5f8f0d6f5e3b2a1c90',
      operatingSystem: 'linux',
      osImage: 'Debian GNU/Linux 12 (bookworm)',
      systemUUID: '4c4c4544-0042-3510-8051-b7c04f5a3132',
    },
  };
}

function conditions(at: string): JsonObject[] {
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    lastHeartbeatTime: at,
    lastTransitionTime: at,
    reason,
    message: `kubelet reports: ${reason}`,
  });
  return [
    condition('NetworkUnavailable', 'False', 'FlannelIsUp'),
    condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory'),
    condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure'),
    condition('PIDPressure', 'False', 'KubeletHasSufficientPID'),
    condition('Ready', 'True', 'KubeletReady'),
  ];
}

/** Two names per image, by digest and by tag, as the kubelet reports them. */
function image(at: number): JsonObject {
  const repository = `registry.example.com/platform/team-${at % 7}/a-service-with-quite-a-long-name-as-they-often-have-${at}`;
  // Any 64 hex digits do; a multiplicative hash keeps them from compressing away.
  const words = Array.from({ length: 8 }, (_, word) => Math.imul(at * 8 + word + 1, 0x9e3779b1) >>> 0);
  const digest = words.map((word) => word.toString(16).padStart(8, '0')).join('');
  return {
    names: [`${repository}@sha256:${digest}`, `${repository}:v1.${at}.0-build.20260115`],
    sizeBytes: 40_000_000 + at * 1_234_567,
  };
}

/** Field ownership of kubelet, controller manager and Flannel, in the server's `fieldsV1` notation. */
function managedFields(at: string): JsonObject[] {
  const owned = (paths: readonly string[]) => Object.fromEntries(paths.map((path) => [`f:${path}`, {}]));
  const byType = (types: readonly string[], fields: readonly string[]) =>
    Object.fromEntries(types.map((type) => [`k:${JSON.stringify({ type })}`, { '.': {}, ...owned(fields) }]));
  const conditionFields = ['lastHeartbeatTime', 'lastTransitionTime', 'message', 'reason', 'status', 'type'];
  const pressure = ['DiskPressure', 'MemoryPressure', 'PIDPressure', 'Ready'];
  const quantities = owned(['cpu', 'ephemeral-storage', 'hugepages-1Gi', 'hugepages-2Mi', 'memory', 'pods']);
  const kubeletStatus = {
    'f:addresses': { '.': {}, ...byType(['Hostname', 'InternalIP'], ['address', 'type']) },
    'f:allocatable': { '.': {}, ...quantities },
    'f:capacity': { '.': {}, ...quantities },
    'f:conditions': { '.': {}, ...byType(pressure, conditionFields) },
    'f:daemonEndpoints': { 'f:kubeletEndpoint': owned(['Port']) },
    'f:images': {},
    'f:nodeInfo': owned([
      'architecture',
      'bootID',
      'containerRuntimeVersion',
      'kernelVersion',
      'kubeProxyVersion',
      'kubeletVersion',
      'machineID',
      'operatingSystem',
      'osImage',
      'systemUUID',
    ]),
  };
  const ours = ['backend-data', 'backend-type', 'kube-subnet-manager', 'public-ip'].map(
    (key) => `${FLANNEL}/${key}`,
  );
  const entry = (manager: string, fieldsV1: JsonObject, subresource?: string): JsonObject => ({
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time: at,
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(subresource === undefined ? {} : { subresource }),
  });
  return [
    entry('kubelet', {
      'f:metadata': { 'f:labels': { '.': {}, ...owned(Object.keys(labels('', 0))) } },
      'f:spec': owned(['providerID']),
    }),
    entry('kube-controller-manager', {
      'f:spec': { ...owned(['podCIDR']), 'f:podCIDRs': { '.': {}, 'v:"10.0.0.0/24"': {} } },
    }),
    entry(
      'flanneld',
      {
        'f:metadata': { 'f:annotations': owned(ours) },
        'f:status': { 'f:conditions': byType(['NetworkUnavailable'], conditionFields) },
      },
      'status',
    ),
    entry('kubelet', { 'f:status': kubeletStatus }, 'status'),
  ];
}

/** Adds the Nodes of the indices 0 to `count` - 1, serialised at once and kept as bytes alone. */
export function fillFatNodes(server: ApiServer, count: number): void {
  const nodes = resourceOf('nodes');
  for (let index = 0; index < count; index += 1) server.store.create(nodes, fatNode(index)).shrink();
}
