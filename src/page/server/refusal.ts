import { FlannelError } from '#base/errors.ts';
import type { Problem } from '../model.ts';
import { strictly } from './headers.ts';

/** An answer that is no success, thrown from anywhere below the handler. */
export class Refusal extends FlannelError {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, { error, cure }: Problem, headers: Readonly<Record<string, string>> = {}) {
    super('operator', error, cure === undefined ? {} : { cure });
    this.status = status;
    this.headers = headers;
  }
}

/** JSON that nobody keeps. */
export const DOCUMENT: Readonly<Record<string, string>> = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
};

/** The `Problem` for what is wrong, in the words of the error. */
export function refuse(error: FlannelError): Response {
  const { message, cure } = error;
  const [status, headers] = error instanceof Refusal ? [error.status, error.headers] : [502, {}];
  const problem: Problem = { error: message, ...(cure === undefined ? {} : { cure }) };
  return strictly(`${JSON.stringify(problem)}\n`, { status, headers: { ...DOCUMENT, ...headers } });
}
