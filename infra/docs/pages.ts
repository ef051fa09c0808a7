import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { supportTable } from '@countersign/proxy-config';
import { describeApi } from '@countersign/service-kit';
import { installTools } from '@countersign/testing';
import { usage as operatorUsage } from '../../auth-service/src/operator/commands.ts';
import { overview } from '../../gateway/src/cli/cli.ts';
import { editorSchema } from '../../gateway/src/config/schema/json-schema.ts';
import { referenceTable } from '../../gateway/src/config/schema/reference.ts';
import { replaceBetween as between } from '../bench/results/markdown.ts';
import { dashboard } from '../prometheus/dashboard.ts';
import { alertsTable, prometheusRule } from '../prometheus/rules.ts';
import { headersTable, proxyHeadersList } from './contract-tables.ts';
import { errorsPage } from './errors-page.ts';
import { mergedApi, serviceApis } from './merged-api.ts';
import { metricsTable } from './metrics-table.ts';

/** Generates a page from the code and from its handwritten parts. */
type Render = (current: string) => string;

/** Generates the types for packages/client in a separate package, because the generator needs TypeScript 5. */
function clientTypes(document: object): string {
  const directory = resolve(import.meta.dirname, '../client-types');
  installTools(directory);
  const input = JSON.stringify(document);
  return execFileSync(process.execPath, [resolve(directory, 'print-types.ts')], { input, encoding: 'utf8' });
}

const json = (document: unknown) => `${JSON.stringify(document, null, 2)}\n`;

/**
 * Pages that are generated from the code, completely or between marks: their paths in the repository and expected
 * content.
 */
export const pages: readonly [file: string, render: Render][] = [
  ['docs/errors.md', errorsPage],
  ['docs/gateway-yaml.md', (current) => between(current, 'table', referenceTable())],
  ['docs/identity-contract.md', (current) => between(current, 'headers', headersTable())],
  ['docs/operations/verifiers.md', (current) => between(current, 'proxy-headers', proxyHeadersList())],
  ['docs/behind-a-proxy.md', (current) => between(current, 'support', supportTable())],
  [
    'gateway/README.md',
    (current) => between(between(current, 'table', referenceTable(1)), 'help', `\`\`\`text\n${overview()}\n\`\`\``),
  ],
  ['auth-service/README.md', (current) => between(current, 'operator', `\`\`\`text\n${operatorUsage()}\n\`\`\``)],
  [
    'docs/operations/metrics.md',
    (current) =>
      between(
        between(between(current, 'metrics', metricsTable()), 'alerts', alertsTable('countersign-gateway')),
        'service-alerts',
        alertsTable('countersign-services'),
      ),
  ],
  ['infra/kubernetes/gateway/prometheus-rule.yaml', prometheusRule],
  ['infra/prometheus/dashboard.json', () => json(dashboard())],
  ...Object.entries({ ...serviceApis, countersign: mergedApi }).map(([name, api]): [string, Render] => [
    `docs/openapi/${name}.json`,
    () => json(describeApi(api)),
  ]),
  ['packages/client/src/api-types.ts', () => clientTypes(describeApi(mergedApi))],
  ['infra/gateway.schema.json', () => json(editorSchema())],
];
