import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEtcdClient, type EtcdClient, type KeyValue, type KvEvent } from '#clients/etcd/client.ts';
import { cureOf } from '#base/errors.ts';
import { isCompacted } from '#clients/etcd/errors.ts';
import type { EtcdConfig } from '#clients/etcd/transport.ts';
import { Secret } from '#clients/secret.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { AT_ONCE, eventually } from '../support/eventually.ts';

const never = new AbortController().signal;

function clientOf(endpoints: readonly string[], more: Partial<EtcdConfig> = {}): EtcdClient {
  return createEtcdClient({ endpoints, username: '', ...more });
}

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it did not fail');
}

async function listed(client: EtcdClient, prefix: string) {
  const kvs: KeyValue[] = [];
  const revision = await client.list(prefix, { signal: never, onPage: (page) => kvs.push(...page) });
  return { kvs, revision };
}

/** Follows a prefix in the background. */
function follow(client: EtcdClient, prefix: string, revision: bigint) {
  const stop = new AbortController();
  const events: KvEvent[] = [];
  const created = Promise.withResolvers<void>();
  const ended = client.watch({
    prefix,
    revision,
    signal: stop.signal,
    onEvents: (more) => events.push(...more),
    onCreated: () => created.resolve(),
  });
  const end = ended.catch((error: unknown) => error);
  return { events, created: created.promise, end, stop: () => stop.abort(new Error('enough')) };
}

describe('one member', () => {
  let etcd: EtcdCluster;
  let client: EtcdClient;

  beforeAll(async () => {
    etcd = await EtcdCluster.start();
    client = clientOf(etcd.endpoints);
  });
  afterAll(async () => {
    client.close();
    await etcd[Symbol.asyncDispose]();
  });

  test('a key is made once, changed when unchanged, deleted when unchanged', async () => {
    const put = (value: string, unchangedSince: bigint) =>
      client.putIf({ key: '/t/a', value, lease: 0n, unchangedSince }, never);
    expect(await client.get('/t/a', never)).toBeUndefined();
    expect(await put('1', 0n)).toBe(true);
    expect(await put('2', 0n)).toBe(false);
    const first = await client.get('/t/a', never);
    expect(first).toMatchObject({ key: '/t/a', value: '1', lease: 0n });
    expect(await put('ünï', first?.modRevision ?? 0n)).toBe(true);
    expect(await put('4', first?.modRevision ?? 0n)).toBe(false);
    expect(await client.deleteIf('/t/a', first?.modRevision ?? 0n, never)).toBe(false);
    const second = await client.get('/t/a', never);
    expect(second?.value).toBe('ünï');
    expect(await client.deleteIf('/t/a', second?.modRevision ?? 0n, never)).toBe(true);
    expect(await client.get('/t/a', never)).toBeUndefined();
  });

  test('a list of several pages, and nothing of its neighbours', async () => {
    const many = Array.from({ length: 2300 }, (_, i) => `/many/${String(i).padStart(5, '0')}`);
    for (let at = 0; at < many.length; at += 100) {
      const txn = many.slice(at, at + 100).map((key) => `put ${key} v`);
      const input = `\n${txn.join('\n')}\n\n\n`;
      Bun.spawnSync(['etcdctl', `--endpoints=${etcd.endpoints[0]}`, 'txn'], {
        stdin: Buffer.from(input),
        env: { ETCDCTL_API: '3', PATH: process.env['PATH'] ?? '' },
      });
    }
    etcd.ctl('put', '/many0', 'x');
    etcd.ctl('put', '/many', 'x');
    const { kvs, revision } = await listed(client, '/many/');
    expect(kvs.map(({ key }) => key)).toEqual(many);
    expect(revision).toBeGreaterThan(20n);
  });

  test('leases: granted, kept alive, revoked, and what goes with them', async () => {
    const lease = await client.grant(600, never);
    expect(await client.putIf({ key: '/t/l', value: 'x', lease, unchangedSince: 0n }, never)).toBe(true);
    expect((await client.get('/t/l', never))?.lease).toBe(lease);
    expect(await client.keepAlive(lease, never)).toBe(600);
    await client.revoke(lease, never);
    await client.revoke(lease, never);
    expect(await client.keepAlive(lease, never)).toBe(0);
    expect(await client.get('/t/l', never)).toBeUndefined();
    expect(
      (await failure(client.putIf({ key: '/t/l', value: 'x', lease, unchangedSince: 0n }, never))).message,
    ).toContain('requested lease not found');
  });

  test('a watch tells all since a revision, then what happens', async () => {
    etcd.ctl('put', '/w/a', '1');
    const { revision } = await listed(client, '/w/');
    etcd.ctl('put', '/w/b', '2');
    const watch = follow(client, '/w/', revision + 1n);
    await watch.created;
    etcd.ctl('put', '/wx', '-');
    etcd.ctl('del', '/w/a');
    await eventually(() => expect(watch.events).toHaveLength(2));
    expect(watch.events).toMatchObject([
      { type: 'put', kv: { key: '/w/b', value: '2' } },
      { type: 'delete', kv: { key: '/w/a' } },
    ]);
    watch.stop();
    expect(await watch.end).toMatchObject({ message: 'enough' });
  });

  test('a watch from before a compaction says so', async () => {
    etcd.ctl('put', '/c/a', '1');
    const { revision } = await listed(client, '/c/');
    etcd.ctl('put', '/c/a', '2');
    etcd.ctl('compact', String(revision + 1n));
    const watch = follow(client, '/c/', revision - 1n);
    expect(isCompacted(await watch.end)).toBe(true);
  });

  test('a member that is not there, in words; the next one is asked', async () => {
    const dead = 'http://127.0.0.1:9';
    const refused = await failure(clientOf([dead]).get('/t', never));
    expect(refused.message).toContain('connection refused');
    expect(cureOf(refused)).toContain('and that etcd runs');
    const both = clientOf([dead, ...etcd.endpoints]);
    expect(await both.get('/none', never)).toBeUndefined();
    expect(both.endpoint).toBe(etcd.endpoints[0] ?? '');
  });

  test('something that is no etcd', async () => {
    using server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response('<html>', { status: 404 }),
    });
    const error = await failure(clientOf([`http://127.0.0.1:${server.port}`]).get('/t', never));
    expect(error.message).toContain('404: <html>');
    expect(cureOf(error)).toContain('JSON gateway');
  });

  test('answers that are damaged, endless, or silent', async () => {
    const bodies: Record<string, () => Response> = {
      damaged: () => new Response('{"header":'),
      'wrong type': () => Response.json({ header: {}, kvs: 'x' }),
      endless: () =>
        new Response(
          new ReadableStream({
            pull: (to) => to.enqueue(new Uint8Array(1 << 20)),
          }),
        ),
    };
    for (const [name, answer] of Object.entries(bodies)) {
      using server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer });
      const error = await failure(clientOf([`http://127.0.0.1:${server.port}`]).get('/t', never));
      expect([name, error.name]).toEqual([name, name === 'endless' ? 'EtcdError' : 'DecodeError']);
    }
  });

  test('an abort is immediate, also for a watch', async () => {
    const watch = follow(client, '/z/', 0n);
    await watch.created;
    const start = performance.now();
    watch.stop();
    await watch.end;
    expect(performance.now() - start).toBeLessThan(AT_ONCE);
  });
});

test('three members: one dies, one freezes, the rest of the cluster answers', async () => {
  await using etcd = await EtcdCluster.start({ members: 3 });
  const client = clientOf(etcd.endpoints);
  await client.putIf({ key: '/a', value: '1', lease: 0n, unchangedSince: 0n }, never);
  await etcd.kill(0);
  // The others may have to elect a leader first.
  await eventually(async () => expect((await client.get('/a', never))?.value).toBe('1'));
  expect(client.endpoint).not.toBe(etcd.endpoints[0] ?? '');
  await etcd.restart(0);
  const at = etcd.endpoints.indexOf(client.endpoint);
  await etcd.freeze(at);
  const start = performance.now();
  await eventually(async () => expect((await client.get('/a', never))?.value).toBe('1'), 30_000);
  expect(performance.now() - start).toBeGreaterThan(1000);
  expect(etcd.endpoints.indexOf(client.endpoint)).not.toBe(at);
  etcd.thaw(at);
});

test('the leader is lost: what was written stays, and the watch goes on elsewhere', async () => {
  await using etcd = await EtcdCluster.start({ members: 3 });
  const client = clientOf(etcd.endpoints);
  await client.putIf({ key: '/a', value: '1', lease: 0n, unchangedSince: 0n }, never);
  const leader = etcd.leader();
  await etcd.kill(leader);
  await eventually(async () => expect((await client.get('/a', never))?.value).toBe('1'));
  await eventually(async () => {
    const kv = await client.get('/a', never);
    const put = { key: '/a', value: '2', lease: 0n, unchangedSince: kv?.modRevision ?? 0n };
    expect(await client.putIf(put, never)).toBe(true);
  });
  const watch = follow(client, '/a', 1n);
  await watch.created;
  await eventually(() => expect(watch.events.map(({ kv }) => kv.value)).toEqual(['1', '2']));
  watch.stop();
});

describe('TLS and authentication', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flannel-etcd-tls-'));
  const file = (name: string) => join(folder, name);
  let etcd: EtcdCluster;

  function openssl(...args: readonly string[]): void {
    const made = Bun.spawnSync(['openssl', ...args], { cwd: folder });
    if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  }

  function certificate(name: string, ca: string, subject = `/CN=${name}`): void {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      `${name}.key`,
    ];
    openssl('req', ...key, '-out', `${name}.csr`, '-subj', subject);
    const extensions = 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n';
    Bun.spawnSync(['tee', file(`${name}.ext`)], { stdin: Buffer.from(extensions) });
    const sign = ['-CA', `${ca}.crt`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', '2'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...sign, '-extfile', `${name}.ext`, '-out', `${name}.crt`);
  }

  function authority(name: string): void {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      `${name}.key`,
    ];
    openssl('req', '-x509', ...key, '-days', '2', '-subj', `/CN=${name}`, '-out', `${name}.crt`);
  }

  const tls = (name: string, ca = 'ca') => ({
    ca: Secret.file(file(`${ca}.crt`)),
    cert: Secret.file(file(`${name}.crt`)),
    key: Secret.file(file(`${name}.key`)),
  });

  beforeAll(async () => {
    authority('ca');
    authority('other');
    certificate('server', 'ca');
    certificate('client', 'ca');
    certificate('nameless', 'ca', '/O=flannel');
    certificate('stranger', 'other');
    etcd = await EtcdCluster.start({
      tls: { ca: file('ca.crt'), cert: file('server.crt'), key: file('server.key') },
    });
  });
  afterAll(async () => {
    await etcd[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("with CA and client certificate; without, or with a stranger's, in words", async () => {
    expect(await clientOf(etcd.endpoints, tls('client')).get('/a', never)).toBeUndefined();
    const wrongCa = await failure(clientOf(etcd.endpoints, tls('client', 'other')).get('/a', never));
    expect(wrongCa.message).toContain('x509');
    await failure(clientOf(etcd.endpoints, tls('stranger')).get('/a', never));
    await failure(clientOf(etcd.endpoints, { ca: Secret.file(file('ca.crt')) }).get('/a', never));
    const missing = await failure(
      clientOf(etcd.endpoints, { ca: Secret.file(file('none.crt')) }).get('/a', never),
    );
    expect(missing.message).toContain('none.crt: cannot be read');
  });

  test('user and password: read and write below the prefix only; a wrong password is told without saying it', async () => {
    const secure = tls('nameless');
    etcd.ctl('user', 'add', 'root:rootpw');
    etcd.ctl('user', 'grant-role', 'root', 'root');
    etcd.ctl('user', 'add', 'flannel:s3cret');
    etcd.ctl('role', 'add', 'flannel');
    etcd.ctl('role', 'grant-permission', 'flannel', '--prefix=true', 'readwrite', '/coreos.com/network/');
    etcd.ctl('user', 'grant-role', 'flannel', 'flannel');
    etcd.ctl('--user=root:rootpw', 'auth', 'enable');
    const client = clientOf(etcd.endpoints, {
      ...secure,
      username: 'flannel',
      password: Secret.inline('s3cret'),
    });
    const key = '/coreos.com/network/config';
    expect(await client.putIf({ key, value: '{}', lease: 0n, unchangedSince: 0n }, never)).toBe(true);
    const named = await failure(clientOf(etcd.endpoints, tls('client')).get(key, never));
    expect(cureOf(named)).toContain('CommonName');
    const watch = follow(client, '/coreos.com/network/', 0n);
    await watch.created;
    watch.stop();
    const denied = await failure(client.get('/secret', never));
    expect(denied.message).toContain('permission denied');
    const wrong = clientOf(etcd.endpoints, {
      ...secure,
      username: 'flannel',
      password: Secret.inline('n0t-it'),
    });
    const refused = await failure(wrong.get(key, never));
    expect(refused.message).toContain('authentication failed');
    expect(JSON.stringify(refused) + refused.stack).not.toContain('n0t-it');
    const nobody = await failure(clientOf(etcd.endpoints, { ...secure }).get(key, never));
    expect(nobody.name).toBe('EtcdError');
    // Authentication is switched off again: the user does no harm.
    etcd.ctl('--user=root:rootpw', 'auth', 'disable');
    expect((await client.get(key, never))?.value).toBe('{}');
    const late = clientOf(etcd.endpoints, {
      ...secure,
      username: 'flannel',
      password: Secret.inline('s3cret'),
    });
    expect((await late.get(key, never))?.value).toBe('{}');
  });
});
