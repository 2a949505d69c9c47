import { expect, test } from 'bun:test';
import { receiveBufferErrors } from './overflow.ts';

test('the number of receive buffer errors, wherever its column is', () => {
  const other = 'Ip: Forwarding InErrors\nIp: 1 7\nUdpLite: InErrors RcvbufErrors\nUdpLite: 3 4\n';
  expect(receiveBufferErrors(`${other}Udp: InDatagrams RcvbufErrors InErrors\nUdp: 5 36 9\n`)).toBe(36);
  expect(receiveBufferErrors(other)).toBe(0);
  expect(receiveBufferErrors('')).toBe(0);
});
