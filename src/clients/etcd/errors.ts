import { FlannelError } from '#base/errors.ts';

/** gRPC status codes that etcd uses (grpc/codes). */
export const GRPC = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  OUT_OF_RANGE: 11,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** etcd's "no": the gRPC status that its JSON gateway passes on. */
export class EtcdError extends FlannelError {
  override readonly name = 'EtcdError';
  /** gRPC status code; 0 when the answer was none of etcd's, e.g. a proxy's page. */
  readonly code: number;

  constructor(what: {
    readonly request: string;
    readonly code: number;
    readonly message: string;
    readonly cure?: string | undefined;
  }) {
    const text = what.message.slice(0, 300).replaceAll(/[\x00-\x1f\x7f]/g, ' ');
    const cure = what.cure ?? CURES[what.code];
    super('api', `${what.request}: ${text === '' ? `code ${what.code}` : text}`, {
      ...(cure !== undefined && { cure }),
    });
    this.code = what.code;
  }
}

const CURES: Readonly<Record<number, string>> = {
  [GRPC.PERMISSION_DENIED]: 'grant the role of --etcd-username readwrite on the prefix (--etcd-prefix)',
  [GRPC.UNAUTHENTICATED]: 'check --etcd-username and FLANNELD_ETCD_PASSWORD',
  [GRPC.INVALID_ARGUMENT]: 'check --etcd-username and FLANNELD_ETCD_PASSWORD, and that etcd is 3.4 or newer',
  [GRPC.RESOURCE_EXHAUSTED]: 'compact and defragment etcd, then disarm its alarm (etcdctl alarm disarm)',
  [GRPC.UNAVAILABLE]: 'look at the members of etcd: etcdctl endpoint status',
};

function hasCode(error: unknown, code: number): boolean {
  return error instanceof EtcdError && error.code === code;
}

/** The revision that was asked for is compacted away: list again. */
export function isCompacted(error: unknown): boolean {
  return hasCode(error, GRPC.OUT_OF_RANGE);
}

/** The etcd lease is not there (any more). */
export function isLeaseMissing(error: unknown): boolean {
  return hasCode(error, GRPC.NOT_FOUND);
}

/** Another member may know better: no leader, lost leader, time-out inside the cluster. */
export function isUnavailable(error: unknown): boolean {
  return hasCode(error, GRPC.UNAVAILABLE) || hasCode(error, 0);
}

/** The auth token is not (or no longer) good. Without one etcd says that the user name is empty: INVALID_ARGUMENT. */
export function isTokenRefused(error: unknown): boolean {
  return hasCode(error, GRPC.UNAUTHENTICATED) || hasCode(error, GRPC.INVALID_ARGUMENT);
}

/** The operation needs a state that is not there, e.g. authentication while it is switched off. */
export function isPreconditionFailed(error: unknown): boolean {
  return hasCode(error, GRPC.FAILED_PRECONDITION);
}
