/** Something of ours, in words, and how it goes. */
export interface Removal {
  readonly what: string;
  /** Says what it found, where that is known only then. */
  readonly remove: () => void | Promise<readonly string[]>;
}

export interface Outcome {
  readonly removed: readonly string[];
  readonly failed: readonly { readonly what: string; readonly error: unknown }[];
}

/** Carries all of them out: one that fails does not keep the others. */
export async function carryOut(removals: readonly Removal[]): Promise<Outcome> {
  const removed: string[] = [];
  const failed: { what: string; error: unknown }[] = [];
  for (const { what, remove } of removals) {
    try {
      const found = await remove();
      removed.push(...(found ?? [what]));
    } catch (error) {
      failed.push({ what, error });
    }
  }
  return { removed, failed };
}
