import { expect, test } from 'bun:test';
import { Ip } from '#net/ip.ts';
import { echoRequest, internetChecksum, parseIcmp, quotedEcho } from './icmp.ts';

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(' ', ''));

// Put together after RFC 792; that real ones look so is a test of its own, with routers (test/doctor/probe.test.ts).
const IP4 = '45000024 00004000 4001 0000 0a020002 0a010001';
const REPLY4 = `${IP4} 0000 edca 1234 0001`;
const TOO_BIG4 = `45c00038 00000000 4001 0000 0a010002 0a010001 0304 0000 0000 0578 450005dc 00004000 4001 0000 0a010001 0a020002 0800 0000 1234 0007`;
const PORT4 = `45c00038 00000000 4001 0000 0a020002 0a010001 0303 0000 0000 0000 45000020 00004000 4011 0000 0a010001 0a020002 829b 829a 000c 0000`;

test('a request is as long as was asked for, and its checksum is right', () => {
  const request = echoRequest('ipv4', { id: 0x1234, sequence: 1 }, 28);
  expect(request.toHex()).toBe('0800e5ca12340001');
  expect(internetChecksum(request)).toBe(0);
  expect(echoRequest('ipv4', { id: 1, sequence: 1 }, 1500).length).toBe(1480);
  expect(echoRequest('ipv6', { id: 0x1234, sequence: 1 }, 48).toHex()).toBe('8000000012340001');
  expect(echoRequest('ipv6', { id: 1, sequence: 1 }, 0).length).toBe(8);
});

test('answers and errors are read with what they quote', () => {
  expect(parseIcmp('ipv4', hex(REPLY4))).toEqual({ type: 'reply', id: 0x1234, sequence: 1 });
  const tooBig = parseIcmp('ipv4', hex(TOO_BIG4));
  expect(tooBig).toMatchObject({ type: 'too-big', mtu: 1400, quoted: { protocol: 1 } });
  if (tooBig?.type !== 'too-big') throw new Error('not read');
  expect(tooBig.quoted.to.equals(Ip.parse('10.2.0.2'))).toBe(true);
  expect(quotedEcho('ipv4', tooBig.quoted)).toEqual({ id: 0x1234, sequence: 7 });
  const port = parseIcmp('ipv4', hex(PORT4));
  expect(port).toMatchObject({ type: 'unreachable', port: true, quoted: { protocol: 17 } });
  if (port?.type === 'unreachable') expect(quotedEcho('ipv4', port.quoted)).toBeUndefined();
});

test('what is cut off, or something else, is nothing', () => {
  for (const text of [REPLY4, TOO_BIG4, PORT4]) {
    const bytes = hex(text);
    const whole = parseIcmp('ipv4', bytes);
    for (let length = 0; length < bytes.length - 1; length += 1) {
      const cut = parseIcmp('ipv4', bytes.subarray(0, length));
      if (cut !== undefined) expect(cut).toEqual(whole as typeof cut);
    }
  }
  expect(parseIcmp('ipv4', hex(`${IP4} 0800 0000 1234 0001`))).toBeUndefined();
  expect(parseIcmp('ipv6', hex('8600 0000 0000 0000'))).toBeUndefined();
});

test('an odd byte counts as the high one of its word', () => {
  expect(internetChecksum(hex('01'))).toBe(0xfeff);
  expect(internetChecksum(hex('ffff'), hex('0001'))).toBe(0xfffe);
});
