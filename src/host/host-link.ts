import type { Link } from '#rtnetlink/link.ts';
import type { HostLink } from './kernel.ts';

/** A link as the reconciler sees it. */
export function hostLink(link: Link): HostLink {
  const { index, name, mtu, mac, up, master, kind } = link;
  const vxlan =
    kind?.type === 'vxlan'
      ? {
          vni: kind.vni,
          port: kind.port,
          local: kind.local,
          remote: kind.remote,
          parent: kind.parent,
          learning: kind.learning,
          gbp: kind.gbp === true,
        }
      : undefined;
  return { index, name, mtu, mac, up, master, vxlan, kind: kind?.type === 'other' ? kind.name : kind?.type };
}
