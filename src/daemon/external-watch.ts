import type { ExternalInterface } from '#backend/backend.ts';
import { externalChange } from '#host/external-interface.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';

/** DHCP and network managers take an address away and give it back: wait for them, ms. */
const SETTLE = 500;

export interface ExternalWatchOptions {
  readonly rtnetlink: Pick<Rtnetlink, 'links' | 'addresses'>;
  readonly external: ExternalInterface;
  /** Called with what has changed, in words. */
  readonly onChange: (what: string) => void;
}

/** Looks at the external interface after each notification about it; speaks up when it is no longer what was built on. */
export class ExternalWatch implements Disposable {
  readonly #options: ExternalWatchOptions;
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
    const { rtnetlink, external, onChange } = this.#options;
    const view = { links: rtnetlink.links(), addresses: rtnetlink.addresses() };
    const what = externalChange(view, external);
    if (what !== undefined) onChange(what);
  }
}
