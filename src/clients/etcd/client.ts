import { DecodeError } from '#base/errors.ts';
import type { ReadFile } from '../secret.ts';
import { EtcdError, GRPC, isLeaseMissing } from './errors.ts';
import { type EtcdConfig, EtcdTransport } from './transport.ts';
import {
  decodeRange,
  decodeWatch,
  int64,
  type Json,
  type KeyValue,
  type KvEvent,
  objectOf,
  prefixEnd,
  type RangeAnswer,
  toBase64,
} from './wire.ts';

export type { KeyValue, KvEvent } from './wire.ts';

export interface PutIf {
  readonly key: string;
  readonly value: string;
  /** 0: none. */
  readonly lease: bigint;
  /** The key's `modRevision` as last seen; 0: the key must not exist. */
  readonly unchangedSince: bigint;
}

export interface WatchOptions {
  readonly prefix: string;
  /** First revision of interest. */
  readonly revision: bigint;
  readonly signal: AbortSignal;
  readonly onEvents: (events: readonly KvEvent[]) => void;
  /** Called when the watch stands. */
  readonly onCreated: () => void;
}

/** What the etcd subnet manager needs of etcd v3. Errors: EtcdError, TransportError, DecodeError, ConfigError. */
export interface EtcdClient {
  /** The member that is asked next. */
  readonly endpoint: string;
  get(key: string, signal: AbortSignal): Promise<KeyValue | undefined>;
  /**
   * All keys with the prefix as they were at one revision, which is returned. `onPage` gets them page by page, so that thousands of
   * values need not be in memory at once.
   */
  list(
    prefix: string,
    options: { readonly signal: AbortSignal; readonly onPage: (kvs: readonly KeyValue[]) => void },
  ): Promise<bigint>;
  /** Puts when nobody was faster; false when somebody was. */
  putIf(put: PutIf, signal: AbortSignal): Promise<boolean>;
  /** Deletes when the key is as last seen; false when not. */
  deleteIf(key: string, unchangedSince: bigint, signal: AbortSignal): Promise<boolean>;
  /** A new etcd lease of `ttl` seconds. */
  grant(ttl: number, signal: AbortSignal): Promise<bigint>;
  /** Seconds the lease lives from now on; 0 when it is gone. */
  keepAlive(lease: bigint, signal: AbortSignal): Promise<number>;
  /** A lease that is gone is no error. */
  revoke(lease: bigint, signal: AbortSignal): Promise<void>;
  /** Resolves when the member ends the watch; an EtcdError with `isCompacted` when history is missing. */
  watch(options: WatchOptions): Promise<void>;
  close(): void;
}

/** Keys of a page. */
const PAGE = 500;
const FOREVER = 2 ** 31 - 1;

export function createEtcdClient(config: EtcdConfig, readFile?: ReadFile): EtcdClient {
  return new GatewayClient(new EtcdTransport(config, readFile));
}

class GatewayClient implements EtcdClient {
  readonly #transport: EtcdTransport;

  constructor(transport: EtcdTransport) {
    this.#transport = transport;
  }

  get endpoint(): string {
    return this.#transport.endpoint;
  }

  close(): void {
    this.#transport.close();
  }

  async get(key: string, signal: AbortSignal): Promise<KeyValue | undefined> {
    const { kvs } = await this.#range({ key: toBase64(key) }, signal);
    return kvs[0];
  }

  async list(
    prefix: string,
    { signal, onPage }: { readonly signal: AbortSignal; readonly onPage: (kvs: readonly KeyValue[]) => void },
  ): Promise<bigint> {
    let from = prefix;
    let revision = 0n;
    for (;;) {
      const page = await this.#range(
        {
          key: toBase64(from),
          range_end: toBase64(prefixEnd(prefix)),
          limit: String(PAGE),
          revision: String(revision),
        },
        signal,
      );
      onPage(page.kvs);
      if (revision === 0n) revision = page.revision;
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return revision;
      from = `${last.key}\0`;
    }
  }

  putIf({ key, value, lease, unchangedSince }: PutIf, signal: AbortSignal): Promise<boolean> {
    const put = { key: toBase64(key), value: toBase64(value), lease: String(lease) };
    return this.#transaction(key, { unchangedSince, success: { request_put: put } }, signal);
  }

  deleteIf(key: string, unchangedSince: bigint, signal: AbortSignal): Promise<boolean> {
    const success = { request_delete_range: { key: toBase64(key) } };
    return this.#transaction(key, { unchangedSince, success }, signal);
  }

  async grant(ttl: number, signal: AbortSignal): Promise<bigint> {
    const answer = await this.#transport.call('/v3/lease/grant', { TTL: String(ttl) }, { signal });
    const id = int64(answer['ID'], 'grant.ID');
    if (id === 0n) throw new DecodeError('grant.ID', 0, 'is missing');
    return id;
  }

  async keepAlive(lease: bigint, signal: AbortSignal): Promise<number> {
    try {
      const answer = await this.#transport.call('/v3/lease/keepalive', { ID: String(lease) }, { signal });
      const result = objectOf(answer['result'], 'keepalive.result');
      return Math.max(0, Number(int64(result['TTL'], 'keepalive.TTL')));
    } catch (error) {
      if (isLeaseMissing(error)) return 0;
      throw error;
    }
  }

  async revoke(lease: bigint, signal: AbortSignal): Promise<void> {
    try {
      await this.#transport.call('/v3/lease/revoke', { ID: String(lease) }, { signal });
    } catch (error) {
      if (!isLeaseMissing(error)) throw error;
    }
  }

  async watch(options: WatchOptions): Promise<void> {
    const { prefix, revision, signal, onEvents, onCreated } = options;
    const request = {
      create_request: {
        key: toBase64(prefix),
        range_end: toBase64(prefixEnd(prefix)),
        start_revision: String(revision),
      },
    };
    const onMessage = (result: unknown) => {
      const message = decodeWatch(result);
      if (message.compactRevision > 0n) {
        throw new EtcdError({ request: 'watch', code: GRPC.OUT_OF_RANGE, message: 'history is compacted' });
      }
      if (message.canceled) {
        throw new EtcdError({ request: 'watch', code: GRPC.UNAVAILABLE, message: message.cancelReason });
      }
      if (message.created) onCreated();
      if (message.events.length > 0) onEvents(message.events);
    };
    await this.#transport.stream('/v3/watch', request, { signal, silence: FOREVER, onMessage });
  }

  async #range(body: Json, signal: AbortSignal): Promise<RangeAnswer> {
    return decodeRange(await this.#transport.call('/v3/kv/range', body, { signal }));
  }

  async #transaction(
    key: string,
    txn: { readonly unchangedSince: bigint; readonly success: Json },
    signal: AbortSignal,
  ): Promise<boolean> {
    const since = String(txn.unchangedSince);
    const compare = { key: toBase64(key), target: 'MOD', result: 'EQUAL', mod_revision: since };
    const body = { compare: [compare], success: [txn.success] };
    const answer = await this.#transport.call('/v3/kv/txn', body, { signal });
    return answer['succeeded'] === true;
  }
}
