import { readFileSync } from 'node:fs';
import { sourcePath } from './packaging.ts';

export const RULES_FILE = sourcePath('packaging/monitoring/flannel-rules.yaml');
export const DASHBOARD_FILE = sourcePath('packaging/monitoring/flannel-dashboard.json');

/** A rule of the alert file. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<'summary' | 'description' | 'runbook', string>>;
}

export function alertRules(): readonly AlertRule[] {
  const read = Bun.YAML.parse(readFileSync(RULES_FILE, 'utf8')) as {
    readonly groups: readonly { readonly rules: readonly AlertRule[] }[];
  };
  return read.groups.flatMap(({ rules }) => rules);
}

/** What the tests read of a panel. */
export interface DashboardPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

/** What the tests read of the dashboard. */
export interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly DashboardPanel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8')) as Dashboard;
}

/** The expressions of the panels as Grafana sends them when everything is chosen. */
export function dashboardExpressions(): string[] {
  return readDashboard()
    .panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .map((expr) => expr.replaceAll(/\$(?:cluster|job|node)\b/g, '.*').replaceAll('$__rate_interval', '2m'));
}

/** The names of the agent's metrics in an expression. */
export function metricNames(expr: string): string[] {
  return expr.replaceAll(/"[^"]*"/g, '""').match(/\b(?:flannel|process)_\w+/g) ?? [];
}
