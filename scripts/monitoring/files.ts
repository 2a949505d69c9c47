import { dashboard } from './dashboard.ts';

/** Hand-written; everything else below packaging/monitoring that holds rules is made of it. */
export const RULES = 'packaging/monitoring/flannel-rules.yaml';
const CHART = 'packaging/helm/flannel/files';

const RULE_HEAD = `# Made of flannel-rules.yaml by npm run reference: the same for the Prometheus operator.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: flannel
  namespace: kube-flannel
  labels:
    app: flannel
    k8s-app: flannel
spec:
`;

/** What is made of the rules and the panels: texts by their paths in the sources. */
export function derivedFiles(rules: string): Readonly<Record<string, string>> {
  const groups = rules.slice(rules.search(/^groups:$/m));
  const model = `${JSON.stringify(dashboard(), undefined, 2)}\n`;
  return {
    'packaging/monitoring/prometheusrule.yaml': RULE_HEAD + groups.replaceAll(/^(?=.)/gm, '  '),
    'packaging/monitoring/flannel-dashboard.json': model,
    [`${CHART}/flannel-rules.yaml`]: groups,
    [`${CHART}/flannel-dashboard.json`]: model,
  };
}
