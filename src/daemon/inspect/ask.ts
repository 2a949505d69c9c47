import { existsSync } from 'node:fs';
import { FlannelError } from '#base/errors.ts';

/** How long an agent that works may take, ms. */
const PATIENCE = 3000;
/** Of an answer, characters: 20,000 peers are a tenth of it. */
const LIMIT = 128 << 20;

/** The agent cannot be asked; the message says why. */
export class NoAgent extends FlannelError {
  override readonly name = 'NoAgent';
  /** It runs and does not answer. */
  readonly hangs: boolean;

  constructor(why: string, hangs = false) {
    super('operator', why);
    this.hangs = hangs;
  }
}

/** What can be asked; see `InspectSocket`. */
export type Question = '/status' | '/plan';

/** Asks the agent of this node. Throws NoAgent when nobody answers. */
export async function askAgent(socket: string, question: Question, patience = PATIENCE): Promise<string> {
  if (!existsSync(socket)) throw new NoAgent(`no agent runs (${socket} is not there)`);
  const signal = AbortSignal.timeout(patience);
  let response: Response;
  let text: string;
  try {
    response = await fetch(`http://flanneld${question}`, { unix: socket, signal });
    text = await readBounded(response);
  } catch (error) {
    if (error instanceof FlannelError) throw error;
    if (signal.aborted) throw new NoAgent(`the agent hangs: no answer within ${patience / 1000} s`, true);
    throw new NoAgent(`no agent runs (nobody listens at ${socket})`);
  }
  if (response.status === 503) throw new NoAgent(text.trim().slice(0, 200));
  if (response.status !== 200)
    throw new FlannelError('operator', `the agent answers ${response.status} to GET ${question}`, {
      cure: 'Use the flannelctl of the same version as the agent',
    });
  return text;
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > LIMIT)
      throw new FlannelError('bug', `the agent's answer is longer than ${LIMIT} characters`);
  }
  return text;
}
