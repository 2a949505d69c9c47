import { writeSync } from 'node:fs';
import { cureOf, describe, FlannelError } from '#base/errors.ts';

/** EX_USAGE (`sysexits.h`): the question could not be answered, which is not to be taken for an answer. */
const UNANSWERED = 64;

/** For commands whose exit codes are answers: what keeps one from being found is told, and is none of them. */
export async function orUnanswered(command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (error) {
    if (!(error instanceof FlannelError) || error.actor === 'bug') throw error;
    const cure = cureOf(error);
    writeSync(2, `flannelctl: ${describe(error)}\n${cure === undefined ? '' : `  ${cure}\n`}`);
    return UNANSWERED;
  }
}
