import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { supportTable } from '@countersign/proxy-config';
import { type Api, describeApi, mergeApis } from '@countersign/service-kit';
import { installTools } from '@countersign/testing';
import { usage as operatorUsage } from '../../../auth-service/src/operator/commands.ts';
import { api as authApi } from '../../../auth-service/src/routes/api.ts';
import { api as complaintsApi } from '../../../complaint-service/src/routes/api.ts';
import { overview } from '../../../gateway/src/cli/cli.ts';
import { editorSchema, referenceTable } from '../../../gateway/src/config/schema/json-schema.ts';
import { errorTable as gatewayErrors } from '../../../gateway/src/errors.ts';
import { api as usersApi } from '../../../users-service/src/routes/api.ts';
import { replaceBetween as between } from '../../measure/results/markdown.ts';
import { reasonsTable } from '../../prove/parsers/targets.ts';
import { dashboard } from '../../ship/prometheus/dashboard.ts';
import { alertsTable, prometheusRule } from '../../ship/prometheus/rules.ts';
import { draftPage } from './draft.ts';
import { installPages, shownParts } from './names.ts';
import { errorsPage, folderTables, headersTable, metricsTable, proxyHeadersList, repositoryTable } from './tables.ts';

export const serviceApis: Readonly<Record<string, Api>> = {
  'auth-service': authApi,
  'users-service': usersApi,
  'complaint-service': complaintsApi,
};

/** Everything that callers can use through the gateway that `npm start` runs. */
export const mergedApi: Api = mergeApis(Object.values(serviceApis), {
  title: 'Countersign',
  description:
    'Accounts, sessions, users and complaints behind one gateway. Log in with `logIn`, then send the access token as ' +
    '`Authorization: Bearer …`. Every error is a problem (RFC 9457) with a stable `code`.',
  gatewayErrors,
});

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
  ['CONTRIBUTING.md', (current) => between(current, 'folders', repositoryTable())],
  ...folderTables.map(([readme, table]): [string, Render] => [readme, (current) => between(current, 'folders', table)]),
  ['docs/gateway-yaml.md', (current) => between(current, 'table', referenceTable())],
  ['docs/identity-contract.md', (current) => between(current, 'headers', headersTable())],
  ['docs/draft-countersign-identity.md', draftPage],
  ['docs/threat-model.md', (current) => between(current, 'parsers', reasonsTable())],
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
  ['infra/ship/kubernetes/monitoring/prometheus-rule.yaml', prometheusRule],
  ['infra/ship/prometheus/dashboard.json', () => json(dashboard())],
  ...Object.entries({ ...serviceApis, countersign: mergedApi }).map(([name, api]): [string, Render] => [
    `docs/openapi/${name}.json`,
    () => json(describeApi(api)),
  ]),
  ['packages/client/src/api-types.ts', () => clientTypes(describeApi(mergedApi))],
  ['infra/gateway.schema.json', () => json(editorSchema())],
  ...installPages.map((file): [string, Render] => [file, (current) => shownParts(current)]),
];

// `npm run docs`: writes every page.
if (import.meta.main) {
  for (const [file, render] of pages) {
    const path = resolve(import.meta.dirname, '../../..', file);
    writeFileSync(path, render(existsSync(path) ? readFileSync(path, 'utf8') : ''));
    process.stdout.write(`${file}\n`);
  }
}
