import { describe, expect, test } from 'bun:test';
import { ERRNO } from '#base/errors.ts';
import { AF, MSG, SOCK, Socket } from './socket.ts';

/** `struct sockaddr_in` for 127.0.0.1; port 0: the kernel chooses. */
function loopback(port = 0): Uint8Array {
  return Uint8Array.of(AF.INET, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
}

function bound(): { socket: Socket; address: Uint8Array } {
  const socket = Socket.open(AF.INET, SOCK.DGRAM, 0);
  socket.bind(loopback());
  return { socket, address: socket.name() };
}

describe('datagrams over loopback', () => {
  test('there and back, with the sender', () => {
    const { socket: a, address: toA } = bound();
    const { socket: b, address: toB } = bound();
    using _a = a;
    using _b = b;
    a.sendTo(Uint8Array.of(1, 2, 3), toB);
    const buffer = new Uint8Array(10);
    const from = new Uint8Array(16);
    expect(b.receiveFrom(buffer, 0, from)).toEqual({ length: 3 });
    expect(buffer.toHex()).toBe('01020300000000000000');
    expect(from.toHex()).toBe(toA.toHex());
    b.sendTo(Uint8Array.of(9), toA);
    expect(a.receive(buffer)).toEqual({ length: 1 });
    expect(buffer[0]).toBe(9);
  });

  test('the true length of a datagram that does not fit', () => {
    const { socket, address } = bound();
    using _socket = socket;
    socket.sendTo(new Uint8Array(100), address);
    expect(socket.receive(new Uint8Array(10), MSG.TRUNC)).toEqual({ length: 100 });
  });

  test('nothing there: at once with DONTWAIT, after the timeout without', () => {
    const { socket } = bound();
    using _socket = socket;
    expect(socket.receive(new Uint8Array(10), MSG.DONTWAIT)).toEqual({ errno: ERRNO.EAGAIN });
    socket.setTimeout(30);
    const start = performance.now();
    expect(socket.receive(new Uint8Array(10))).toEqual({ errno: ERRNO.EAGAIN });
    expect(performance.now() - start).toBeWithin(20, 2000);
  });

  test('an empty buffer and an empty datagram', () => {
    const { socket, address } = bound();
    using _socket = socket;
    socket.sendTo(new Uint8Array(0), address);
    expect(socket.receive(new Uint8Array(10))).toEqual({ length: 0 });
  });
});

describe('the life of a descriptor', () => {
  test('errors name the call', () => {
    expect(() => Socket.open(9999, SOCK.DGRAM, 0)).toThrow('socket: EAFNOSUPPORT');
    using socket = Socket.open(AF.INET, SOCK.DGRAM, 0);
    expect(() => socket.send(Uint8Array.of(1))).toThrow('send: ');
    expect(() => socket.setOption(1, 9999, 1)).toThrow('setsockopt 1/9999: ');
    expect(() => socket.bind(Uint8Array.of(1, 2))).toThrow('bind: invalid argument (EINVAL)');
  });

  test('closing twice is harmless, and does not close a stranger', () => {
    const socket = Socket.open(AF.INET, SOCK.DGRAM, 0);
    const { fd } = socket;
    socket.close();
    using reused = Socket.open(AF.INET, SOCK.DGRAM, 0);
    expect(reused.fd).toBe(fd);
    socket.close();
    reused.bind(loopback());
    expect(socket.fd).toBe(-1);
    expect(socket.receive(new Uint8Array(1))).toEqual({ errno: ERRNO.EBADF });
  });
});
