import { expect, test } from 'bun:test';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import type { AgentProcess } from '../support/agent-process.ts';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, must } from '../support/netns.ts';

/** Each stands in one place; nothing of any of them may come out. */
const TOKEN = 'tk-5e6f7a8b9c';
const FLAG_PASSWORD = 'fp-0d1e2f3a4b';
const ENV_PASSWORD = 'ep-6c7d8e9f0a';
const PROXY_PASSWORD = 'pp-1b2c3d4e5f';
const ENV_PROXY_PASSWORD = 'xp-7a8b9c0d1e';
const URL_PASSWORD = 'up-2f3a4b5c6d';
const PSK = 'sk-8e9f0a1b2c';
const KEY = 'pk-3d4e5f6a7b';
const SECRETS = [
  TOKEN,
  FLAG_PASSWORD,
  ENV_PASSWORD,
  PROXY_PASSWORD,
  ENV_PROXY_PASSWORD,
  URL_PASSWORD,
  PSK,
  KEY,
];

const NET_CONF = `{"Network":"10.244.0.0/16","EnableNFTables":true,"Backend":{"Type":"vxlan","PSK":"${PSK}"}}`;
const ENV = {
  FLANNELD_ETCD_PASSWORD: ENV_PASSWORD,
  HTTPS_PROXY: `http://user:${ENV_PROXY_PASSWORD}@127.0.0.1:9`,
};
const LOUD = ['--v=10', `--etcd-password=${FLAG_PASSWORD}`];

function kubeconfig(
  at: AgentWorld,
  change: { server?: string; cluster?: string; user?: string } = {},
): string {
  const path = `${at.folder}/kubeconfig`;
  writeFileSync(
    path,
    `current-context: c
contexts: [{ name: c, context: { cluster: c, user: u } }]
clusters:
  - name: c
    cluster: { server: '${change.server ?? at.api.url}'${change.cluster ?? ''} }
users:
  - name: u
    user: ${change.user ?? `{ token: '${TOKEN}' }`}
`,
  );
  return path;
}

/** Everything that the agent lets out: log, metrics, readiness, files for others. */
async function everything(at: AgentWorld, agent: AgentProcess): Promise<string> {
  const get = (path: string) =>
    fetch(`http://127.0.0.1:10256/${path}`).then(
      (answer) => answer.text(),
      () => '',
    );
  const run = `${at.folder}/run`;
  const names = existsSync(run) ? readdirSync(run).map((name) => `${run}/${name}`) : [];
  const files = names.filter((name) => statSync(name).isFile()).map((name) => readFileSync(name, 'utf8'));
  const ask = (path: string) =>
    fetch(`http://agent/${path}`, { unix: `${run}/agent.sock` }).then(
      (answer) => answer.text(),
      () => '',
    );
  const asked = [await get('metrics'), await get('readyz'), await ask('status'), await ask('plan')];
  // A question that nobody answers would find no secret.
  if (existsSync(`${run}/agent.sock`)) expect(asked[2]).toContain('"pid"');
  return [agent.log, ...asked, ...files].join('\n');
}

async function expectNone(at: AgentWorld, agent: AgentProcess): Promise<void> {
  const text = await everything(at, agent);
  for (const secret of SECRETS) expect(text).not.toContain(secret);
}

async function world(): Promise<AgentWorld> {
  const at = await AgentWorld.create({ netConf: NET_CONF });
  at.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  at.addPeer('n2', N2);
  return at;
}

describeInNetns(import.meta.path, 'no secret comes out, at --v=10', () => {
  for (const format of ['text', 'json'] as const) {
    test(`in daily work, as ${format}`, async () => {
      await using at = await world();
      const flags = [
        `--kubeconfig-file=${kubeconfig(at)}`,
        '--kube-api-url=',
        `--log-format=${format}`,
        ...LOUD,
      ];
      await using agent = await at.startReady(flags, { env: ENV });
      must(['ip', 'link', 'delete', 'flannel.1']);
      await eventually(() => expect(agent.log).toContain('not as planned; repaired'));
      await eventually(() => expect(agent.log).toContain('full pass'));
      await expectNone(at, agent);
    });
  }

  test('when the API server refuses the token, and repeats it', async () => {
    await using at = await world();
    at.api.faults.answer({ code: 403, text: `Bearer ${TOKEN} may not do this`, times: 3 });
    await using agent = at.start([`--kubeconfig-file=${kubeconfig(at)}`, '--kube-api-url=', ...LOUD], {
      env: ENV,
    });
    await eventually(() => expect(agent.log).toContain('may not do this'));
    await eventually(() => expect(agent.log).toContain('Bearer [secret] may not do this'));
    await expectNone(at, agent);
  });

  test('when the token is none', async () => {
    await using at = await world();
    const file = kubeconfig(at, { user: `{ token: "${TOKEN}\\n x" }` });
    await using agent = at.start([`--kubeconfig-file=${file}`, '--kube-api-url=', ...LOUD]);
    await eventually(() => expect(agent.log).toContain('is not a bearer token'));
    await expectNone(at, agent);
  });

  test('when a proxy is asked and does not answer', async () => {
    await using at = await world();
    const cluster = `, proxy-url: 'http://user:${PROXY_PASSWORD}@127.0.0.1:9'`;
    const file = kubeconfig(at, { server: 'https://192.0.2.1:6443', cluster });
    await using agent = at.start([`--kubeconfig-file=${file}`, '--kube-api-url=', ...LOUD], { env: ENV });
    await eventually(() => expect(agent.log).toContain('cannot read the Node object'));
    await expectNone(at, agent);
  });

  test('when etcd is asked and does not answer', async () => {
    await using at = await world();
    const flags = [
      '--kube-subnet-mgr=false',
      '--etcd-endpoints=http://127.0.0.1:9',
      '--etcd-username=root',
      ...LOUD,
    ];
    await using agent = at.start(flags);
    await eventually(() => expect(agent.log).toContain('connection refused'));
    await expectNone(at, agent);
  });

  const REFUSED: readonly (readonly [string, (at: AgentWorld) => readonly string[], string])[] = [
    [
      'in the address of the API server',
      () => [`--kube-api-url=https://u:${URL_PASSWORD}@192.0.2.1`],
      '--kube-api-url',
    ],
    [
      'in the address of etcd',
      () => ['--kube-subnet-mgr=false', `--etcd-endpoints=http://u:${URL_PASSWORD}@192.0.2.1:2379`],
      '--etcd-endpoints',
    ],
    ['behind a blank', () => ['--etcd-password=', FLAG_PASSWORD], 'unexpected argument'],
    ['behind a misspelt flag', () => [`--etcd-pasword=${FLAG_PASSWORD}`], '--etcd-password'],
    [
      'as a password in a kubeconfig',
      (at) => [
        `--kubeconfig-file=${kubeconfig(at, { user: `{ username: u, password: '${URL_PASSWORD}' }` })}`,
        '--kube-api-url=',
      ],
      'not supported',
    ],
    [
      'as a key that is none',
      (at) => [
        `--kubeconfig-file=${kubeconfig(at, { user: `{ client-certificate-data: ${btoa(KEY)}, client-key-data: ${KEY} }` })}`,
        '--kube-api-url=',
      ],
      'is not base64 of PEM',
    ],
    [
      'in a configuration that is no JSON',
      (at) => {
        at.writeNetConf(`{"Network":"10.244.0.0/16","Backend":{"PSK":${PSK.replace('-', '')}}}`);
        return [];
      },
      'not valid JSON',
    ],
  ];

  for (const [where, flags, words] of REFUSED) {
    test(`where it does not belong: ${where}`, async () => {
      await using at = await world();
      await using agent = at.start([...flags(at), '--v=10']);
      expect(await agent.exited()).toBe(2);
      await eventually(() => expect(agent.log).toContain(words));
      for (const secret of SECRETS) {
        expect(agent.log).not.toContain(secret);
        expect(agent.log).not.toContain(secret.replace('-', ''));
        expect(agent.log).not.toContain(btoa(secret));
      }
    });
  }
});
