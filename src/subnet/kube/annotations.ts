import { ConfigError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';

/** Names of the Node annotations, with their prefix. */
export interface AnnotationKeys {
  /** Ends in `/` or `-`. */
  readonly prefix: string;
  readonly managed: string;
  readonly backendType: string;
  readonly backendData: Readonly<Record<Family, string>>;
  readonly publicIp: Readonly<Record<Family, string>>;
  /** The operator's replacement for what the node publishes. */
  readonly publicIpOverwrite: Readonly<Record<Family, string>>;
  /** The operator's wish, read at start. */
  readonly nodePublicIp: Readonly<Record<Family, string>>;
}

export const DEFAULT_PREFIX = 'flannel.alpha.coreos.com';

/**
 * The keys for `--kube-annotation-prefix`, by the original's rules: at most one slash; none: one is appended; then a `-`
 * unless it ends in `/` or `-`. Throws ConfigError. Source: flannel pkg/subnet/kube/annotations.go.
 */
export function annotationKeys(given: string = DEFAULT_PREFIX): AnnotationKeys {
  const path = '--kube-annotation-prefix';
  const slashes = given.split('/').length - 1;
  if (slashes > 1)
    throw new ConfigError(path, `${JSON.stringify(given.slice(0, 300))} holds more than one slash`);
  const slashed = slashes === 0 ? `${given}/` : given;
  const prefix = /[/-]$/.test(slashed) ? slashed : `${slashed}-`;
  if (!/^([a-z0-9_-]+\.)+[a-z0-9_-]+\/([a-z0-9_-]+-)?$/.test(prefix)) {
    throw new ConfigError(path, `${JSON.stringify(given.slice(0, 300))} must look like fqdn/[0-9a-z_-]*`);
  }
  return {
    prefix,
    managed: `${prefix}kube-subnet-manager`,
    backendType: `${prefix}backend-type`,
    backendData: { ipv4: `${prefix}backend-data`, ipv6: `${prefix}backend-v6-data` },
    publicIp: { ipv4: `${prefix}public-ip`, ipv6: `${prefix}public-ipv6` },
    publicIpOverwrite: { ipv4: `${prefix}public-ip-overwrite`, ipv6: `${prefix}public-ipv6-overwrite` },
    nodePublicIp: { ipv4: `${prefix}node-public-ip`, ipv6: `${prefix}node-public-ipv6` },
  };
}
