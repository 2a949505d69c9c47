import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { Conntrack } from '#conntrack/connection.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules, type FamilyNetwork, type TrafficMode } from '#traffic/rules.ts';
import { describeInNetns, must, NamedNetns, run } from '../support/netns.ts';
import { eventually } from '../support/eventually.ts';

const PORT = 8472;
const SUBNET = Cidr.parse('10.244.1.0/24');
const PEER_SUBNET = '10.244.2.0/24';

/** Two nodes with `flannel.1`; their own addresses lie inside the pod network, or outside as they should. */
const UNDERLAYS = { inside: '10.244.200', outside: '192.168.50' } as const;

function wire(peer: NamedNetns, underlay: string): void {
  const inPeer = (...argv: string[]) => void peer.exec(argv);
  const here = (...argv: string[]) => void must(argv);
  here('ip', 'link', 'set', 'lo', 'up');
  here('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', peer.name);
  for (const [at, exec, own, other] of [
    [1, here, '02:00:00:00:00:01', '02:00:00:00:00:02'],
    [2, inPeer, '02:00:00:00:00:02', '02:00:00:00:00:01'],
  ] as const) {
    const [subnet, theirs] = at === 1 ? ['10.244.1.0', PEER_SUBNET] : ['10.244.2.0', '10.244.1.0/24'];
    const gateway = theirs.split('/')[0] ?? '';
    exec('ip', 'link', 'set', 'eth0', 'up');
    exec('ip', 'address', 'add', `${underlay}.1${at}/24`, 'dev', 'eth0');
    exec(
      'ip',
      'link',
      'add',
      'flannel.1',
      'address',
      own,
      'type',
      'vxlan',
      'id',
      '1',
      'local',
      `${underlay}.1${at}`,
      'dev',
      'eth0',
      'dstport',
      String(PORT),
      'nolearning',
    );
    exec('ip', 'address', 'add', `${subnet}/32`, 'dev', 'flannel.1');
    exec('ip', 'link', 'set', 'flannel.1', 'up');
    exec('ip', 'neigh', 'add', gateway, 'lladdr', other, 'nud', 'permanent', 'dev', 'flannel.1');
    exec('bridge', 'fdb', 'add', other, 'dst', `${underlay}.1${3 - at}`, 'dev', 'flannel.1');
    exec('ip', 'route', 'add', theirs, 'via', gateway, 'dev', 'flannel.1', 'onlink');
  }
  peer.exec(['ip', 'link', 'set', 'lo', 'up']);
  peer.exec(['ip', 'address', 'add', '10.244.2.2/32', 'dev', 'lo']);
}

function ensure(mode: TrafficMode, overlay: FamilyNetwork['overlay'] | undefined) {
  const network = [Cidr.parse('10.244.0.0/16')];
  const family = { network, subnet: SUBNET, ...(overlay === undefined ? {} : { overlay }) };
  const rules = trafficRules({ families: [family], ipMasq: true, forward: true, randomFully: true });
  return createTraffic({ mode, env: process.env }).backend.ensure(rules);
}

/** Outer flows that this node sent, and those of them with another source than their own. */
function outerFlows(): { readonly all: number; readonly translated: number } {
  using table = Conntrack.open();
  const flows = table.list({ family: 'ipv4', protocol: 'udp', destinationPort: PORT });
  const own = flows.filter(({ original }) => !original.source.toString().endsWith('.12'));
  const translated = own.filter(
    ({ original, reply }) =>
      !reply.destination.equals(original.source) || reply.destinationPort !== original.sourcePort,
  );
  return { all: own.length, translated: translated.length };
}

for (const mode of ['iptables', 'nftables'] as const) {
  for (const [where, underlay] of Object.entries(UNDERLAYS)) {
    describeInNetns(import.meta.path, `VXLAN's own packets, ${mode}, nodes ${where} the pod network`, () => {
      let peer: NamedNetns;
      const source = Ip.parse(`${underlay}.11`);
      beforeAll(() => {
        peer = NamedNetns.create('ovm');
        wire(peer, underlay);
      });
      afterAll(() => peer[Symbol.dispose]());
      beforeEach(() => {
        run(['nft', 'flush', 'ruleset']);
        using table = Conntrack.open();
        table.delete(table.all());
      });

      /** A flow each to the other node's pod. */
      async function send(): Promise<ReturnType<typeof outerFlows>> {
        const { sent, seen } = await ping();
        expect(sent).toBe(seen);
        return eventually(() => {
          const flows = outerFlows();
          if (flows.all === 0) throw new Error('no outer packet');
          return flows;
        });
      }

      test('are not masqueraded', async () => {
        await ensure(mode, { source, port: PORT });
        expect((await send()).translated).toBe(0);
      });

      describe('without the rule for them', () => {
        const hit = where === 'inside' && mode === 'iptables';
        test(hit ? 'they would be' : 'they are not either', async () => {
          await ensure(mode, undefined);
          expect((await send()).translated > 0).toBe(hit);
        });
      });

      async function ping() {
        const echo = Bun.spawn(['ip', 'netns', 'exec', peer.name, process.execPath, '-e', ECHO], {
          stdout: 'pipe',
          stdin: 'pipe',
        });
        await echo.stdout.getReader().read();
        const { promise, resolve } = Promise.withResolvers<string>();
        const socket = await Bun.udpSocket({
          hostname: '0.0.0.0',
          socket: { data: (_, data) => resolve(data.toString()) },
        });
        socket.send('?', 9000, '10.244.2.2');
        const seen = await Promise.race([promise, Bun.sleep(2000).then(() => 'no answer')]);
        socket.close();
        echo.kill();
        await echo.exited;
        return { sent: '10.244.1.0', seen };
      }
    });
  }
}

const ECHO = `
const socket = await Bun.udpSocket({ hostname: '10.244.2.2', port: 9000, socket: {
  data(socket, data, port, address) { socket.send(address, port, address); } } });
console.log('ready');
`;
