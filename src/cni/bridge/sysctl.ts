import { hasErrno } from '#base/errors.ts';
import { readText, writeText } from '#ffi/file-system.ts';
import type { Family } from '#net/family.ts';
import { CniError, CODE } from '../error.ts';

const FORWARDING: Record<Family, string> = { ipv4: 'ipv4/ip_forward', ipv6: 'ipv6/conf/all/forwarding' };

/**
 * Writes `/proc/sys/net/<key>` of this thread's network namespace; false when the kernel has no such key (IPv6 off) or
 * `/proc/sys` may not be written.
 */
export function trySysctl(key: string, value: string): boolean {
  try {
    writeText(`/proc/sys/net/${key}`, value);
    return true;
  } catch (error) {
    if (hasErrno(error, 'ENOENT') || hasErrno(error, 'EROFS') || hasErrno(error, 'EACCES')) return false;
    throw error;
  }
}

/** Turns packet forwarding on unless it is; written only when needed, since `/proc/sys` may be read-only. */
export function enableForwarding(family: Family): void {
  const path = `/proc/sys/net/${FORWARDING[family]}`;
  if (readText(path).trim() !== '0') return;
  try {
    writeText(path, '1');
  } catch (cause) {
    throw new CniError(CODE.INTERNAL, `failed to enable forwarding: ${path} is 0 and cannot be written`, {
      cause,
      details: `set it with sysctl -w net.${FORWARDING[family].replaceAll('/', '.')}=1`,
    });
  }
}

/** Before a bridge goes up or gets an IPv6 address: no router may configure it, and no address waits for detection. */
export function prepareBridge(name: string, dad: boolean): void {
  trySysctl(`ipv6/conf/${name}/accept_ra`, '0');
  if (!dad) trySysctl(`ipv6/conf/${name}/accept_dad`, '0');
}

/**
 * For the container's interface before it goes up; runs inside the container's namespace. False when duplicate address
 * detection was to go and could not be switched off.
 */
export function prepareContainer(
  name: string,
  options: { readonly dad: boolean; readonly ipv6: boolean },
): boolean {
  // Both notify keys: see announce().
  trySysctl(`ipv4/conf/${name}/arp_notify`, '1');
  if (!options.ipv6) return true;
  // An administrator may have IPv6 off by default; an IPv6 address is a wish for it.
  for (const link of ['lo', name]) trySysctl(`ipv6/conf/${link}/disable_ipv6`, '0');
  trySysctl(`ipv6/conf/${name}/keep_addr_on_down`, '1');
  trySysctl(`ipv6/conf/${name}/ndisc_notify`, '1');
  if (options.dad) return trySysctl(`ipv6/conf/${name}/accept_dad`, '1');
  return trySysctl(`ipv6/conf/${name}/accept_dad`, '0');
}
