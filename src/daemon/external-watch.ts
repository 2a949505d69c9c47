import type { ExternalInterface } from '#backend/backend.ts';
import { externalChange, isDead } from '#host/external-interface.ts';
import type { Family } from '#net/family.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';

/** DHCP and network managers take an address away and give it back: wait for them, ms. */
const SETTLE = 500;

/** An interface that is gone so long, ms, may have been replaced by another. */
const DEAD = 10_000;

export interface ExternalWatchOptions {
  readonly rtnetlink: Pick<Rtnetlink, 'links' | 'addresses'>;
  readonly external: ExternalInterface;
  /** The enabled families. */
  readonly families: readonly Family[];
  /** Called with what has changed, in words. */
  readonly onChange: (what: string) => void;
}

/** Looks at the external interface after each notification about it; speaks up when it is no longer what was built on. */
export class ExternalWatch implements Disposable {
  readonly #options: ExternalWatchOptions;
  /** It was without an address when last looked at. */
  #dead = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ExternalWatchOptions) {
    this.#options = options;
  }

  /** Something happened to it: look when it has settled. */
  poke(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), SETTLE);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    const { rtnetlink, external, families, onChange } = this.#options;
    const inUse = { ...external, families };
    const view = { links: rtnetlink.links(), addresses: rtnetlink.addresses() };
    const what = externalChange(view, inUse);
    if (what !== undefined) onChange(what);
    else if (!isDead(view, inUse)) this.#dead = false;
    else if (this.#dead) onChange(`${external.name} has been without an address for ${DEAD / 1000} s`);
    else {
      this.#dead = true;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#look(), DEAD);
    }
  }
}
