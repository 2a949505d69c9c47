import { describe as group, expect, test } from 'bun:test';
import { DecodeError } from '#base/errors.ts';
import { decodePacket, innermost, payloadOf } from './decode.ts';
import { describeIp, describeMacs } from './describe.ts';
import { frame, FRAMES } from './fixtures.ts';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

group('decodePacket', () => {
  test('reads a VXLAN packet down to the inner payload', () => {
    const packet = decodePacket(frame('vxlanUdp'));
    expect(describeMacs(packet)).toBe('92:34:f2:6e:bb:43 → ea:20:1d:5c:d8:54');
    expect(describeIp(packet)).toBe('192.168.50.11:47188 → 192.168.50.12:8472 UDP TTL 64');
    expect(packet.vxlan?.vni).toBe(1);
    const inner = innermost(packet);
    expect(describeMacs(inner)).toBe('02:00:00:00:00:01 → 02:00:00:00:00:02');
    expect(describeIp(inner)).toBe('10.244.1.0:50867 → 10.244.2.0:8080 UDP TTL 64');
    expect(text(payloadOf(inner))).toBe('flannel-lab');
    expect(inner.length).toBe(packet.length - 50);
  });

  test('another VXLAN port is plain UDP', () => {
    expect(decodePacket(frame('vxlanUdp'), { vxlanPort: 4789 }).vxlan).toBeUndefined();
  });

  test('reads ARP, TCP, ICMP and IPv6', () => {
    expect(describeIp(decodePacket(frame('arpRequest')))).toBe(
      'ARP who has 192.168.50.12? tell 192.168.50.11',
    );
    expect(describeIp(decodePacket(frame('arpReply')))).toBe('ARP 192.168.50.12 is at ea:20:1d:5c:d8:54');
    expect(describeIp(decodePacket(frame('tcpSyn')))).toBe(
      '192.168.50.11:38064 → 192.168.50.12:81 TCP SYN TTL 64',
    );
    expect(decodePacket(frame('tcpReset')).tcp?.flags).toEqual(['RST', 'ACK']);
    expect(describeIp(innermost(decodePacket(frame('vxlanPing'))))).toBe(
      '10.244.1.0 → 10.244.2.0 ICMP echo request TTL 64 id 7878 seq 1',
    );
    expect(describeIp(decodePacket(frame('ping6')))).toBe(
      'fe80::9034:f2ff:fe6e:bb43 → fe80::e820:1dff:fe5c:d854 ICMP echo request TTL 64 id 7924 seq 1',
    );
  });

  test('walks over IPv6 extension headers', () => {
    const packet = decodePacket(frame('mldReport'));
    expect(packet.icmp?.type).toBe(143);
    expect(packet.ip?.ttl).toBe(1);
  });

  test('padding behind a short datagram is not payload', () => {
    const padded = new Uint8Array([...frame('tcpReset'), 0, 0, 0, 0, 0, 0]);
    expect(payloadOf(decodePacket(padded)).length).toBe(0);
  });

  test('a later fragment has no transport header', () => {
    const bytes = frame('tcpSyn');
    bytes[20] = 0x00;
    bytes[21] = 0x10;
    const packet = decodePacket(bytes);
    expect(packet.ip?.fragmentOffset).toBe(128);
    expect(packet.tcp).toBeUndefined();
  });

  test('every cut of every frame decodes or throws a DecodeError with its place', () => {
    for (const name of Object.keys(FRAMES) as (keyof typeof FRAMES)[]) {
      const whole = frame(name);
      for (let length = 0; length < whole.length; length += 1) {
        try {
          decodePacket(whole.subarray(0, length));
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          expect((error as DecodeError).offset).toBeLessThanOrEqual(length);
        }
      }
    }
    expect(() => decodePacket(frame('vxlanUdp').subarray(0, 45))).toThrow('vxlan at byte 43');
  });

  test('a header that contradicts itself is refused', () => {
    const bytes = frame('tcpSyn');
    bytes[14] = 0x44;
    expect(() => decodePacket(bytes)).toThrow('header length 16 is below 20');
    const flags = frame('vxlanUdp');
    flags[42] = 0;
    expect(() => decodePacket(flags)).toThrow('flag I is clear');
  });
});
