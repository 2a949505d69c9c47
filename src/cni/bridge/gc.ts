import { Rtnetlink } from '#rtnetlink/client.ts';
import { ipamOf } from '../ipam.ts';
import { validAttachments, type Invocation } from '../plugin.ts';
import { parseIdentity } from './config.ts';

/** GC of `bridge`: addresses and rules that belong to no valid attachment. Interfaces go with their namespaces. */
export async function bridgeGc(call: Invocation): Promise<void> {
  const { ipamType, spoofCheck, ipMasq } = parseIdentity(call.conf);
  if (ipamType !== undefined) ipamOf(ipamType).gc(call);
  if (ipMasq) {
    const { collectMasquerade } = await import('./masquerade.ts');
    await collectMasquerade(call);
  }
  if (!spoofCheck) return;
  const valid = validAttachments(call.conf);
  const { collectSpoofChecks, openRules } = await import('./spoof-check.ts');
  using client = Rtnetlink.open();
  const exists = (name: string) => client.link(name) !== undefined;
  collectSpoofChecks(openRules(call.host), { network: call.conf.name, valid }, exists);
}
