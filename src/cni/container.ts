import { hasErrno } from '#base/errors.ts';
import { Netns } from '#ffi/netns.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { CniError, CODE } from './error.ts';

/** A container's namespace: the open file and a client bound to it. */
export interface Container extends Disposable {
  readonly netns: Netns;
  readonly client: Rtnetlink;
}

/** Opens the namespace. Throws CniError 999 with its path. */
export function openContainer(path: string): Container {
  let netns: Netns | undefined;
  try {
    netns = Netns.open(path);
    return container(netns);
  } catch (cause) {
    netns?.close();
    throw new CniError(CODE.INTERNAL, `failed to open netns ${JSON.stringify(path)}`, {
      cause,
      details: 'the container is gone, or CNI_NETNS names another file',
    });
  }
}

/** As `openContainer` for DEL: undefined when the namespace is gone, or the file is what an unmount left of it. */
export function openLivingContainer(path: string): Container | undefined {
  const netns = path === '' ? undefined : Netns.tryOpen(path);
  if (netns === undefined) return undefined;
  try {
    return container(netns);
  } catch (error) {
    netns.close();
    if (hasErrno(error, 'EINVAL')) return undefined;
    throw error;
  }
}

function container(netns: Netns): Container {
  const client = Rtnetlink.openIn(netns);
  return {
    netns,
    client,
    [Symbol.dispose]() {
      client.close();
      netns.close();
    },
  };
}
