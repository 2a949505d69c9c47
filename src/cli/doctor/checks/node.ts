import { isMissing } from '#clients/k8s/errors.ts';
import { missingSubnets } from '#subnet/kube/own.ts';
import type { Facts } from '../facts/facts.ts';
import { error, ok, warning, type Check, type Finding } from '../finding.ts';

export const node: Check = {
  id: 'node',
  title: "this node's Node object has a pod subnet and says what peers need",
  async run(facts) {
    try {
      return await judge(facts);
    } catch (failure) {
      if (!isMissing(failure)) throw failure;
      return [
        error({
          what: `there is no Node ${await facts.cluster.nodeName()}`,
          why: 'the agent waits for it: this node gets no subnet',
          cure: 'check that the kubelet has registered (kubectl get nodes), and that NODE_NAME is the name of its Node',
        }),
      ];
    }
  },
};

async function judge(facts: Facts): Promise<readonly Finding[]> {
  const { cluster } = facts;
  const own = await cluster.ownNode();
  const config = facts.config();
  const missing = missingSubnets(own, config);
  if (missing !== undefined)
    return [
      error({
        what: `${own.name}: ${missing.reason}`,
        why: 'the agent waits for a subnet: this node gets no pods',
        cure: missing.cure,
      }),
    ];
  if (facts.agent.pid === undefined || facts.statusIfAny?.ready !== true)
    return [ok(`${own.name}: ${own.podCidrs.join(', ')}`)];
  const { keys } = cluster;
  const published = own.annotations.get(keys.managed) === 'true' && own.annotations.has(keys.backendType);
  if (published) return [ok(`${own.name}: ${own.podCidrs.join(', ')}`)];
  return [
    warning({
      what: `the annotations of Flannel are not on the Node ${own.name}`,
      why: 'the other nodes do not send to this one',
      cure: 'the agent writes them again; if they vanish again, find who removes them: kubectl get node -o yaml --show-managed-fields',
    }),
  ];
}
