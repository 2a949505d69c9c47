import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { FlannelError } from './errors.ts';
import { createLogger, silentLogger, type Logger, type LogOptions } from './log.ts';

function recorder(options: Partial<LogOptions> = {}): { logger: Logger<string>; lines: string[] } {
  const lines: string[] = [];
  const logger = createLogger<string>({
    level: 'debug',
    format: 'text',
    write: (line) => lines.push(line),
    now: () => new Date('2026-01-02T03:04:05.678Z'),
    ...options,
  });
  return { logger, lines };
}

/** A value with a text form of its own, as Ip and Cidr are. */
const address = { toJSON: () => '10.244.1.0/24' };

const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;
const HOSTILE = '\r\n\u0000\u001b[2J\u007f\u009b31m\u2028\u202e';

describe('text', () => {
  test('time, level, message, fields', () => {
    const { logger, lines } = recorder();
    logger.info('lease acquired', { subnet: address, link: 7, up: true });
    logger.warn('retrying', { error: new FlannelError('api', 'server gone') });
    expect(lines).toEqual([
      '2026-01-02T03:04:05.678Z INFO  lease acquired subnet=10.244.1.0/24 link=7 up=true',
      '2026-01-02T03:04:05.678Z WARN  retrying error="server gone"',
    ]);
  });

  test.each([
    ['plain', 'a=plain'],
    ['two words', 'a="two words"'],
    ['', 'a=""'],
    ['x=y', 'a="x=y"'],
    ['"quoted"', String.raw`a="\"quoted\""`],
    ['line\nbreak', String.raw`a="line\nbreak"`],
    ['\u001b[31mred', String.raw`a="\u001b[31mred"`],
    [{ b: [1, 'x\n'] }, String.raw`a={"b":[1,"x\n"]}`],
    [null, 'a=null'],
    [12n, 'a=12'],
    [{ toJSON: () => 'two words' }, 'a="two words"'],
  ])('the value %p', (value, expected) => {
    const { logger, lines } = recorder();
    logger.info('m', { a: value });
    expect(lines[0]?.slice('2026-01-02T03:04:05.678Z INFO  m '.length)).toBe(expected);
  });

  test('undefined fields are left out', () => {
    const { logger, lines } = recorder();
    logger.info('m', { a: undefined, b: 1 });
    expect(lines[0]).toEndWith('INFO  m b=1');
  });

  test('nothing that is logged can start a line of its own or move the cursor', () => {
    const { logger, lines } = recorder();
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (message, value) => {
        lines.length = 0;
        logger.error(message, { value, error: new Error(value), nested: { value } });
        expect(lines.length).toBe(1);
        expect(lines[0]).not.toMatch(CONTROL);
      }),
    );
    for (const format of ['text', 'json'] as const) {
      const { logger, lines } = recorder({ format });
      logger.info(`a${HOSTILE}z`, { value: HOSTILE, list: [HOSTILE], error: new Error(HOSTILE) });
      expect(lines[0]).not.toMatch(CONTROL);
    }
  });
});

describe('JSON', () => {
  test('one object per line, errors as their message', () => {
    const { logger, lines } = recorder({ format: 'json' });
    logger.error('broken\nline', { error: new Error('why'), subnet: address, missing: undefined });
    expect(lines.length).toBe(1);
    expect(lines[0]).not.toContain('\n');
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      time: '2026-01-02T03:04:05.678Z',
      level: 'error',
      msg: 'broken\nline',
      error: 'why',
      subnet: '10.244.1.0/24',
    });
  });
});

describe('values that JSON does not know', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const odd = { big: { n: 1n }, cycle, nothing: { toJSON: () => undefined }, nested: [new Error('inner')] };

  test('do not make the logger throw', () => {
    const text = recorder();
    text.logger.info('m', odd);
    expect(text.lines[0]).toEndWith('m big={"n":"1"} cycle="[object Object]" nothing=null nested=["inner"]');
    const json = recorder({ format: 'json' });
    json.logger.info('m', { ...odd, n: 1n });
    expect(JSON.parse(json.lines[0] ?? '')).toMatchObject({
      big: { n: '1' },
      cycle: '[object Object]',
      nothing: null,
      nested: ['inner'],
      n: '1',
    });
  });

  test('control characters in JSON are escaped and come back', () => {
    const { logger, lines } = recorder({ format: 'json' });
    logger.info('m', { a: HOSTILE });
    expect(JSON.parse(lines[0] ?? '')).toHaveProperty('a', HOSTILE);
  });
});

describe('both', () => {
  test.each([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
  ] as const)('level %s lets %d of four through', (level, count) => {
    const { logger, lines } = recorder({ level });
    logger.debug('d');
    logger.info('i');
    logger.warn('w');
    logger.error('e');
    expect(lines.length).toBe(count);
  });

  test('bound fields come first and can be overridden', () => {
    const { logger, lines } = recorder();
    const child = logger.with({ node: 'a', peer: 'x' }).with({ peer: 'b' });
    child.info('m', { more: 1 });
    child.info('m', { node: 'c' });
    logger.info('m');
    expect(lines.map((line) => line.slice(33))).toEqual(['node=a peer=b more=1', 'node=c peer=b', '']);
  });

  test('the silent logger is one, and stays silent', () => {
    expect(silentLogger.with({ count: 1 })).toBe(silentLogger);
    expect(silentLogger.error('x')).toBeUndefined();
  });
});
