import { FlannelError } from '#base/errors.ts';
import { Netns } from '#ffi/netns.ts';
import { nearest } from '#subnet/nearest.ts';
import { ECHO_PORT, WORLD_IP } from '../state/address-plan.ts';
import type { LabState, NodeState, PodState } from '../state/state.ts';

/** Somewhere a process can run and a packet can be seen. */
export type Place =
  | { readonly kind: 'pod'; readonly name: string; readonly pod: PodState; readonly node: NodeState }
  | { readonly kind: 'node'; readonly name: string; readonly node: NodeState }
  | { readonly kind: 'world' | 'underlay'; readonly name: string; readonly pid: number };

/** Pods, nodes, the world and the underlay of a lab. */
export function placesOf(state: LabState): Place[] {
  const nodes = new Map(state.nodes.map((node) => [node.name, node]));
  return [
    ...state.pods.flatMap((pod): Place[] => {
      const node = nodes.get(pod.node);
      return node === undefined ? [] : [{ kind: 'pod', name: pod.name, pod, node }];
    }),
    ...state.nodes.map((node): Place => ({ kind: 'node', name: node.name, node })),
    { kind: 'world', name: 'world', pid: state.worldPid },
    { kind: 'underlay', name: 'underlay', pid: state.pid },
  ];
}

/** The place called `name`; an error that lists the names when there is none. */
export function findPlace(state: LabState, name: string): Place {
  const places = placesOf(state);
  const found = places.find((place) => place.name === name);
  if (found !== undefined) return found;
  const names = places.map((place) => place.name);
  const near = nearest(name, names);
  throw new FlannelError(
    'operator',
    `there is no pod or node ${JSON.stringify(name)} in lab ${state.options.name}${near === undefined ? '' : `; did you mean ${near}?`}`,
    { cure: `It has ${names.join(', ')}` },
  );
}

/** File of the network namespace, readable from the machine's own mount namespace. */
export function netnsPath(place: Place): string {
  switch (place.kind) {
    case 'pod':
      return podNetnsPath(place.node, place.name);
    case 'node':
      return `/proc/${place.node.pid}/ns/net`;
    case 'world':
    case 'underlay':
      return `/proc/${place.pid}/ns/net`;
  }
}

/** The mount of a pod's namespace, seen through its node's root folder. */
export function podNetnsPath(node: { readonly pid: number }, pod: string): string {
  return `/proc/${node.pid}/root/run/netns/${pod}`;
}

export function openNetns(place: Place): Netns {
  return Netns.open(netnsPath(place));
}

/** argv that runs `argv` at the place, with util-linux' nsenter: it enters, then executes, and keeps its process id. */
export function enterArgv(place: Place, argv: readonly string[]): string[] {
  const node = place.kind === 'pod' || place.kind === 'node' ? place.node : undefined;
  const mounts = node === undefined ? [] : [`--mount=/proc/${node.pid}/ns/mnt`];
  return ['nsenter', ...mounts, `--net=${netnsPath(place)}`, '--', ...argv];
}

/** The address that answers at ECHO_PORT. */
export function addressOf(place: Place): string {
  switch (place.kind) {
    case 'pod':
      return place.pod.ip;
    case 'node':
      return place.node.ip;
    case 'world':
      return WORLD_IP;
    case 'underlay':
      throw new FlannelError('operator', `the underlay does not answer on port ${ECHO_PORT}`, {
        cure: 'Name a pod, a node or the world',
      });
  }
}
