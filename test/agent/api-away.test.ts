import { expect, test } from 'bun:test';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentWorld, N2, readyz, type PeerSpec } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { KernelReports } from '../support/kernel-reports.ts';
import { overlayState } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

const NFT = golden('vxlan-nftables/net-conf.json');
const N3: PeerSpec = { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: '02:00:00:00:03:03' };
const TO_N2 = '10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink';
const TO_N3 = '10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink';
const routes = () => overlayState(['flannel.1'])['route'] ?? '';
const env = { TEST_SILENCE_MS: '1000' };

/** Answers watches in the API server's place while it is set. */
type Intercept = (response: ServerResponse, path: string) => boolean;

class Faulty {
  answer: Intercept | undefined;
  watches = 0;

  readonly take = (request: IncomingMessage, response: ServerResponse): boolean => {
    const path = request.url ?? '';
    if (path.includes('watch=true')) this.watches += 1;
    return this.answer?.(response, path) ?? false;
  };
}

async function worldWithPeer(faulty = new Faulty()): Promise<AgentWorld> {
  const world = await AgentWorld.create({
    netConf: NFT,
    api: { bookmarkIntervalMs: 200, intercept: faulty.take },
  });
  world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  world.addPeer('n2', N2);
  return world;
}

/** The kernel's reports while `work` runs: none means that not one packet was in danger. */
async function quietly(work: () => Promise<void>): Promise<void> {
  // Duplicate address detection and its notifications are over.
  await eventually(() => {
    const addresses = must(['ip', '-6', 'addr', 'show', 'dev', 'flannel.1']);
    expect(addresses).toContain('fe80::');
    expect(addresses).not.toContain('tentative');
  });
  await using reports = new KernelReports();
  await reports.working();
  const seen = reports.lines().length;
  await work();
  expect(reports.lines().slice(seen)).toEqual([]);
}

async function follows(world: AgentWorld): Promise<void> {
  world.addPeer('n3', N3);
  await eventually(() => expect(routes()).toBe(`${TO_N2}\n${TO_N3}`));
  await eventually(async () => expect((await readyz()).status).toBe(200));
}

const json = (response: ServerResponse, lines: readonly unknown[], type = 'application/json') => {
  response.writeHead(200, { 'content-type': type });
  for (const line of lines) response.write(typeof line === 'string' ? line : `${JSON.stringify(line)}\n`);
};

describeInNetns(import.meta.path, 'an API server in trouble, while the agent runs', () => {
  test('up and down every second: nothing moves, and it is asked seldom', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady();
    world.api.requests.clear();
    await quietly(async () => {
      for (let n = 0; n < 4; n += 1) {
        await world.api.faults.refuse();
        await Bun.sleep(1000);
        await world.api.faults.listen();
        await Bun.sleep(1000);
      }
    });
    const counts = world.api.requests.counts();
    expect(counts['watch nodes'] ?? 0).toBeLessThanOrEqual(12);
    expect(counts['list nodes'] ?? 0).toBe(0);
    await follows(world);
    // Each of the two or three ways in which it fails is said once a minute.
    expect(agent.count('cannot be followed')).toBeLessThanOrEqual(3);
  });

  test('packets vanish: not ready, nothing moves; then the connection goes on', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady([], { env });
    must(['nft', 'add', 'table', 'inet', 'hole']);
    must(['nft', 'add', 'chain', 'inet', 'hole', 'in', '{ type filter hook input priority 0; }']);
    must(['nft', 'add', 'rule', 'inet', 'hole', 'in', 'tcp', 'sport', String(world.api.port), 'drop']);
    await quietly(async () => {
      await eventually(async () =>
        expect((await readyz()).text).toStartWith('no word from the API server for'),
      );
    });
    must(['nft', 'delete', 'table', 'inet', 'hole']);
    await follows(world);
    expect(agent.count('ERROR')).toBe(0);
  });

  for (const [what, code] of [
    ['401 Unauthorized', 401],
    ['403 Forbidden', 403],
    ['500 Internal Server Error', 500],
    ['502 Bad Gateway', 502],
    ['503 Service Unavailable', 503],
  ] as const) {
    test(`${what}: told in the log and by /readyz; nothing moves`, async () => {
      await using world = await worldWithPeer();
      await using agent = await world.startReady([], { env });
      world.api.faults.answer({ code, times: 1000, text: '<html>no</html>' });
      await quietly(async () => {
        world.api.faults.cutWatches();
        await eventually(async () => {
          const { status, text } = await readyz();
          expect(status).toBe(503);
          expect(text).toContain(what);
        });
      });
      await eventually(() => expect(agent.log).toContain(what));
      world.api.faults.clear();
      await follows(world);
    });
  }

  test('429 with Retry-After: it stays away as long as asked', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady();
    world.api.faults.answer({ verb: 'watch', code: 429, times: 1, retryAfterSeconds: 8 });
    world.api.requests.clear();
    world.api.faults.cutWatches();
    await eventually(() => expect(world.api.requests.counts()['watch nodes']).toBe(1));
    await Bun.sleep(2500);
    expect(world.api.requests.counts()['watch nodes']).toBe(1);
    await follows(world);
    await eventually(() => expect(agent.log).toContain('429 Too Many Requests'));
  });

  test('every answer takes a second and a half: it starts, and follows', async () => {
    await using world = await worldWithPeer();
    world.api.faults.delay(1500);
    await using _agent = await world.startReady();
    await follows(world);
  });

  test('410 for the watch and for the list that follows', async () => {
    await using world = await worldWithPeer();
    await using _agent = await world.startReady();
    await quietly(async () => {
      world.api.faults.answer({ verb: 'watch', code: 410, times: 2 });
      world.api.faults.answer({ verb: 'list', code: 410, times: 3 });
      world.api.faults.cutWatches();
      await eventually(() => expect(world.api.requests.counts()['list nodes']).toBeGreaterThan(3));
    });
    await follows(world);
  });

  test('the history ends in the middle of a list of several pages', async () => {
    const faulty = new Faulty();
    await using world = await worldWithPeer(faulty);
    for (let n = 0; n < 300; n += 1) world.addNode(`m${n}`, { podCidrs: [] });
    let expired = 0;
    faulty.answer = (_, path) => {
      if (path.includes('continue=') && expired < 1) {
        expired += 1;
        world.api.faults.expireHistory();
      }
      return false;
    };
    await using agent = await world.startReady();
    // The first list comes from the server's cache in one piece; this asks for another one.
    await quietly(async () => {
      world.api.faults.garbage();
      await eventually(() => expect(agent.count('nodes listed')).toBe(2));
    });
    expect(expired).toBe(1);
    await follows(world);
    expect(agent.count('ERROR')).toBe(0);
  });

  for (const [what, answer] of [
    ['closed at once', (response: ServerResponse) => response.end()],
    [
      'half an event, then closed',
      (response: ServerResponse) => response.end('{"type":"ADDED","object":{"met'),
    ],
    ['an error page with 200', (response: ServerResponse) => response.end('<html>')],
    ['garbage events', (response: ServerResponse) => response.end('{"type":"ADDED","object":{"a":[}}}\n')],
  ] as const) {
    test(`every watch: ${what}. No hot loop, nothing moves`, async () => {
      const faulty = new Faulty();
      await using world = await worldWithPeer(faulty);
      await using agent = await world.startReady();
      faulty.watches = 0;
      faulty.answer = (response, path) => {
        if (!path.includes('watch=true')) return false;
        json(response, []);
        answer(response);
        return true;
      };
      await quietly(async () => {
        world.api.faults.cutWatches();
        await Bun.sleep(4000);
      });
      expect(faulty.watches).toBeGreaterThan(1);
      expect(faulty.watches).toBeLessThanOrEqual(8);
      expect(world.api.requests.counts()['list nodes']).toBeLessThanOrEqual(9);
      faulty.answer = undefined;
      await follows(world);
      expect(agent.count('ERROR')).toBe(0);
    });
  }

  test('old events told again: the dead peer stays dead, the others as they are', async () => {
    const faulty = new Faulty();
    await using world = await worldWithPeer(faulty);
    world.addPeer('n3', N3);
    const dead = structuredClone(world.api.nodes.get('n3'));
    const before = structuredClone(world.api.nodes.get('n2'));
    await using _agent = await world.startReady();
    world.annotate('n2', { 'flannel.alpha.coreos.com/public-ip': '192.168.50.99' });
    world.api.nodes.delete('n3');
    await eventually(() => {
      expect(routes()).toBe(TO_N2);
      expect(overlayState(['flannel.1'])['fdb-flannel.1']).toContain('192.168.50.99');
    });
    let told = false;
    faulty.answer = (response, path) => {
      if (!path.includes('watch=true') || told) return false;
      told = true;
      json(response, [
        { type: 'ADDED', object: dead },
        { type: 'MODIFIED', object: before },
      ]);
      setTimeout(() => response.end(), 300);
      return true;
    };
    await quietly(async () => {
      world.api.faults.cutWatches();
      await eventually(() => expect(told).toBe(true));
      await Bun.sleep(500);
    });
    world.addPeer('n3', N3);
    await eventually(() => expect(routes()).toBe(`${TO_N2}\n${TO_N3}`));
  });

  test('a CA that is not that of the server: said in words; replaced on disk, it is used at once', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'flanneld-ca-'));
    try {
      for (const name of ['server', 'other']) {
        const files = ['-keyout', `${dir}/${name}.key`, '-out', `${dir}/${name}.pem`, '-days', '2'];
        const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
        must(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject]);
      }
      const tls = {
        cert: readFileSync(`${dir}/server.pem`, 'utf8'),
        key: readFileSync(`${dir}/server.key`, 'utf8'),
      };
      await using world = await AgentWorld.create({ netConf: NFT, api: { tls } });
      world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
      copyFileSync(`${dir}/other.pem`, `${dir}/ca.pem`);
      const cluster = `{server: "${world.api.url}", certificate-authority: ca.pem}`;
      writeFileSync(
        `${dir}/kubeconfig`,
        `current-context: c
contexts: [{name: c, context: {cluster: k}}]
clusters: [{name: k, cluster: ${cluster}}]
`,
      );
      await using agent = world.start(['--kube-api-url=', `--kubeconfig-file=${dir}/kubeconfig`]);
      await eventually(async () =>
        expect((await readyz()).text).toContain('x509: its certificate is self-signed'),
      );
      await eventually(() => expect(agent.log).toContain('cure="give the CA that signed it"'));
      copyFileSync(`${dir}/server.pem`, `${dir}/ca.pem`);
      await eventually(async () => expect((await readyz()).status).toBe(200));
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
