import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

export const rulesFile = join(import.meta.dirname, 'rules.yaml');

export type AlertRule = Readonly<{
  alert: string;
  /** A PromQL expression. */
  expr: string;
  /** A Prometheus duration, such as `2m`. By default the alert fires immediately. */
  for?: string;
  labels: Readonly<{ severity: 'critical' | 'warning' }>;
  annotations: Readonly<{ summary: string; runbook_url?: string }>;
}>;

type RuleGroups = Readonly<{ groups: readonly Readonly<{ name: string; rules: readonly AlertRule[] }>[] }>;

export const readRules = (): RuleGroups => parse(readFileSync(rulesFile, 'utf8')) as RuleGroups;

/** Returns a group's alerts as a Markdown table for docs/operations/metrics.md. */
export function alertsTable(group: string): string {
  const rules = readRules().groups.find(({ name }) => name === group)?.rules ?? [];
  const rows = rules.map(({ alert, expr, for: held, labels, annotations: { summary, runbook_url: runbook } }) => {
    const [, page] = /\/docs\/operations\/((?!metrics).*)$/.exec(runbook ?? '') ?? [];
    const more = page === undefined ? '' : ` See [${page.replace(/\.md.*/, '')}](${page}).`;
    return `| \`${alert}\` ${labels.severity} | \`${expr}\`${held === undefined ? '' : ` for ${held}`} | ${summary}${more} |`;
  });
  return ['| alert | fires at | meaning |', '|---|---|---|', ...rows].join('\n');
}

/** Returns the rules as a manifest for the Prometheus operator. */
export function prometheusRule(): string {
  const manifest = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'countersign' },
    spec: readRules(),
  };
  return `# Written by \`npm run docs\` from infra/ship/prometheus/rules.yaml.\n${stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
