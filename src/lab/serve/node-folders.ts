import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlannelError } from '#base/errors.ts';
import { mount } from '#ffi/file.ts';
import { setSysctl } from '#host/sysctl.ts';
import { isObject, FLANNEL_CONFLIST } from '../cni/conflist.ts';

/** What a node's folders are filled with. */
export interface NodeFolders {
  /** `net-conf.json`. */
  readonly netConf: string;
  /** Folder of the compiled programs. */
  readonly programs: string;
}

const CNI_PLUGINS = ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'] as const;
/** Folders that a node has for itself, below parents that exist on every machine. */
const OVERLAYS = [
  { parent: '/etc', own: ['/etc/cni/net.d', '/etc/kube-flannel'] },
  { parent: '/opt', own: ['/opt/cni/bin'] },
  { parent: '/var/lib', own: ['/var/lib/cni'] },
] as const;
const SCRATCH = '/run/.lab';

/**
 * Gives this process' mount namespace, a node's, its own `/run`, `/etc/cni/net.d`, `/etc/kube-flannel`, `/opt/cni/bin`
 * and `/var/lib/cni`, whether the machine has these folders or not, and fills them as Flannel's manifest does. Overlays
 * in memory take what must be created in the machine's folders.
 */
export function prepareNode(folders: NodeFolders): void {
  mount({ source: 'tmpfs', target: '/run', type: 'tmpfs', flags: 0, data: 'mode=755' });
  for (const [index, { parent, own }] of OVERLAYS.entries()) {
    overlay(parent, join(SCRATCH, String(index)));
    for (const folder of own) {
      mkdirSync(folder, { recursive: true });
      mount({ source: 'tmpfs', target: folder, type: 'tmpfs', flags: 0, data: 'mode=755' });
    }
  }
  for (const folder of ['/run/flannel', '/run/netns']) mkdirSync(folder, { recursive: true });
  showOwnDevices();
  writeFileSync('/etc/kube-flannel/net-conf.json', folders.netConf);
  for (const name of CNI_PLUGINS) symlinkSync(join(folders.programs, name), `/opt/cni/bin/${name}`);
  // As kubeadm's preflight demands.
  setSysctl('net/ipv4/ip_forward', '1');
  setSysctl('net/bridge/bridge-nf-call-iptables', '1');
  // Last, as an installer does: a runtime takes the network for ready when it sees this file.
  writeFileSync('/etc/cni/net.d/10-flannel.conflist', `${JSON.stringify(FLANNEL_CONFLIST, null, 2)}\n`);
}

function overlay(parent: string, scratch: string): void {
  const [upper, work] = [join(scratch, 'upper'), join(scratch, 'work')];
  for (const folder of [upper, work]) mkdirSync(folder, { recursive: true });
  try {
    mount({
      source: 'overlay',
      target: parent,
      type: 'overlay',
      flags: 0,
      data: `lowerdir=${parent},upperdir=${upper},workdir=${work}`,
    });
  } catch (error) {
    throw new FlannelError('kernel', `a node cannot have ${parent} of its own`, {
      cause: error,
      cure: 'The lab needs the overlay file system: load the kernel module `overlay`',
    });
  }
}

/** `/sys/class/net` shows the devices of the namespace it was mounted in; without this those of the machine. */
function showOwnDevices(): void {
  try {
    mount({ source: 'sysfs', target: '/sys', type: 'sysfs', flags: 0 });
  } catch {
    // Refused in a user namespace where parts of /sys are covered. Nothing of ours reads it.
  }
}

/** Parses the argument of the inner command. */
export function parseNodeFolders(text: string): NodeFolders {
  const value: unknown = JSON.parse(text);
  if (isObject(value) && typeof value['netConf'] === 'string' && typeof value['programs'] === 'string') {
    readdirSync(value['programs']);
    return { netConf: value['netConf'], programs: value['programs'] };
  }
  throw new FlannelError('bug', 'a node is made from netConf and programs');
}
