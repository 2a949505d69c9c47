import { claimsOf } from '../inspect/difference.ts';
import { overlayText } from '../inspect/overlay-text.ts';
import type { Overlay } from '../inspect/overlay.ts';
import type { PagePlan } from './answers.ts';

/**
 * The plan of an agent that was asked at its socket. The revision is a hash: whoever has seen the same plan, from this process or
 * another, has seen it.
 */
export function planOf(overlay: Overlay): PagePlan {
  const { peers, ...head } = overlay;
  let hash = 0n;
  for (const piece of overlayText(overlay)) hash = BigInt.asUintN(53, Bun.hash.wyhash(piece, hash));
  const conflicts = claimsOf(overlay).conflicts();
  return {
    revision: Number(hash),
    head,
    peers: () => peers,
    peer: (name) => peers.get(name),
    conflicts: () => conflicts,
  };
}
