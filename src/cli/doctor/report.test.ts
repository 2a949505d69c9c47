import { expect, test } from 'bun:test';
import { FlannelError } from '#base/errors.ts';
import { createScreen } from '#lab/report/screen.ts';
import { CHECKS } from './checks.ts';
import { examine, worst, type Examined } from './examine.ts';
import { Facts } from './facts/facts.ts';
import { systemAccess } from './facts/host-access.ts';
import { doctorOptions, WORDS } from './facts/options.ts';
import { error, info, NotAsked, ok, warning, type Check } from './finding.ts';
import { reportJson, reportText } from './report.ts';

const trouble = { what: 'x is 0', why: 'nothing works', cure: 'set x' };

function facts(): Facts {
  const options = doctorOptions(WORDS);
  return new Facts({ options, env: {}, host: systemAccess({}), signal: new AbortController().signal });
}

function check(id: string, run: Check['run']): Check {
  return { id, title: `title of ${id}`, run };
}

function text(examined: readonly Examined[], all = false): string {
  let written = '';
  reportText(examined, createScreen({ write: (more) => void (written += more), colours: false }), all);
  return written;
}

test('ids and titles are there and differ', () => {
  expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length);
  for (const { id, title } of CHECKS) {
    expect(id).toMatch(/^[a-z][a-z-]{2,15}$/);
    expect(title).not.toMatch(/\.$|^[A-Z][a-z]/);
  }
});

test('a check that fails keeps no other from being made', async () => {
  using known = facts();
  const examined = await examine(
    [
      check('sound', () => [ok('all of it')]),
      check('skipped', () => {
        throw new NotAsked('no reason to');
      }),
      check('refused', () => {
        throw new FlannelError('kernel', 'read x: refused', { cure: 'be root' });
      }),
      check('faulty', () => Promise.reject(new TypeError('undefined is not a function'))),
    ],
    known,
  );
  expect(examined.map(({ findings, skipped }) => [findings[0]?.severity, skipped])).toEqual([
    ['ok', undefined],
    [undefined, 'no reason to'],
    ['warning', undefined],
    ['error', undefined],
  ]);
  expect(text(examined)).toContain('cannot be checked: read x: refused');
  expect(text(examined)).toContain('be root');
  expect(text(examined)).toContain('report this fault of the program');
});

test('those that wait, wait together; who has not ended is known', async () => {
  using known = facts();
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen: string[] = [];
  const done = examine(
    [
      check('slow', async () => {
        await promise;
        return [];
      }),
      check('quick', () => [ok('')]),
    ],
    known,
    (pending) => {
      seen.push(pending.join());
      if (pending.join() === 'slow') resolve();
    },
  );
  await done;
  expect(seen).toEqual(['slow,quick', 'slow', '']);
});

test('people see what is wrong, why and what mends it; with --all every check', () => {
  const examined: Examined[] = [
    { id: 'a', title: 'a', findings: [ok('fine')] },
    { id: 'b', title: 'b', findings: [error(trouble)] },
    { id: 'c', title: 'c', findings: [], skipped: 'no agent runs' },
    { id: 'd', title: 'd', findings: [info({ ...trouble, what: 'a name\u001b[2J' })] },
  ];
  expect(text(examined)).toBe(
    [
      'error    b                x is 0',
      '         why              nothing works',
      '         mend             set x',
      'info     d                a name\\u001b[2J',
      '         why              nothing works',
      '         mend             set x',
      '3 checks: 1 error, 1 worth knowing (1 not asked)',
      '',
    ].join('\n'),
  );
  expect(text(examined, true)).toContain('ok       a                fine\n');
  expect(text(examined, true)).toContain('skipped  c                no agent runs\n');
  expect(JSON.parse(reportJson(examined))).toMatchObject({ schema: 1, severity: 'error' });
});

test('the worst counts', () => {
  const of = (...findings: Examined['findings']) => worst([{ id: 'a', title: 'a', findings }]);
  expect([of(), of(ok('')), of(ok(''), info(trouble))]).toEqual(['ok', 'ok', 'info']);
  expect([of(warning(trouble), info(trouble)), of(warning(trouble), error(trouble))]).toEqual([
    'warning',
    'error',
  ]);
});
