import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '#base/version.ts';
import { HELP } from '#cli/main.ts';
import { FLAGS } from '#daemon/flag-table.ts';
import { manualPages } from '../../scripts/package/manual.ts';
import { formatted } from '../../scripts/package/roff.ts';

const pages = manualPages({ version: VERSION, time: 1_700_000_000 });

/** As a reader sees it, words not broken; throws with what the formatter warns of. */
function shown(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'flannel-man-'));
  try {
    const path = join(folder, 'page.8');
    writeFileSync(path, source);
    const done = Bun.spawnSync(['man', '--warnings', '--no-hyphenation', '--no-justification', '-l', path], {
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', MANWIDTH: '1000' },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    expect([done.exitCode, done.stderr.toString()]).toEqual([0, '']);
    return done.stdout.toString();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const words = (text: string) => text.match(/[\p{L}\p{N}][\p{L}\p{N}./_:=<>|-]*/gu) ?? [];

test('there is a page for the agent and one for the tool', () => {
  expect([...pages.keys()]).toEqual(['flanneld.8', 'flannelctl.8']);
});

describe.each([...pages])('%s', (name, source) => {
  test('is a page of its section that man takes without a warning, and whatis finds', () => {
    const text = shown(source);
    expect(text).toMatch(new RegExp(`^${name.replace('.8', '').toUpperCase()}\\(8\\)`));
    expect(text).toMatch(new RegExp(`^NAME\n +${name.replace('.8', '')} - \\w`, 'm'));
    expect(text).toContain(`flannel ${VERSION}`);
    expect(source).not.toMatch(/\]\(|`|\.md/);
  });
});

test('the page of the agent has every flag with its meaning, and the files of the node', () => {
  const text = shown(pages.get('flanneld.8') ?? '');
  for (const [flag, { help }] of Object.entries(FLAGS)) {
    expect(text).toMatch(new RegExp(`^ {7}--${flag}(?: <|$| {2})`, 'm'));
    expect(text).toContain(help.replaceAll(/ +/g, ' '));
  }
  expect(text).toContain('/run/flannel/subnet.env\n');
});

test('the page of the tool has every command, with all that its help says', () => {
  const text = shown(pages.get('flannelctl.8') ?? '');
  const commands = [...HELP.matchAll(/^ {2}([a-z][a-z-]+)/gm)].map(([, name = '']) => name);
  const alone = ['version', 'help'];
  const sections = [...text.matchAll(/^([A-Z][A-Z-]+)$/gm)].map(([, title = '']) => title.toLowerCase());
  expect(sections).toEqual(expect.arrayContaining(commands.filter((name) => !alone.includes(name))));
  for (const name of commands.filter((one) => !alone.includes(one))) {
    const help = Bun.spawnSync(
      [new URL('../../dist/bin/flannelctl', import.meta.url).pathname, name, '--help'],
      {},
    );
    const there = new Set(words(text));
    expect([name, words(help.stdout.toString()).filter((word) => !there.has(word))]).toEqual([
      name,
      ['usage:'],
    ]);
  }
});

test('text of a help cannot become a request of the formatter', () => {
  const source = formatted("usage: x\n\n.so /etc/passwd\n'br\n  --flag <a>  \\fB and .B\n");
  expect(source).not.toMatch(/^[.'](?!PP|TP|B |SS|br$)/m);
  const text = shown(`.TH X 8\n.SH NAME\nx \\- y\n${source}`);
  for (const part of ['.so /etc/passwd', "'br", '--flag <a>', '\\fB and .B']) expect(text).toContain(part);
});
