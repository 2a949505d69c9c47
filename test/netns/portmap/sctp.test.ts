import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { describeInNetns, kernelLacks } from '../../support/netns.ts';
import { NODE, OUTSIDE, PortWorld } from '../../support/port-world.ts';
import { SctpPeer } from '../../support/sctp-peer.ts';

const HOST_PORT = 10_100;
const POD_PORT = 38_412;
const CLIENT_PORT = 40_000;

for (const backend of ['nftables', 'iptables'] as const) {
  describeInNetns(import.meta.path, `SCTP by ${backend}`, () => {
    test('packets go to the pod and back, and no more after DEL', async () => {
      if (!existsSync('/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_established')) {
        kernelLacks('connection tracking of SCTP');
        return;
      }
      await using world = new PortWorld({ backend });
      const pod = await world.pod('one');
      for (const version of [4, 6] as const) {
        const family = version === 4 ? 'ipv4' : 'ipv6';
        using client = new SctpPeer(version, world.outsideNetns);
        using server = new SctpPeer(version, pod.netns.path);
        const init = { sourcePort: CLIENT_PORT, destinationPort: HOST_PORT, chunk: 'INIT' } as const;
        await world.map(pod, [{ hostPort: HOST_PORT, containerPort: POD_PORT, protocol: 'sctp' }]);
        client.send(NODE[family], init);
        expect(server.receive(POD_PORT)).toEqual({
          from: OUTSIDE[family],
          sourcePort: CLIENT_PORT,
          destinationPort: POD_PORT,
          chunk: 'INIT',
        });
        server.send(OUTSIDE[family], {
          sourcePort: POD_PORT,
          destinationPort: CLIENT_PORT,
          chunk: 'INIT_ACK',
        });
        // As the client sees it, the node has answered, from the mapped port.
        expect(client.receive(CLIENT_PORT)).toEqual({
          from: NODE[family],
          sourcePort: HOST_PORT,
          destinationPort: CLIENT_PORT,
          chunk: 'INIT_ACK',
        });
        await world.unmap(pod);
        // The same flow: what connection tracking knows of it is gone with the rule.
        client.send(NODE[family], init);
        expect(server.receive(POD_PORT)).toBeUndefined();
      }
    });
  });
}
