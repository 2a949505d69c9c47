import { writeState, type LabState, type NodeState, type PodState } from '../state/state.ts';

/** The lab's state in memory; every change goes to the file at once. */
export class StateStore {
  readonly #path: string;
  #state: LabState;

  constructor(path: string, initial: LabState) {
    this.#path = path;
    this.#state = initial;
    writeState(path, initial);
  }

  get state(): LabState {
    return this.#state;
  }

  update(change: Partial<LabState>): void {
    this.#state = { ...this.#state, ...change };
    writeState(this.#path, this.#state);
  }

  /** Adds or changes a node; nodes stay in their order. */
  setNode(node: NodeState): void {
    const others = this.#state.nodes.filter(({ name }) => name !== node.name);
    this.update({ nodes: inOrder([...others, node]) });
  }

  addPod(pod: PodState): void {
    this.update({ pods: inOrder([...this.#state.pods, pod]) });
  }

  removePod(name: string): void {
    this.update({ pods: this.#state.pods.filter((pod) => pod.name !== name) });
  }
}

/** n2 before n10. */
function inOrder<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}
