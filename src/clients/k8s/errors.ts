import { FlannelError } from '#base/errors.ts';

/** The API server's "no": an HTTP status, or a Status object inside a watch. */
export class ApiError extends FlannelError {
  override readonly name = 'ApiError';
  /** HTTP status code. */
  readonly status: number;
  /** Machine-readable reason of the Status object, e.g. `Expired`; empty when there was none. */
  readonly reason: string;
  /** How long the server asks us to stay away, ms. */
  readonly retryAfter: number | undefined;

  constructor(what: {
    request: string;
    status: number;
    reason: string;
    message: string;
    retryAfter?: number | undefined;
  }) {
    const message = what.message === '' ? '' : `: ${what.message.slice(0, 500)}`;
    const redirect = what.status >= 300 && what.status < 400;
    const cure = redirect ? REDIRECT.cure : CURES[what.status];
    const name = redirect ? REDIRECT.text : (STATUS_TEXT[what.status] ?? what.reason);
    super('api', `${what.request}: ${what.status} ${name}${message}`, {
      ...(cure !== undefined && { cure }),
    });
    this.status = what.status;
    this.reason = what.reason;
    this.retryAfter = what.retryAfter;
  }

  override get kind(): string {
    return String(this.status);
  }
}

/** Why no answer came. */
export type TransportFailure = 'timeout' | 'refused' | 'reset' | 'dns' | 'tls' | 'unreachable' | 'other';

/** The API server could not be talked to at all. */
export class TransportError extends FlannelError {
  override readonly name = 'TransportError';
  readonly failure: TransportFailure;

  constructor(what: {
    request: string;
    failure: TransportFailure;
    message: string;
    cure?: string | undefined;
  }) {
    super('api', `${what.request}: ${what.message}`, { ...(what.cure !== undefined && { cure: what.cure }) });
    this.failure = what.failure;
  }

  override get kind(): string {
    return this.failure;
  }
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  410: 'Gone',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

const CURES: Readonly<Record<number, string>> = {
  401: 'check that the token or client certificate belongs to this cluster and has not expired',
  403: 'grant the agent what its manifest grants: pods get; nodes get, list, watch; nodes/status patch',
};

/** A redirect would carry the token to whoever it names. */
const REDIRECT = {
  text: 'redirect, not followed',
  cure: 'give the address of the API server itself: it does not redirect, but a proxy or a login page does',
};

/** The object is not there (404). */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** We may not do that, and asking again will not change it soon (401, 403). */
export function isRefused(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || error.status === 403);
}

/** The resourceVersion or continue token is too old: list again. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone')
  );
}

/** How long the server asked us to stay away, ms. */
export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof ApiError ? error.retryAfter : undefined;
}

const TLS: Readonly<Record<string, readonly [string, string]>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: ['its certificate is self-signed', 'give the CA that signed it'],
  SELF_SIGNED_CERT_IN_CHAIN: ['its certificate is signed by a CA we do not trust', 'give the right CA'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['its certificate is signed by a CA we do not trust', 'give the right CA'],
  UNABLE_TO_GET_ISSUER_CERT: ['its certificate is signed by a CA we do not trust', 'give the right CA'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [
    'its certificate is signed by a CA we do not trust',
    'give the right CA',
  ],
  CERT_SIGNATURE_FAILURE: ['its certificate is not signed by our CA', 'give the right CA'],
  CERT_HAS_EXPIRED: [
    'its certificate has expired',
    'renew the certificate, or set the clock of this machine',
  ],
  CERT_NOT_YET_VALID: ['its certificate is not valid yet', 'set the clock of this machine'],
  CERT_REVOKED: ['its certificate is revoked', 'renew the certificate'],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'its certificate does not name this address',
    'use a name that the certificate lists, or tls-server-name in the kubeconfig',
  ],
  EPROTO: [
    'the TLS handshake failed',
    'check that the address speaks https and that it takes our client certificate',
  ],
};

const WHO = 'check address and port, and what stands between here and the API server';

const PLAIN: Readonly<Record<string, readonly [TransportFailure, string, string]>> = {
  ECONNREFUSED: ['refused', 'connection refused', 'check address and port, and that the API server runs'],
  ConnectionRefused: [
    'refused',
    'connection refused',
    'check address and port, and that the API server runs',
  ],
  ENOTFOUND: ['dns', 'no such host name', 'check the server name and the DNS of this machine'],
  EAI_AGAIN: ['dns', 'the host name cannot be looked up now', 'check the DNS of this machine'],
  ECONNRESET: ['reset', 'the connection was cut', 'check the API server and what stands between'],
  ConnectionClosed: ['reset', 'the connection was cut', 'check the API server and what stands between'],
  EPIPE: ['reset', 'the connection was cut', 'check the API server and what stands between'],
  EHOSTUNREACH: ['unreachable', 'no route to the API server', 'check routes and firewall of this machine'],
  ENETUNREACH: ['unreachable', 'no route to the API server', 'check routes and firewall of this machine'],
  Malformed_HTTP_Response: ['other', 'what answers there does not speak HTTP', WHO],
  UnrequestedUpgrade: ['other', 'what answers there does not speak HTTP', WHO],
  ZlibError: ['other', 'the answer is not compressed as it says', WHO],
  BrotliDecompressionError: ['other', 'the answer is not compressed as it says', WHO],
  ZstdDecompressionError: ['other', 'the answer is not compressed as it says', WHO],
  ETIMEDOUT: ['timeout', 'no answer in time', 'check routes and firewall between here and the API server'],
};

/** Turns what `fetch` threw into a TransportError; the text holds neither headers nor credentials. */
export function transportError(request: string, error: unknown, server = 'the API server'): FlannelError {
  if (error instanceof FlannelError) return error;
  const named = (cure: string | undefined) => cure?.replace('the API server', server);
  if (error instanceof Error && error.name === 'TimeoutError') {
    const [failure, message, cure] = PLAIN.ETIMEDOUT ?? ['timeout', 'no answer in time', undefined];
    return new TransportError({ request, failure, message, cure: named(cure) });
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const tls = TLS[code];
  if (tls !== undefined) {
    return new TransportError({
      request,
      failure: 'tls',
      message: `x509: ${tls[0]} (${code})`,
      cure: tls[1],
    });
  }
  const plain = PLAIN[code];
  if (plain !== undefined) {
    return new TransportError({ request, failure: plain[0], message: plain[1], cure: named(plain[2]) });
  }
  // Bun says this, too, of PEM text it cannot read.
  const cure = code === 'FailedToOpenSocket' ? 'check the address, and CA, certificate and key' : undefined;
  const message = code === '' ? 'the request failed' : `the request failed (${code})`;
  return new TransportError({ request, failure: 'other', message, cure });
}

/** True for what `fetch` and its body throw when the connection fails (they carry a code as text); no bug of ours. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof FlannelError) return false;
  return error.name === 'TimeoutError' || ('code' in error && typeof error.code === 'string');
}
