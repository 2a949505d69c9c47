// A program: calls every function of the C library that this one uses, through `#ffi`, and prints what came of it, without anything
// that differs from run to run. Bun runs it as it is, Node its bundle: both must print the same.
import { readI32 } from '#base/bytes.ts';
import { describe } from '#base/errors.ts';
import * as file from '#ffi/file-system.ts';
import { lockExclusive, tryLockExclusive, unlock } from '#ffi/file.ts';
import { errno, libc, rareLibc } from '#ffi/libc.ts';
import { Netns, withNetns } from '#ffi/netns.ts';
import { packSockaddr } from '#ffi/sockaddr.ts';
import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';
import { Ip } from '#net/ip.ts';

/** `linux/sockios.h`, `linux/if.h`. */
const SIOCGIFINDEX = 0x8933;
const IFNAMSIZ = 16;

/** `folder`: an empty one. `rounds`: how often memory and errno are tried, fewer under emulation. */
const [, , folder = '', rounds = '1000'] = process.argv;
const lines: string[] = [];

/** What a call came to, an error by its words; the folder's name left out. */
function note(what: string, call: () => unknown): void {
  let text: string;
  try {
    text =
      JSON.stringify(call(), (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)) ??
      'undefined';
  } catch (error) {
    text = `throws ${describe(error)}`;
  }
  lines.push(`${what}: ${text}`.replaceAll(folder, '<folder>'));
}

function files(): void {
  const path = `${folder}/a`;
  note('write', () => file.writeText(path, 'grüße\n'.repeat(3000), { mode: 0o640 }));
  note('read', () => file.readText(path).length);
  note('overwrite', () => file.overwriteText(path, 'short', 0o600));
  note('read again', () => file.readText(path));
  note('nothing there', () => file.readText(`${folder}/b`));
  note('nothing there, tried', () => file.tryReadText(`${folder}/b`) === undefined);
  note('a folder', () => file.readText(folder));
  note('NUL', () => file.readText('a\0b'));
  note('link', () => file.linkFile(path, `${folder}/l`));
  note('link again', () => file.linkFile(path, `${folder}/l`));
  note('one file', () => file.identify(path)?.id === file.identify(`${folder}/l`)?.id);
  note('two files', () => file.identify(path)?.id === file.identify(folder)?.id);
  note('kinds', () =>
    [path, folder, '/dev/null', `${folder}/none`].map((name) => file.identify(name)?.isFile),
  );
  note('rename', () => file.renameFile(`${folder}/l`, `${folder}/r`));
  note('make', () => file.makeDirectories(`${folder}/x/y/z`, 0o755));
  note('make below a file', () => file.makeDirectories(`${path}/x`, 0o755));
  for (let i = 0; i < 700; i += 1)
    file.writeText(`${folder}/x/${'n'.repeat(i % 60)}${i}`, '', { mode: 0o600 });
  note('folder', () => file.readDirectory(folder).toSorted());
  note('large folder', () => file.readDirectory(`${folder}/x`).toSorted().join(' '));
  note('access', () => [path, `${folder}/none`].map((name) => file.isAccessible(name, file.ACCESS.WRITE)));
  note('remove', () => [file.removeFile(path), file.removeFile(path)]);
  note('remove a folder', () => file.removeFile(`${folder}/x`) satisfies boolean);
}

function locks(): void {
  const [one, two] = [1, 2].map(() => file.openFile(`${folder}/r`, file.O.RDONLY)) as [number, number];
  lockExclusive(one);
  note('locked by another', () => tryLockExclusive(two));
  unlock(one);
  note('free', () => tryLockExclusive(two));
  file.closeFile(one);
  file.closeFile(two);
  note('closed', () => unlock(one));
}

function sockets(): void {
  using a = Socket.open(AF.INET, SOCK.DGRAM, 0);
  using b = Socket.open(AF.INET, SOCK.DGRAM, 0);
  for (const socket of [a, b]) socket.bind(packSockaddr(Ip.parse('127.0.0.1')));
  const address = a.name();
  note('address', () => [address.length, address.subarray(4, 8).toHex()]);
  note('buffers', () => [a.setReceiveBuffer(1 << 20), a.setSendBuffer(1 << 20)]);
  b.setTimeout(30);
  const buffer = new Uint8Array(70000);
  note('nothing in time', () => b.receive(buffer));
  note('nothing now', () => b.receive(buffer, MSG.DONTWAIT));
  for (const length of [0, 1, 1400, 65507]) {
    a.sendTo(new Uint8Array(length).fill(length), b.name());
    const from = new Uint8Array(16);
    note(`datagram of ${length}`, () => b.receiveFrom(buffer, 0, from));
    note('its content', () => buffer.subarray(0, length).every((byte) => byte === length % 256));
    note('its sender', () => from.toHex() === a.name().toHex());
  }
  note('too long', () => a.sendTo(new Uint8Array(65508), b.name()));
  note('signal', () => a.signalOnInput());
  const request = new Uint8Array(40);
  request.set(new TextEncoder().encode('lo'));
  note('not connected', () => a.send(Uint8Array.of(1)));
  note('index of lo', () => a.ioctl(SIOCGIFINDEX, request));
  note('its number', () => readI32(request, IFNAMSIZ) > 0);
  note('bad option', () => a.setOption(1, 9999, 1));
  note('bad family', () => Socket.open(99, SOCK.DGRAM, 0));
}

/** Strings and memory made for one call, and errno behind it, with the collector at work in between. */
function lifetimes(): void {
  let wrong = 0;
  for (let i = 0; i < Number(rounds); i += 1) {
    const result = libc().open(`/nowhere/${'x'.repeat(i % 200)}/${i}`, 0, 0);
    if (result !== -1 || errno() !== 2) wrong += 1;
    if (libc().close(-1) !== -1 || errno() !== 9) wrong += 1;
    if (rareLibc().fcntl(-1, 1, 0) !== -1 || errno() !== 9) wrong += 1;
  }
  note('wrong errno', () => wrong);
}

function namespaces(): void {
  using here = Netns.current();
  note('into the same namespace', () => withNetns(here, () => 'inside'));
  note(
    'no namespace',
    () => Netns.open('/etc/hostname').fd > 2 && withNetns(Netns.open('/etc/hostname'), () => 1),
  );
}

files();
locks();
sockets();
lifetimes();
if (process.getuid?.() === 0) namespaces();
file.writeDescriptor(1, `${lines.join('\n')}\n`, { what: 'standard output' });
file.exitNow(0);
