import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { loadKubeConfig } from './config.ts';
import { parseKubeconfig } from './kubeconfig.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const base64 = Buffer.from(PEM).toString('base64');

function kubeconfig(user: string, cluster = ''): string {
  return `
apiVersion: v1
kind: Config
current-context: c1
contexts:
- {name: other, context: {cluster: k2, user: nobody}}
- {name: c1, context: {cluster: k1, user: me}}
clusters:
- name: k1
  cluster: {server: "https://192.0.2.1:6443/"${cluster}}
users:
- name: me
  user: {${user}}
`;
}

const parse = (text: string, server?: string) => parseKubeconfig(text, { path: '/etc/k/config', server });

test('token, CA and names of the current context', async () => {
  const config = parse(
    kubeconfig('token: s3cret', `, certificate-authority-data: ${base64}, tls-server-name: kubernetes`),
  );
  expect(config).toMatchObject({
    server: 'https://192.0.2.1:6443',
    serverName: 'kubernetes',
    insecure: false,
  });
  expect(await config.token?.read(() => Promise.reject(new Error('no file')))).toBe('s3cret');
  expect(await config.ca?.read(() => Promise.reject(new Error('no file')))).toBe(PEM);
});

test('secrets never show themselves', () => {
  const config = parse(kubeconfig('token: s3cret'));
  expect(JSON.stringify(config)).not.toContain('s3cret');
  expect(Bun.inspect(config)).not.toContain('s3cret');
  expect(String(config.token)).toBe('[secret]');
});

test('paths are relative to the file; the token file wins over the token', () => {
  const config = parse(
    kubeconfig('token: t, tokenFile: tok, client-certificate: a.pem, client-key: /k/a.key'),
  );
  expect([config.token?.path, config.cert?.path, config.key?.path]).toEqual([
    '/etc/k/tok',
    '/etc/k/a.pem',
    '/k/a.key',
  ]);
});

test('--kube-api-url wins over the server of the cluster', () => {
  expect(parse(kubeconfig('token: t'), 'http://127.0.0.1:8080/').server).toBe('http://127.0.0.1:8080');
});

test('a single context needs no current-context', () => {
  const text =
    'contexts: [{name: a, context: {cluster: k}}]\nclusters: [{name: k, cluster: {server: "https://h"}}]';
  expect(parse(text).server).toBe('https://h');
});

test.each([
  [kubeconfig('exec: {command: aws}'), 'users["me"].user.exec', 'starts no credential plugins'],
  [kubeconfig('auth-provider: {name: gcp}'), 'auth-provider', 'not supported'],
  [kubeconfig('username: a'), 'username', 'not supported'],
  [kubeconfig('client-certificate: a.pem'), 'client-key', 'missing'],
  [
    kubeconfig('token: t', `, insecure-skip-tls-verify: true, certificate-authority-data: ${base64}`),
    'insecure',
    'CA',
  ],
  [kubeconfig('token: t', ', certificate-authority-data: "!!"'), 'certificate-authority-data', 'base64'],
  [kubeconfig('token: 12'), 'token', 'must be a string'],
  ['contexts: []', 'current-context', 'is missing'],
  ['current-context: x\ncontexts: []', 'contexts', 'no entry named "x"'],
  ['a: [', '/etc/k/config', 'not valid YAML'],
  ['- 1', '/etc/k/config', 'is not a kubeconfig'],
])('refuses %#', (text, path, words) => {
  expect(() => parse(text)).toThrow(ConfigError);
  expect(() => parse(text)).toThrow(path);
  expect(() => parse(text)).toThrow(words);
});

test.each(['ftp://h', 'https://u:p@h', 'https://h?x=1', 'nonsense'])('refuses the address %s', (server) => {
  expect(() => parse(kubeconfig('token: t'), server)).toThrow('--kube-api-url');
});

test('in a pod: service account, no proxy, IPv6 in brackets', async () => {
  const env = {
    KUBERNETES_SERVICE_HOST: 'fd00::1',
    KUBERNETES_SERVICE_PORT: '443',
    HTTPS_PROXY: 'http://proxy',
  };
  const readFile = (path: string) => Promise.resolve(path.endsWith('token') ? 'tok' : PEM);
  const config = await loadKubeConfig({ env, readFile });
  expect(config).toMatchObject({ server: 'https://[fd00::1]', proxy: false, insecure: false });
  expect(config.token?.path).toBe('/var/run/secrets/kubernetes.io/serviceaccount/token');
});

test('outside of a pod without flags: says what to give', () => {
  expect(loadKubeConfig({ env: {} })).rejects.toThrow('this is no pod');
});

test('an API address alone is used without credentials', async () => {
  const config = await loadKubeConfig({ env: {}, apiUrl: 'http://127.0.0.1:8001', kubeconfigFile: '' });
  expect(config).toEqual({ server: 'http://127.0.0.1:8001', source: '--kube-api-url', insecure: false });
});
