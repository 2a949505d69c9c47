import { Refusal } from './refusal.ts';

/** Longest body that is read, bytes. */
export const BODY_LIMIT = 16 << 10;

/** The JSON of a request, undefined when there is none. Throws Refusal for what is too long or no JSON. */
export async function readBody(request: Request): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw new Refusal(413, { error: 'the body is too long' });
    chunks.push(chunk);
  }
  if (length === 0) return undefined;
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new Refusal(415, { error: 'the body is to be application/json' });
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw new Refusal(400, { error: 'the body is no JSON' });
  }
}
