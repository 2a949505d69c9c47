import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';
import { notifySystemd } from './notify.ts';

/** A datagram socket at `path`, as systemd holds one; `@name` is abstract. */
function listen(path: string): Socket {
  const socket = Socket.open(AF.UNIX, SOCK.DGRAM, 0);
  const name = new TextEncoder().encode(path);
  const address = new Uint8Array(2 + name.length);
  address[0] = AF.UNIX;
  address.set(name, 2);
  if (path.startsWith('@')) address[2] = 0;
  socket.bind(address);
  return socket;
}

function received(socket: Socket): string {
  const buffer = new Uint8Array(256);
  const result = socket.receive(buffer, MSG.DONTWAIT);
  return 'errno' in result
    ? `errno ${result.errno}`
    : new TextDecoder().decode(buffer.subarray(0, result.length));
}

test('the state reaches a socket in the file system and an abstract one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'notify-'));
  try {
    for (const path of [join(folder, 'notify'), `@flannel-notify-${process.pid}`]) {
      using socket = listen(path);
      notifySystemd(path, 'READY=1');
      expect(received(socket)).toBe('READY=1');
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('without a socket, or with one that is none, nothing happens', () => {
  for (const path of [undefined, '', 'relative', '/nowhere/at/all', `/${'x'.repeat(300)}`, '/tmp']) {
    expect(() => notifySystemd(path, 'READY=1')).not.toThrow();
  }
});
