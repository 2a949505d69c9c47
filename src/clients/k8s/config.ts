import { ConfigError, describe } from '#base/errors.ts';
import { parseKubeconfig, serverUrl } from './kubeconfig.ts';
import { type ReadFile, readTextFile, Secret } from '../secret.ts';

/** How to reach the API server and who we are. */
export interface KubeConfig {
  /** Base address without a trailing slash, e.g. `https://10.96.0.1:443`. */
  readonly server: string;
  /** Where this came from, for the log. */
  readonly source: string;
  /** Bearer token. */
  readonly token?: Secret;
  /** PEM of the CA that signs the server's certificate. */
  readonly ca?: Secret;
  /** PEM of the client certificate and its key. */
  readonly cert?: Secret;
  readonly key?: Secret;
  /** Name to check the server's certificate against, instead of the host in `server`. */
  readonly serverName?: string;
  /** Do not check the server's certificate. */
  readonly insecure: boolean;
  /** A proxy's address; false connects directly; missing: what the environment says. */
  readonly proxy?: string | false;
}

export interface LoadKubeConfigOptions {
  /** `--kubeconfig-file`; empty counts as missing. */
  readonly kubeconfigFile?: string | undefined;
  /** `--kube-api-url`; empty counts as missing. Without a kubeconfig: no credentials, as in the original. */
  readonly apiUrl?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile?: ReadFile;
  /** Folder of the service account; the in-cluster default when missing. */
  readonly serviceAccountDir?: string;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Kubeconfig or API address from the flags, else the service account of the pod. Throws ConfigError. */
export async function loadKubeConfig(options: LoadKubeConfigOptions): Promise<KubeConfig> {
  const readFile = options.readFile ?? readTextFile;
  const path = options.kubeconfigFile;
  const server = options.apiUrl === '' ? undefined : options.apiUrl;
  if (path !== undefined && path !== '') {
    let text: string;
    try {
      text = await readFile(path);
    } catch (error) {
      throw new ConfigError(path, `cannot be read: ${describe(error)}`, { cure: 'check --kubeconfig-file' });
    }
    return parseKubeconfig(text, { path, server });
  }
  if (server !== undefined) {
    return { server: serverUrl(server, '--kube-api-url'), source: '--kube-api-url', insecure: false };
  }
  return inCluster(options, readFile);
}

async function inCluster(options: LoadKubeConfigOptions, readFile: ReadFile): Promise<KubeConfig> {
  const host = options.env.KUBERNETES_SERVICE_HOST ?? '';
  const port = options.env.KUBERNETES_SERVICE_PORT ?? '';
  if (host === '' || port === '') {
    const cure = 'run in a pod, or give --kubeconfig-file or --kube-api-url';
    throw new ConfigError('KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT', 'not set: this is no pod', {
      cure,
    });
  }
  const dir = options.serviceAccountDir ?? SERVICE_ACCOUNT;
  const token = Secret.file(`${dir}/token`);
  const ca = Secret.file(`${dir}/ca.crt`);
  // Both are read again later; a pod without a service account shall say so at once.
  await token.read(readFile);
  await ca.read(readFile);
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const server = serverUrl(`https://${name}:${port}`, 'KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT');
  return { server, source: 'in-cluster service account', token, ca, insecure: false, proxy: false };
}
