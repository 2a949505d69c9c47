import { expect, test } from 'bun:test';
import { Conntrack } from '#conntrack/connection.ts';
import { describeInNetns, must } from '../support/netns.ts';

const RULES = `
table ip t {
  chain zones {
    type filter hook output priority -300
    udp dport 5355 ct zone set 7
  }
  chain translate {
    type nat hook output priority -100
    udp dport 5353-5355 dnat to 127.0.0.2:5300
  }
}
table ip6 t {
  chain count {
    type filter hook output priority 0
    ct state new accept
  }
}`;

/** Starts a flow: one datagram each from `sources` to `port` of the family's loopback address. */
async function flow(family: 'ipv4' | 'ipv6', port: number, sources: readonly number[]): Promise<void> {
  const address = family === 'ipv4' ? '127.0.0.1' : '::1';
  for (const source of sources) {
    const socket = await Bun.udpSocket({ hostname: address, port: source });
    socket.send('x', port, address);
    socket.close();
  }
}

describeInNetns(import.meta.path, 'connection tracking', () => {
  must(['ip', 'link', 'set', 'lo', 'up']);
  const fed = Bun.spawnSync(['nft', '-f', '-'], { stdin: Buffer.from(RULES) });
  if (!fed.success) throw new Error(fed.stderr.toString());

  test('flows through a translation are listed by port, deleted, and gone', async () => {
    using table = Conntrack.open();
    await flow('ipv4', 5353, [40_001, 40_002]);
    await flow('ipv4', 5354, [40_003]);
    await flow('ipv6', 5353, [40_004]);
    const query = { protocol: 'udp', destinationPort: 5353 } as const;
    const found = table.list({ family: 'ipv4', ...query });
    const ports = found.map(({ original }) => original.sourcePort);
    expect(ports.toSorted((a = 0, b = 0) => a - b)).toEqual([40_001, 40_002]);
    expect(String(found[0]?.reply.source)).toBe('127.0.0.2');
    expect(found[0]?.reply.sourcePort).toBe(5300);
    expect(table.delete(found)).toBe(2);
    expect(table.delete(found)).toBe(0);
    expect(table.list({ family: 'ipv4', ...query })).toEqual([]);
    const six = table.list({ family: 'ipv6', ...query });
    expect(six.map(({ original }) => original.sourcePort)).toEqual([40_004]);
    expect(table.list({ family: 'ipv4', protocol: 'udp', destinationPort: 5354 })).toHaveLength(1);
    expect(table.list({ family: 'ipv4', protocol: 'udp' })).toHaveLength(1);
    expect(table.all()).toHaveLength(2);
    expect(must(['conntrack', '-L', '-f', 'ipv4'])).not.toContain('dport=5353');
    expect(must(['conntrack', '-L', '-f', 'ipv6'])).toContain('dport=5353');
  });

  test('an entry of another zone is deleted in its zone', async () => {
    using table = Conntrack.open();
    await flow('ipv4', 5355, [40_005]);
    const query = { family: 'ipv4', protocol: 'udp', destinationPort: 5355 } as const;
    const found = table.list(query);
    expect(found.map(({ zone }) => zone)).toEqual([7]);
    // Without its zone nothing is found.
    expect(table.delete(found.map((entry) => ({ ...entry, zone: 0 })))).toBe(0);
    expect(table.delete(found)).toBe(1);
    expect(table.list(query)).toEqual([]);
  });

  test('an empty table, and nothing to delete', () => {
    using table = Conntrack.open();
    expect(table.list({ family: 'ipv6', protocol: 'sctp', destinationPort: 1 })).toEqual([]);
    expect(table.delete([])).toBe(0);
  });
});
