import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NotifySocket } from './notify-socket.ts';
import { notifySystemd } from './notify.ts';

test('the state reaches a socket in the file system and an abstract one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'notify-'));
  try {
    for (const path of [join(folder, 'notify'), `@flannel-notify-${process.pid}`]) {
      using socket = new NotifySocket(path);
      notifySystemd(path, 'READY=1');
      expect(socket.received()).toEqual(['READY=1']);
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
