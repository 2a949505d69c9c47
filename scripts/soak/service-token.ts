import { mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { SoakNode } from './node.ts';

const FOLDER = '/run/secrets/kubernetes.io/serviceaccount';
const KUBECONFIG = '/etc/kube-flannel/kubeconfig';

/** The flag that has an agent read its token from the file, for every request anew. */
export const KUBECONFIG_FLAG = `--kubeconfig-file=${KUBECONFIG}`;

/** How the agent of a node reaches the API server, with its first token. */
export function writeCredentials(node: SoakNode, apiUrl: string): void {
  const config = {
    'current-context': 'soak',
    contexts: [{ name: 'soak', context: { cluster: 'soak', user: 'agent' } }],
    clusters: [{ name: 'soak', cluster: { server: apiUrl } }],
    users: [{ name: 'agent', user: { tokenFile: `${FOLDER}/token` } }],
  };
  writeFileSync(node.file(KUBECONFIG), JSON.stringify(config));
  mkdirSync(node.file(FOLDER), { recursive: true });
  writeToken(node, 'token-0');
  symlinkSync('..data/token', node.file(`${FOLDER}/token`));
}

/** As kubelet does: a folder with the new file, then the link `..data` to it in one step. */
export function writeToken(node: SoakNode, token: string): void {
  const folder = node.file(FOLDER);
  const before = linkTarget(`${folder}/..data`);
  const version = `..${token}`;
  mkdirSync(`${folder}/${version}`);
  writeFileSync(`${folder}/${version}/token`, token, { mode: 0o600 });
  symlinkSync(version, `${folder}/..data_tmp`);
  renameSync(`${folder}/..data_tmp`, `${folder}/..data`);
  if (before !== undefined) rmSync(`${folder}/${before}`, { recursive: true });
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
