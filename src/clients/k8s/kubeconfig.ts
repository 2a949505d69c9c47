import { ConfigError, describe } from '#base/errors.ts';
import type { KubeConfig } from './config.ts';
import { Secret } from '../secret.ts';

type Table = Readonly<Record<string, unknown>>;

/** A value of the file together with its place, for messages. */
interface Place {
  readonly table: Table;
  readonly path: string;
}

export interface KubeconfigOptions {
  /** The file's path: messages name it, relative paths inside are relative to its folder. */
  readonly path: string;
  /** `--kube-api-url`: wins over the cluster's `server`. */
  readonly server?: string | undefined;
}

/**
 * Parses a kubeconfig (YAML or JSON): the current context's cluster and user, as in `kubectl config view`. Throws
 * ConfigError for what is missing, contradicts itself, or needs a program to run.
 */
export function parseKubeconfig(text: string, options: KubeconfigOptions): KubeConfig {
  const root = parseRoot(text, options.path);
  const context = currentContext(root);
  const cluster = named(root, 'clusters', { name: context.cluster, key: 'cluster' });
  const user =
    context.user === undefined ? undefined : named(root, 'users', { name: context.user, key: 'user' });
  const server = options.server ?? stringOf(cluster, 'server');
  if (server === undefined) throw new ConfigError(`${cluster.path}.server`, 'is missing');
  const insecure = cluster.table['insecure-skip-tls-verify'] === true;
  const dir = options.path.includes('/') ? options.path.slice(0, options.path.lastIndexOf('/') + 1) : '';
  const ca = secretOf(cluster, 'certificate-authority', dir);
  if (insecure && ca !== undefined) {
    const cure = 'remove insecure-skip-tls-verify';
    throw new ConfigError(`${cluster.path}.insecure-skip-tls-verify`, 'makes no sense beside a CA', { cure });
  }
  const proxy = stringOf(cluster, 'proxy-url');
  const serverName = stringOf(cluster, 'tls-server-name');
  return {
    server: serverUrl(server, options.server === undefined ? `${cluster.path}.server` : '--kube-api-url'),
    source: options.path,
    insecure,
    ...(ca !== undefined && { ca }),
    ...(serverName !== undefined && { serverName }),
    ...(proxy !== undefined && { proxy }),
    ...(user !== undefined && userOf(user, dir)),
  };
}

/** Checks an API address; returns it without a trailing slash. */
export function serverUrl(text: string, path: string): string {
  const url = URL.parse(text);
  const plain =
    url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!plain || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ConfigError(
      path,
      'must be an address such as https://192.0.2.1:6443, without credentials or query',
    );
  }
  return url.href.replace(/\/+$/, '');
}

function parseRoot(text: string, path: string): Place {
  let value: unknown;
  try {
    value = Bun.YAML.parse(text);
  } catch (error) {
    throw new ConfigError(path, `not valid YAML: ${describe(error)}`);
  }
  if (!isTable(value))
    throw new ConfigError(path, 'is not a kubeconfig: it must hold clusters, users and contexts');
  return { table: value, path: `${path}: ` };
}

function currentContext(root: Place): { cluster: string; user: string | undefined } {
  const given = stringOf(root, 'current-context');
  const contexts = listOf(root, 'contexts');
  const only = contexts.length === 1 && isTable(contexts[0]) ? contexts[0].name : undefined;
  const name = given ?? (typeof only === 'string' ? only : undefined);
  if (name === undefined) {
    const cure = 'choose one with kubectl config use-context';
    throw new ConfigError(`${root.path}current-context`, 'is missing', { cure });
  }
  const context = named(root, 'contexts', { name, key: 'context' });
  const cluster = stringOf(context, 'cluster');
  if (cluster === undefined) throw new ConfigError(`${context.path}.cluster`, 'is missing');
  return { cluster, user: stringOf(context, 'user') };
}

/** Credentials of a user entry. */
function userOf(user: Place, dir: string): Pick<KubeConfig, 'token' | 'cert' | 'key'> {
  for (const key of ['exec', 'auth-provider', 'username', 'password', 'as', 'as-uid', 'as-groups']) {
    if (user.table[key] === undefined || user.table[key] === null) continue;
    const cure = 'use token, tokenFile or a client certificate';
    throw new ConfigError(`${user.path}.${key}`, 'is not supported: the agent starts no credential plugins', {
      cure,
    });
  }
  const tokenFile = stringOf(user, 'tokenFile');
  const inline = stringOf(user, 'token');
  // As kubectl does: the file wins, because it can rotate.
  const token =
    tokenFile === undefined ? inline && Secret.inline(inline) : Secret.file(resolve(dir, tokenFile));
  const cert = secretOf(user, 'client-certificate', dir);
  const key = secretOf(user, 'client-key', dir);
  if ((cert === undefined) !== (key === undefined)) {
    throw new ConfigError(
      `${user.path}.client-${cert === undefined ? 'certificate' : 'key'}`,
      'is missing beside its counterpart',
    );
  }
  return {
    ...(token !== undefined && token !== '' && { token }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

/** `<key>-data` (base64 of PEM) or `<key>` (a path). */
function secretOf(place: Place, key: string, dir: string): Secret | undefined {
  const data = stringOf(place, `${key}-data`);
  if (data !== undefined) {
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (!text.includes('-----BEGIN '))
      throw new ConfigError(`${place.path}.${key}-data`, 'is not base64 of PEM text');
    return Secret.inline(text);
  }
  const path = stringOf(place, key);
  return path === undefined ? undefined : Secret.file(resolve(dir, path));
}

function resolve(dir: string, path: string): string {
  return path.startsWith('/') ? path : `${dir}${path}`;
}

function named(root: Place, list: string, wanted: { name: string; key: string }): Place {
  for (const entry of listOf(root, list)) {
    if (!isTable(entry) || entry.name !== wanted.name) continue;
    const table = entry[wanted.key] ?? {};
    const path = `${root.path}${list}[${JSON.stringify(wanted.name)}].${wanted.key}`;
    if (!isTable(table)) throw new ConfigError(path, 'must be a map');
    return { table, path };
  }
  throw new ConfigError(`${root.path}${list}`, `there is no entry named ${JSON.stringify(wanted.name)}`);
}

function listOf(root: Place, key: string): readonly unknown[] {
  const value = root.table[key] ?? [];
  if (!Array.isArray(value)) throw new ConfigError(`${root.path}${key}`, 'must be a list');
  return value;
}

function stringOf(place: Place, key: string): string | undefined {
  const value = place.table[key] ?? '';
  if (typeof value !== 'string') throw new ConfigError(`${place.path}.${key}`, 'must be a string');
  return value === '' ? undefined : value;
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
