import { afterEach, beforeEach, expect, test } from 'bun:test';
import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';
import { recordedLog } from './fixtures.ts';
import { Systemd, type SystemdOptions } from './systemd.ts';

let socket: Socket;
let path: string;
let count = 0;

beforeEach(() => {
  count += 1;
  path = `@flannel-systemd-${process.pid}-${count}`;
  socket = Socket.open(AF.UNIX, SOCK.DGRAM, 0);
  const name = new TextEncoder().encode(path);
  const address = new Uint8Array(2 + name.length);
  address[0] = AF.UNIX;
  address.set(name, 2);
  address[2] = 0;
  socket.bind(address);
});

afterEach(() => socket.close());

/** All that has arrived. */
function received(): string[] {
  const list: string[] = [];
  for (;;) {
    const buffer = new Uint8Array(512);
    const result = socket.receive(buffer, MSG.DONTWAIT);
    if ('errno' in result) return list;
    list.push(new TextDecoder().decode(buffer.subarray(0, result.length)));
  }
}

function systemd(
  env: Readonly<Record<string, string | undefined>> = {},
  more: Partial<SystemdOptions> = {},
): Systemd {
  const { log } = recordedLog();
  return new Systemd({ env: { NOTIFY_SOCKET: path, ...env }, pid: 77, isAlive: () => true, log, ...more });
}

const EXTEND = 'EXTEND_TIMEOUT_USEC=60000000';

test('while it starts, the time is extended again and again; READY ends that', async () => {
  using notifier = systemd({}, { extendEvery: 20 });
  expect(received()).toEqual([EXTEND]);
  await Bun.sleep(90);
  const more = received();
  expect(more.length).toBeGreaterThanOrEqual(2);
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
  await Bun.sleep(330);
  const fed = received().filter((text) => text === 'WATCHDOG=1').length;
  expect(fed).toBeGreaterThanOrEqual(3);
  expect(fed).toBeLessThanOrEqual(7);
  alive = false;
  await Bun.sleep(200);
  expect(received()).toEqual([]);
  expect(lines).toEqual(['ERROR the reconciler is stuck; systemd is not told that all is well']);
  alive = true;
  await Bun.sleep(120);
  expect(received()).toContain('WATCHDOG=1');
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
