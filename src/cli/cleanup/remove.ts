/** Something of ours, in words, and how it goes. */
export interface Removal {
  readonly what: string;
  /** What there is of it, where `what` does not say so; changes nothing. */
  readonly traces?: () => Promise<readonly string[]>;
  /** Says what it found, where that is known only then. */
  readonly remove: () => void | Promise<readonly string[]>;
}

export interface Outcome {
  readonly removed: readonly string[];
  readonly failed: readonly { readonly what: string; readonly error: unknown }[];
}

/** Carries all of them out: one that fails does not keep the others. */
export async function carryOut(removals: readonly Removal[]): Promise<Outcome> {
  return each(removals, async ({ remove }) => remove());
}

/** What carrying them out would remove; changes nothing. */
export async function foretell(removals: readonly Removal[]): Promise<Outcome> {
  return each(removals, async ({ traces }) => traces?.());
}

async function each(
  removals: readonly Removal[],
  work: (removal: Removal) => Promise<void | readonly string[]>,
): Promise<Outcome> {
  const removed: string[] = [];
  const failed: { what: string; error: unknown }[] = [];
  for (const removal of removals) {
    const { what } = removal;
    try {
      const found = await work(removal);
      removed.push(...(found ?? [what]));
    } catch (error) {
      failed.push({ what, error });
    }
  }
  return { removed, failed };
}
