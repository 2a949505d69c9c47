import { AF, SOCK, Socket } from '#ffi/socket.ts';

/** `READY=1`, `STOPPING=1` … to systemd (`sd_notify(3)`); nothing without NOTIFY_SOCKET. Never throws. */
export function notifySystemd(path: string | undefined, state: string): void {
  if (path === undefined || (!path.startsWith('/') && !path.startsWith('@'))) return;
  try {
    using socket = Socket.open(AF.UNIX, SOCK.DGRAM, 0);
    const name = new TextEncoder().encode(path);
    const address = new Uint8Array(2 + name.length);
    new Uint16Array(address.buffer, 0, 1)[0] = AF.UNIX;
    address.set(name, 2);
    // A leading "@" stands for the NUL of an abstract address.
    if (path.startsWith('@')) address[2] = 0;
    socket.sendTo(new TextEncoder().encode(state), address);
  } catch {
    // systemd then times the unit out by itself; the network must not suffer from it.
  }
}
