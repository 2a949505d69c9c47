import { FlannelError } from '#base/errors.ts';
import type { JsonObject } from './object.ts';

interface StatusDetails {
  readonly code: number;
  /** `metav1.StatusReason`, e.g. `NotFound`. */
  readonly reason: string;
  readonly details?: JsonObject;
  /** `metadata` of the Status: holds the `continue` token of an expired list. */
  readonly metadata?: JsonObject;
  /** Sent as the header `Retry-After`, s. */
  readonly retryAfterSeconds?: number;
}

/** An answer other than success, as a `v1 Status` body. Source: apimachinery `meta/v1 Status`. */
export class ApiError extends FlannelError {
  override readonly name = 'ApiError';
  readonly code: number;
  readonly reason: string;
  readonly details: JsonObject | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly #metadata: JsonObject;

  constructor(message: string, status: StatusDetails) {
    super('api', message);
    this.code = status.code;
    this.reason = status.reason;
    this.retryAfterSeconds = status.retryAfterSeconds;
    const retry =
      status.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: status.retryAfterSeconds };
    const details = { ...status.details, ...retry };
    this.details = Object.keys(details).length === 0 ? undefined : details;
    this.#metadata = status.metadata ?? {};
  }

  /** The body that a client decodes. */
  toStatus(): JsonObject & { readonly kind: string; readonly apiVersion: string } {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.#metadata,
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    };
  }
}

/** Which object an error is about: the plural name, the API group ('' for core) and the object's name. */
export interface Subject {
  readonly plural: string;
  readonly group: string;
  readonly name: string;
}

function about(subject: Subject): JsonObject {
  return {
    name: subject.name,
    ...(subject.group === '' ? {} : { group: subject.group }),
    kind: subject.plural,
  };
}

function qualified(subject: Subject): string {
  return `${subject.plural}${subject.group === '' ? '' : `.${subject.group}`} ${JSON.stringify(subject.name)}`;
}

export const badRequest = (message: string) => new ApiError(message, { code: 400, reason: 'BadRequest' });

export const unauthorized = () => new ApiError('Unauthorized', { code: 401, reason: 'Unauthorized' });

export const forbidden = (what: string) =>
  new ApiError(`${what} is forbidden: the lab's rules do not allow it`, { code: 403, reason: 'Forbidden' });

export const noSuchResource = () =>
  new ApiError('the server could not find the requested resource', {
    code: 404,
    reason: 'NotFound',
    details: {},
  });

export const notFound = (subject: Subject) =>
  new ApiError(`${qualified(subject)} not found`, { code: 404, reason: 'NotFound', details: about(subject) });

export const methodNotAllowed = () =>
  new ApiError('the server does not allow this method on the requested resource', {
    code: 405,
    reason: 'MethodNotAllowed',
  });

export const notAcceptable = (accepted: string) =>
  new ApiError(`only the following media types are accepted: ${accepted}`, {
    code: 406,
    reason: 'NotAcceptable',
  });

export const alreadyExists = (subject: Subject) =>
  new ApiError(`${qualified(subject)} already exists`, {
    code: 409,
    reason: 'AlreadyExists',
    details: about(subject),
  });

export const conflict = (subject: Subject, why: string) =>
  new ApiError(`Operation cannot be fulfilled on ${qualified(subject)}: ${why}`, {
    code: 409,
    reason: 'Conflict',
    details: about(subject),
  });

/** The wording that client-go users know from `retry.RetryOnConflict`. */
export const modified = (subject: Subject) =>
  conflict(
    subject,
    'the object has been modified; please apply your changes to the latest version and try again',
  );

/** 410: the history no longer reaches back to what was asked. `continueToken` resumes without consistency. */
export const expired = (message: string, continueToken?: string) =>
  new ApiError(message, {
    code: 410,
    reason: 'Expired',
    ...(continueToken === undefined ? {} : { metadata: { continue: continueToken } }),
  });

export const tooLarge = (limit: number) =>
  new ApiError(`Request entity too large: limit is ${limit}`, { code: 413, reason: 'RequestEntityTooLarge' });

export const unsupportedMediaType = (accepted: string) =>
  new ApiError(
    `the body of the request was in an unknown format - accepted media types include: ${accepted}`,
    {
      code: 415,
      reason: 'UnsupportedMediaType',
    },
  );

/** 422 with one cause per field; `field` is the path as kubectl prints it. */
export function invalid(subject: Subject & { kind: string }, field: string, message: string): ApiError {
  const text = `${subject.kind} ${JSON.stringify(subject.name)} is invalid: ${field}: ${message}`;
  const causes = [{ reason: 'FieldValueInvalid', message, field }];
  const group = subject.group === '' ? {} : { group: subject.group };
  return new ApiError(text, {
    code: 422,
    reason: 'Invalid',
    details: { name: subject.name, ...group, kind: subject.kind, causes },
  });
}

export const unprocessable = (message: string) => new ApiError(message, { code: 422, reason: 'Invalid' });

/** A revision that this server has not reached yet. */
export const tooLargeVersion = (asked: number, current: number) =>
  new ApiError(`Timeout: Too large resource version: ${asked}, current: ${current}`, {
    code: 504,
    reason: 'Timeout',
    details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }] },
    retryAfterSeconds: 1,
  });

const REASONS: Partial<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

const MESSAGES: Partial<Record<number, string>> = {
  401: 'Unauthorized',
  429: 'Too many requests, please try again later.',
  503: 'the server is currently unable to handle the request',
};

/** A failure by HTTP code, for injected faults and unexpected errors. */
export function failure(
  code: number,
  options: { message?: string; retryAfterSeconds?: number } = {},
): ApiError {
  return new ApiError(
    options.message ??
      MESSAGES[code] ??
      `an error on the server (${code}) has prevented the request from succeeding`,
    {
      code,
      reason: REASONS[code] ?? 'Unknown',
      ...(options.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: options.retryAfterSeconds }),
    },
  );
}
