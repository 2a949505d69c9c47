import { readFileSync } from 'node:fs';

/** A recording of the original under test/fixtures/goldens, without the line that names its command. */
export function golden(path: string): string {
  const text = readFileSync(`${import.meta.dir}/../fixtures/goldens/${path}`, 'utf8');
  return text.replace(/^\$ .*\n/, '');
}

/** iptables-save's text without its comments, which hold the time. */
export function withoutComments(save: string): string {
  return save.replaceAll(/^#.*\n/gm, '');
}
