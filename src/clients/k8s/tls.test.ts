import { afterAll, beforeAll, expect, test } from 'bun:test';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { cureOf } from '#base/errors.ts';
import { createKubeClient } from './client.ts';
import { loadKubeConfig } from './config.ts';
import { TransportError } from './errors.ts';
import { FakeApi, fakeNode, fastClock, until } from './fake-api.ts';
import { Secret } from '../secret.ts';
import { ALL, members } from './selection.ts';

const select = members({ metadata: members({ name: ALL }) });
const signal = new AbortController().signal;
const dir = mkdtempSync(`${tmpdir()}/k8s-tls-`);
let api: FakeApi;

function openssl(...args: string[]): void {
  const done = Bun.spawnSync(['openssl', ...args], { cwd: dir, stderr: 'pipe' });
  if (!done.success) throw new Error(done.stderr.toString());
}

/** A CA `name`, and below it a server and a client certificate. */
function authority(name: string): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
}

function issue(name: string, ca: string, subject: string, extension: string): void {
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    subject,
  );
  writeFileSync(`${dir}/${name}.ext`, extension);
  const from = [
    '-in',
    `${name}.csr`,
    '-CA',
    `${ca}.pem`,
    '-CAkey',
    `${ca}.key`,
    '-CAcreateserial',
    '-extfile',
    `${name}.ext`,
  ];
  openssl('x509', '-req', ...from, '-out', `${name}.pem`, '-days', '2');
}

/** A server certificate for `name` by the CA, valid between the two moments (`YYMMDDHHMMSSZ`). */
function issueBetween(name: string, start: string, end: string): Bun.TLSOptions {
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    '/CN=x',
  );
  writeFileSync(
    `${dir}/ca.conf`,
    '[ca]\ndefault_ca=d\n[d]\npolicy=p\ndefault_md=sha256\ndatabase=index\nserial=serial\n[p]\ncommonName=supplied\n',
  );
  writeFileSync(`${dir}/${name}.ext`, 'subjectAltName=IP:127.0.0.1');
  writeFileSync(`${dir}/index`, '');
  writeFileSync(`${dir}/serial`, '01\n');
  const store = ['-outdir', '.', '-notext', '-batch'];
  const by = ['-config', 'ca.conf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-extfile', `${name}.ext`];
  const between = ['-startdate', start, '-enddate', end];
  openssl('ca', ...by, ...store, ...between, '-in', `${name}.csr`, '-out', `${name}.pem`);
  return {
    key: readFileSync(`${dir}/${name}.key`, 'utf8'),
    cert: readFileSync(`${dir}/${name}.pem`, 'utf8'),
  };
}

beforeAll(() => {
  authority('ca');
  authority('stranger');
  issue('server', 'ca', '/CN=apiserver', 'subjectAltName=DNS:kubernetes');
  issue('client', 'ca', '/O=system:nodes/CN=node', 'extendedKeyUsage=clientAuth');
  api = new FakeApi({
    key: readFileSync(`${dir}/server.key`, 'utf8'),
    cert: readFileSync(`${dir}/server.pem`, 'utf8'),
    ca: readFileSync(`${dir}/ca.pem`, 'utf8'),
    requestCert: true,
    rejectUnauthorized: true,
  });
  api.put(fakeNode(1));
});

afterAll(async () => {
  await api.stop();
  rmSync(dir, { recursive: true });
});

async function get(cluster: string, user: string): Promise<unknown> {
  const path = `${dir}/kubeconfig`;
  writeFileSync(
    path,
    `current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "https://127.0.0.1:${api.port}", ${cluster}}}]
users: [{name: u, user: {${user}}}]
`,
  );
  const config = await loadKubeConfig({ kubeconfigFile: path, env: {} });
  const client = createKubeClient(config, { clock: fastClock, random: Math.random, timeout: 3000 });
  try {
    return await client.get('/api/v1/nodes/n1', { select, signal });
  } catch (error) {
    return error;
  } finally {
    client.close();
  }
}

const CLIENT = 'client-certificate: client.pem, client-key: client.key';

test('a private CA, a server name and a client certificate from files', async () => {
  expect(await get('certificate-authority: ca.pem, tls-server-name: kubernetes', CLIENT)).toEqual({
    metadata: { name: 'n1' },
  });
});

test('the same inline', async () => {
  const data = (file: string) => readFileSync(`${dir}/${file}`).toString('base64');
  const user = `client-certificate-data: ${data('client.pem')}, client-key-data: ${data('client.key')}`;
  const cluster = `certificate-authority-data: ${data('ca.pem')}, tls-server-name: kubernetes`;
  expect(await get(cluster, user)).toEqual({ metadata: { name: 'n1' } });
});

test('insecure-skip-tls-verify', async () => {
  expect(await get('insecure-skip-tls-verify: true', CLIENT)).toEqual({ metadata: { name: 'n1' } });
});

test('the wrong CA is an x509 error with its cure', async () => {
  const error = await get('certificate-authority: stranger.pem, tls-server-name: kubernetes', CLIENT);
  expect(error instanceof TransportError && error.failure).toBe('tls');
  expect(String(error)).toContain('x509');
  expect(error instanceof TransportError && error.cure).toContain('CA');
});

test('a name the certificate does not have', async () => {
  const error = await get('certificate-authority: ca.pem', CLIENT);
  expect(String(error)).toContain('does not name this address');
  expect(error instanceof TransportError && error.cure).toContain('tls-server-name');
});

test('without a client certificate the server closes the door', async () => {
  expect(await get('certificate-authority: ca.pem, tls-server-name: kubernetes', 'token: t')).toBeInstanceOf(
    TransportError,
  );
});

test('a certificate file that is no PEM names the file', async () => {
  writeFileSync(`${dir}/junk.pem`, 'junk');
  expect(String(await get('certificate-authority: junk.pem', CLIENT))).toContain(
    'junk.pem: is not PEM text with a CERTIFICATE',
  );
});

test.each([
  ['expired', '200101000000Z', '210101000000Z', 'its certificate has expired', 'renew the certificate'],
  ['early', '480101000000Z', '490101000000Z', 'its certificate is not valid yet', 'set the clock'],
])('a certificate out of its time: %s', async (name, start, end, words, cure) => {
  const other = new FakeApi(issueBetween(name, start, end));
  try {
    const server = `https://127.0.0.1:${other.port}`;
    const ca = Secret.file(`${dir}/ca.pem`);
    const client = createKubeClient(
      { server, source: 't', ca, insecure: false },
      { clock: fastClock, random: Math.random },
    );
    const error = await client.get('/api/v1/nodes/n1', { select, signal }).catch((each: unknown) => each);
    expect(error instanceof TransportError && error.failure).toBe('tls');
    expect(String(error)).toContain(`x509: ${words}`);
    expect(cureOf(error)).toContain(cure);
  } finally {
    await other.stop();
  }
});

test('CA and client certificate replaced on disk: the next request uses them, and a watch goes on', async () => {
  for (const [from, to] of [
    ['stranger.pem', 'now-ca.pem'],
    ['client.pem', 'now.pem'],
    ['client.key', 'now.key'],
  ] as const)
    copyFileSync(`${dir}/${from}`, `${dir}/${to}`);
  const clock = { ...fastClock, monotonic: () => time };
  let time = 0;
  const file = (name: string) => Secret.file(`${dir}/${name}`);
  const client = createKubeClient(
    {
      server: `https://127.0.0.1:${api.port}`,
      source: 't',
      serverName: 'kubernetes',
      insecure: false,
      ca: file('now-ca.pem'),
      cert: file('now.pem'),
      key: file('now.key'),
    },
    { clock, random: Math.random },
  );
  const node = () =>
    client.get('/api/v1/nodes/n1', { select, signal }).catch((error: unknown) => String(error));
  expect(await node()).toContain('x509: its certificate is signed by a CA we do not trust');
  copyFileSync(`${dir}/ca.pem`, `${dir}/now-ca.pem`);
  time += 1000;
  expect(await node()).toEqual({ metadata: { name: 'n1' } });
  const stop = new AbortController();
  const events: string[] = [];
  const options = {
    select,
    signal: stop.signal,
    resourceVersion: '1',
    onEvent: () => void events.push('event'),
  };
  const watching = client.watch('/api/v1/nodes', options).catch(() => {});
  await until(() => events.length === 1, 'the watch');
  // The new pair is not complete for a moment; then it is, and the server takes no other.
  issue('renewed', 'ca', '/O=system:nodes/CN=renewed', 'extendedKeyUsage=clientAuth');
  copyFileSync(`${dir}/renewed.pem`, `${dir}/now.pem`);
  time += 1000;
  expect(await node()).toBeString();
  copyFileSync(`${dir}/renewed.key`, `${dir}/now.key`);
  time += 1000;
  expect(await node()).toEqual({ metadata: { name: 'n1' } });
  api.put(fakeNode(2));
  await until(() => events.length === 2, 'an event of the watch opened before');
  stop.abort();
  await watching;
  client.close();
});
