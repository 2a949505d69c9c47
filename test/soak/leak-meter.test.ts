import { expect, test } from 'bun:test';
import { LeakMeter } from '../../scripts/soak/leak-meter.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, must } from '../support/netns.ts';

describeInNetns(import.meta.path, 'packets that nobody should send', () => {
  test('are counted, others are not', async () => {
    must(['ip', 'link', 'set', 'lo', 'up']);
    must(['ip', 'addr', 'add', '192.0.2.1/32', 'dev', 'lo']);
    const place = { subnets: ['10.244.2.0/24', 'fd44:0:0:2::/64'], from: 'lo' };
    await using meter = await LeakMeter.open(place, { PATH: process.env['PATH'] ?? '' });
    // Nobody listens at the near one, and the kernel says so.
    const socket = await Bun.udpSocket({ socket: { error: () => {} } });
    socket.send('x', 9, '192.0.2.1');
    expect(await meter.packets()).toBe(0);
    socket.send('x', 9, '10.244.2.7');
    socket.send('x', 9, '10.244.2.8');
    await eventually(async () => expect(await meter.packets()).toBe(2));
    socket.close();
  });
});
