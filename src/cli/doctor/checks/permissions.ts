import { ALL, members } from '#clients/k8s/selection.ts';
import { isObject } from '#lab/cni/conflist.ts';
import type { Facts } from '../facts/facts.ts';
import { error, info, NotAsked, orOk, type Check, type Finding } from '../finding.ts';
import { isRefused } from '#clients/k8s/errors.ts';

interface Permission {
  readonly verb: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly without: string;
  /** The agent goes on without it. */
  readonly optional?: true;
}

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

export const permissions: Check = {
  id: 'permissions',
  title: 'the API server lets the agent do its work',
  async run(facts) {
    const wanted = permissionsOf(facts);
    const findings = await Promise.all(wanted.map((permission) => review(facts, permission)));
    return orOk(findings.flat(), wanted.map(words).join(', '));
  },
};

function permissionsOf({ agent }: Facts): Permission[] {
  const podName: Permission = {
    verb: 'get',
    resource: 'pods',
    without: 'the agent cannot find the name of its node (NODE_NAME is not set)',
  };
  return [
    ...((agent.env['NODE_NAME'] ?? '') === '' && agent.pid !== undefined ? [podName] : []),
    { verb: 'get', resource: 'nodes', without: 'the agent does not learn the subnet of this node' },
    { verb: 'list', resource: 'nodes', without: 'the agent learns of no other node' },
    {
      verb: 'watch',
      resource: 'nodes',
      without: 'the agent does not learn of nodes that come, change and go',
    },
    {
      verb: 'patch',
      resource: 'nodes',
      subresource: 'status',
      without: 'the agent cannot publish its address: no other node sends to this one',
    },
    {
      verb: 'create',
      resource: 'events',
      without: 'a Node without podCIDR carries no Warning',
      optional: true,
    },
  ];
}

function words({ verb, resource, subresource }: Permission): string {
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
}

async function review({ cluster, signal }: Facts, permission: Permission): Promise<Finding[]> {
  const { verb, resource, subresource = '', without, optional } = permission;
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { group: '', verb, resource, subresource } },
  };
  const select = members({ status: members({ allowed: ALL }) });
  let answer: unknown;
  try {
    answer = await (await cluster.client()).create(REVIEWS, { body, select, signal });
  } catch (failure) {
    if (isRefused(failure)) throw new NotAsked('the API server does not answer questions about permissions');
    throw failure;
  }
  const status = isObject(answer) ? answer['status'] : undefined;
  if (isObject(status) && status['allowed'] === true) return [];
  const trouble = {
    what: `the agent may not ${words(permission)}`,
    why: without,
    cure: "kubectl apply -f kube-flannel.yml (its ClusterRole flannel and the binding to the agent's service account)",
  };
  return [optional === true ? info(trouble) : error(trouble)];
}
