/** One request as it was answered. */
export interface LoggedRequest {
  /** RBAC verb, or the lower-case HTTP method for what is not a resource. */
  readonly verb: string;
  /** `nodes`, `nodes/status`, or the path for what is not a resource. */
  readonly resource: string;
  readonly name: string;
  readonly namespace: string | undefined;
  /** The query as sent, without `?`. */
  readonly query: string;
  readonly contentType: string;
  readonly userAgent: string;
  /** HTTP status; 0 while the answer is not decided. */
  code: number;
}

const KEPT = 10_000;

/** What clients asked for: for assertions on rights and on traffic. */
export class RequestLog {
  #entries: LoggedRequest[] = [];
  readonly #counts = new Map<string, number>();

  /** Adds it; the caller sets its code later. */
  add(request: LoggedRequest): LoggedRequest {
    this.#entries.push(request);
    if (this.#entries.length > 2 * KEPT) this.#entries = this.#entries.slice(-KEPT);
    const key = `${request.verb} ${request.resource}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    return request;
  }

  /** The latest requests, oldest first. */
  list(): readonly LoggedRequest[] {
    return this.#entries.slice(-KEPT);
  }

  /** How often since the last `clear()`, by `verb resource`, e.g. `patch nodes/status`. */
  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  clear(): void {
    this.#entries = [];
    this.#counts.clear();
  }
}
