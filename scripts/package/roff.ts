// A help text as the source of a manual page: man(7).

/** Text as it is: no request at the start of a line, no escape, hyphens that can be copied. */
export function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1');
}

/** A paragraph with a tag: a flag, a command, a file. */
export function tagged(tag: string, text: string): string {
  return `.TP\n.B ${escaped(tag)}\n${escaped(text)}\n`;
}

/** Two columns, a flag or a command and what it means, after two blanks at least; between them two blanks or, after a flag's value, one. */
const ITEM = /^ {2,}(--\S+ <[^>]+>|\S+(?: \S+)*?(?= {2}|$))(?: +(\S.*))?$/;

/**
 * Formats a help text of ours: paragraphs, `usage:` lines, headings that end with a colon, lists of two columns whose right one may
 * go on in the next lines. Nothing of it is lost.
 */
export function formatted(help: string): string {
  const parts: string[] = [];
  let fresh = true;
  let explained = false;
  for (const line of help.trimEnd().split('\n')) {
    const [, tag = '', text] = ITEM.exec(line) ?? [];
    if (line === '') fresh = true;
    else if (/^[A-Z]\w+(?: \w+)*:$|^etcd:$/.test(line)) parts.push(`.SS ${line.slice(0, -1)}\n`);
    else if (line.startsWith('usage: ')) parts.push(`.PP\n.B ${escaped(line.slice('usage: '.length))}\n`);
    else if (tag === '') parts.push(`${fresh ? '.PP\n' : ''}${escaped(line)}\n`);
    else if (isContinuation(line, tag)) parts.push(`${explained ? '.br\n' : ''}${escaped(line.trim())}\n`);
    else if (text?.startsWith('--') === true)
      parts.push(`.PP\n${escaped(line.trim().replaceAll(/ {2,}/g, ', '))}\n`);
    else parts.push(tagged(tag, text ?? ''));
    if (line !== '') fresh = false;
    explained = text !== undefined;
  }
  return parts.join('').replaceAll(/\n{2,}/g, '\n');
}

/** The right column begins far to the right; only flags stand there as tags, further in. */
function isContinuation(line: string, tag: string): boolean {
  return /^ {6}/.test(line) && !tag.startsWith('--');
}
