import { describe, expect, test } from 'bun:test';
import { constants } from 'node:os';
import {
  ConfigError,
  cureOf,
  DecodeError,
  describe as describeError,
  ERRNO,
  ErrnoError,
  errnoName,
  FlannelError,
  hasErrno,
  isExists,
  isNotFound,
} from './errors.ts';

describe('errno', () => {
  test('every number is that of this system', () => {
    const system: Readonly<Record<string, number>> = constants.errno;
    // `os.constants` does not list them all.
    const known = Object.entries(ERRNO).filter(([name]) => name in system);
    expect(known.length).toBeGreaterThan(30);
    for (const [name, value] of known) expect(`${name} ${system[name]}`).toBe(`${name} ${value}`);
  });

  test('names', () => {
    expect(errnoName(2)).toBe('ENOENT');
    expect(errnoName(12345)).toBe('errno 12345');
  });

  test('the message: call, words, name, note', () => {
    expect(new ErrnoError('open /x', 2).message).toBe('open /x: no such file or object (ENOENT)');
    expect(new ErrnoError('bind', 22, 'odd').message).toBe('bind: invalid argument (EINVAL): odd');
    expect(new ErrnoError('bind', 18).message).toBe('bind: EXDEV');
    expect(new ErrnoError('bind', 9999).message).toBe('bind: errno 9999');
  });

  test('predicates: ours, those of the runtime, and neither', () => {
    expect(hasErrno(new ErrnoError('x', 17), 'EEXIST')).toBe(true);
    expect(hasErrno(new ErrnoError('x', 17), 'ENOENT')).toBe(false);
    expect(hasErrno(Object.assign(new Error('no file'), { code: 'ENOENT' }), 'ENOENT')).toBe(true);
    expect(hasErrno({ code: 'ENOENT' }, 'ENOENT')).toBe(false);
    expect(hasErrno(undefined, 'ENOENT')).toBe(false);
    expect(isExists(new ErrnoError('x', 17))).toBe(true);
    expect([2, 3, 19, 99].every((errno) => isNotFound(new ErrnoError('x', errno)))).toBe(true);
    expect([1, 17, 22].some((errno) => isNotFound(new ErrnoError('x', errno)))).toBe(false);
  });
});

describe('the family', () => {
  test('who has to act', () => {
    expect(new ConfigError('net-conf.json: Backend.VNI', 'is not a number')).toMatchObject({
      actor: 'operator',
      name: 'ConfigError',
      message: 'net-conf.json: Backend.VNI: is not a number',
    });
    expect(new DecodeError('link', 12, 'cut')).toMatchObject({
      actor: 'bug',
      message: 'link at byte 12: cut',
    });
    expect(new ErrnoError('x', 1)).toMatchObject({ actor: 'kernel', name: 'ErrnoError' });
    expect(new ErrnoError('x', 1)).toBeInstanceOf(FlannelError);
  });

  test('one line with the causes, without a stack', () => {
    const error = new FlannelError('api', 'no lease', {
      cause: new Error('timeout', { cause: 'socket closed' }),
    });
    expect(describeError(error)).toBe('no lease: timeout: socket closed');
    expect(describeError('text')).toBe('text');
    expect(describeError(undefined)).toBe('undefined');
  });

  test('the outermost cure counts', () => {
    const inner = new FlannelError('operator', 'inner', { cure: 'mend it' });
    expect(cureOf(new FlannelError('api', 'outer', { cause: inner }))).toBe('mend it');
    expect(cureOf(new FlannelError('api', 'outer', { cause: inner, cure: 'wait' }))).toBe('wait');
    expect(cureOf(new Error('outer', { cause: inner }))).toBe('mend it');
    expect(cureOf(new Error('none'))).toBeUndefined();
    expect(cureOf('text')).toBeUndefined();
  });
});
