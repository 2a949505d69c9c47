import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Netns } from '#ffi/netns.ts';
import type { Cidr } from '#net/cidr.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Facts } from '../facts/facts.ts';
import { reservationsBelow, type Reservations } from '../facts/reservations.ts';
import { few, info, orOk, warning, type Check, type Finding } from '../finding.ts';

/** Namespaces that are looked into: each costs a socket and two questions. */
const MOST = 1000;

export const ipam: Check = {
  id: 'ipam',
  title: 'reservations of addresses agree with the pods that are there',
  run(facts) {
    const { subnets } = facts;
    const reservations = reservationsBelow(facts.ipamDir);
    const findings = [...leftovers(facts, reservations), ...unreserved(facts, { ...reservations, subnets })];
    return orOk(findings, `${reservations.held.size} reservations`);
  },
};

/** Of pods that are gone. The agent frees them, host-local only when it runs out of addresses. */
function leftovers({ agent }: Facts, { leftovers: gone }: Reservations): Finding[] {
  if (gone.length === 0) return [];
  const sweeps = agent.pid !== undefined && agent.flags['ipam-dir'] !== '';
  const severe = sweeps ? info : warning;
  return [
    severe({
      what: `reserved for pods that are gone: ${few(gone.map(({ ip }) => ip.toString()))}`,
      why: 'these addresses cannot be given to new pods until they are freed',
      cure: sweeps
        ? 'nothing: the agent frees them within three minutes'
        : 'start the agent with --ipam-dir=/var/lib/cni/networks: it frees them',
    }),
  ];
}

interface Scene extends Pick<Reservations, 'held'> {
  readonly subnets: readonly Cidr[];
}

/** Addresses of pods that the store knows nothing of: the next pod may get the same. */
function unreserved({ options }: Facts, { held, subnets }: Scene): Finding[] {
  const found = podAddresses(options.netnsDir, subnets).filter(({ ip }) => !held.has(ip));
  if (found.length === 0) return [];
  return [
    warning({
      what: `in use without a reservation: ${few(found.map(({ ip, name }) => `${ip} (${name})`))}`,
      why: 'the address can be given to another pod, too: one of them then has no network',
      cure: 'delete the pods with these addresses: kubectl get pods -A -o wide',
    }),
  ];
}

function podAddresses(
  folder: string,
  subnets: readonly Cidr[],
): { readonly ip: string; readonly name: string }[] {
  let names: string[];
  try {
    names = readdirSync(folder).slice(0, MOST);
  } catch {
    // No runtime here mounts its namespaces there.
    return [];
  }
  return names.flatMap((name) => {
    try {
      using netns = Netns.open(join(folder, name));
      using net = Rtnetlink.openIn(netns);
      return net
        .addresses()
        .filter(({ cidr }) => subnets.some((subnet) => subnet.contains(cidr.ip)))
        .map(({ cidr }) => ({ ip: cidr.ip.toString(), name }));
    } catch {
      // It has just gone, or is no namespace.
      return [];
    }
  });
}
