import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApiServer } from '#lab/api/server.ts';
import { failureOf } from '#lab/api/test-client.ts';

let folder: string;

/** Makes a self-signed certificate `<name>.crt` and its key `<name>.key`. */
function certificate(name: string): { cert: string; key: string } {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = Bun.spawnSync(['openssl', 'req', ...kind, ...subject, '-keyout', key, '-out', cert]);
  expect(made.exitCode).toBe(0);
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'flannel-tls-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('TLS with a private CA: list, watch and a cut', async () => {
  const own = certificate('server');
  await using server = await startApiServer({ tls: own, token: 'secret' });
  server.nodes.create({ metadata: { name: 'a' } });
  const options = { headers: { authorization: 'Bearer secret' }, tls: { ca: own.cert } };
  expect(server.url).toStartWith('https://127.0.0.1:');
  expect(await (await fetch(`${server.url}/api/v1/nodes/a`, options)).json()).toMatchObject({
    metadata: { name: 'a' },
  });
  await failureOf(fetch(`${server.url}/api/v1/nodes`, { ...options, tls: {} }));
  const watch = await fetch(`${server.url}/api/v1/nodes?watch=1`, options);
  const reader = watch.body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toStartWith('{"type":"ADDED"');
  server.faults.cutWatches();
  await failureOf(Promise.resolve(reader?.read()));
  await server.faults.refuse();
  await server.faults.listen();
  expect((await fetch(`${server.url}/api/v1/nodes`, options)).status).toBe(200);
});

test('a client certificate is required when a CA for it is given', async () => {
  const own = certificate('server');
  const client = certificate('client');
  await using server = await startApiServer({ tls: { ...own, clientCa: client.cert } });
  const list = (tls: object) => fetch(`${server.url}/api/v1/nodes`, { tls: { ca: own.cert, ...tls } });
  expect((await list(client)).status).toBe(200);
  await failureOf(list({}));
  await failureOf(list(certificate('stranger')));
});
