import { expect, test } from 'bun:test';
import { parseUdpTable, socketsAt } from './udp-sockets.ts';

// cat /proc/net/udp and udp6
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  512: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 21712 2 0000000000000000 0
  513: 0B32A8C0:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000 0
damaged`;
const UDP6 = `  sl  local_address                         remote_address                        st
 1513: B80D0120000000000000000001000000:2118 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31102 2 0000000000000000 0`;

test('addresses, ports and inodes', () => {
  expect(parseUdpTable(UDP).map(({ address, port, inode }) => `${address} ${port} ${inode}`)).toEqual([
    '0.0.0.0 8472 21712',
  ]);
  expect(parseUdpTable(UDP6).map(({ address, port }) => `${address} ${port}`)).toEqual(['2001:db8::1 8472']);
  expect(parseUdpTable('')).toEqual([]);
});

test('a socket is found with its program', async () => {
  const socket = await Bun.udpSocket({ hostname: '127.0.0.1' });
  const [found] = socketsAt(socket.port);
  socket.close();
  expect(found?.address.toString()).toBe('127.0.0.1');
  expect(found?.program).toEndWith(`(process ${process.pid})`);
});
