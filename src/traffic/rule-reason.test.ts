import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { ruleReason } from './rule-reason.ts';
import { rulesFor, trafficRules } from './rules.ts';

test('every rule has a reason, and rules that differ in purpose differ in it', () => {
  const set = trafficRules({
    families: [
      {
        network: [Cidr.parse('10.244.0.0/16')],
        subnet: Cidr.parse('10.244.1.0/24'),
        overlay: { source: Ip.parse('10.244.200.1'), port: 8472 },
      },
    ],
    ipMasq: true,
    forward: true,
    randomFully: true,
    exclude: [Cidr.parse('192.168.0.0/16')],
  });
  const [ipv4] = set.families;
  const reasons = (['postrouting', 'forward'] as const).flatMap((name) => {
    const chain = ipv4?.[name] ?? [];
    return rulesFor('nftables', chain).map((rule) => ruleReason(rule, chain));
  });
  expect(reasons).toEqual([
    'kube-proxy masquerades by itself what it has marked',
    "the overlay's own packets keep their source",
    'inside the pod network addresses are kept',
    'inside the pod network addresses are kept',
    'from outside to a pod: it sees the sender',
    "excluded by --ip-masq-exclude: the pods' own addresses are seen there",
    'from a pod to the world outside: it sees the address of the node',
    'from the node itself to a pod elsewhere: answers find their way back',
    'forwarded packets from pods are accepted',
    'forwarded packets to pods are accepted',
  ]);
});
