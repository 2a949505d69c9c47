import { afterEach, beforeEach, expect, test } from 'bun:test';
import { recordedLog } from './fixtures.ts';
import { NotifySocket } from './notify-socket.ts';
import { Systemd, type SystemdOptions } from './systemd.ts';

let socket: NotifySocket;
let count = 0;

beforeEach(() => {
  count += 1;
  socket = new NotifySocket(`@flannel-systemd-${process.pid}-${count}`);
});

afterEach(() => socket[Symbol.dispose]());

const received = () => socket.received();

function systemd(
  env: Readonly<Record<string, string | undefined>> = {},
  more: Partial<SystemdOptions> = {},
): Systemd {
  const { log } = recordedLog();
  return new Systemd({
    env: { NOTIFY_SOCKET: socket.path, ...env },
    pid: 77,
    isAlive: () => true,
    log,
    ...more,
  });
}

const EXTEND = 'EXTEND_TIMEOUT_USEC=60000000';

test('while it starts, the time is extended again and again; READY ends that', async () => {
  using notifier = systemd({}, { extendEvery: 20 });
  expect(received()).toEqual([EXTEND]);
  const more: string[] = [];
  while (more.length < 2) {
    await Bun.sleep(20);
    more.push(...received());
  }
  expect(new Set(more)).toEqual(new Set([EXTEND]));
  notifier.ready();
  expect(received()).toEqual(['READY=1']);
  await Bun.sleep(60);
  expect(received()).toEqual([]);
});

test('each status once, on one line', () => {
  using notifier = systemd();
  notifier.status('waiting for the API server');
  notifier.status('waiting for the API server');
  notifier.status('ready\nMAINPID=1');
  notifier.stopping();
  expect(received()).toEqual([
    EXTEND,
    'STATUS=waiting for the API server',
    'STATUS=ready MAINPID=1',
    'STOPPING=1',
  ]);
});

test('the watchdog is fed at half of its period, and not by a reconciler that is stuck', async () => {
  const { log, lines } = recordedLog();
  let alive = true;
  using _notifier = systemd({ WATCHDOG_USEC: '100000', WATCHDOG_PID: '77' }, { isAlive: () => alive, log });
  const start = performance.now();
  let fed = 0;
  while (fed < 3) {
    await Bun.sleep(10);
    fed += received().filter((text) => text === 'WATCHDOG=1').length;
  }
  // One may be sent at the beginning.
  expect(performance.now() - start).toBeGreaterThan(2 * 50 - 10);
  alive = false;
  await Bun.sleep(200);
  expect(received()).toEqual([]);
  expect(lines).toEqual(['ERROR the reconciler is stuck; systemd is not told that all is well']);
  alive = true;
  while (!received().includes('WATCHDOG=1')) await Bun.sleep(10);
});

test.each([
  [{ WATCHDOG_USEC: '1000', WATCHDOG_PID: '78' }],
  [{ WATCHDOG_USEC: '' }],
  [{ WATCHDOG_USEC: '0' }],
  [{ WATCHDOG_USEC: '-1000' }],
  [{ WATCHDOG_USEC: '1e3' }],
  [{ WATCHDOG_PID: '77' }],
])('no watchdog with %j', async (env) => {
  using _notifier = systemd(env);
  await Bun.sleep(40);
  expect(received()).toEqual([EXTEND]);
});

test('without a socket nothing is sent and nothing runs', () => {
  using notifier = new Systemd({
    env: { WATCHDOG_USEC: '1000' },
    pid: 77,
    isAlive: () => true,
    log: recordedLog().log,
  });
  notifier.ready();
  notifier.status('x');
  notifier.stopping();
  expect(received()).toEqual([]);
});
