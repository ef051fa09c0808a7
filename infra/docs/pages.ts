import { describeApi } from '@countersign/service-kit';
import { usage as operatorUsage } from '../../auth-service/src/operator/commands.ts';
import { api as authApi } from '../../auth-service/src/routes/api.ts';
import { overview } from '../../gateway/src/commands/cli.ts';
import { editorSchema } from '../../gateway/src/config/schema/json-schema.ts';
import { referenceTable } from '../../gateway/src/config/schema/reference.ts';
import { componentsTable, headersTable } from './contract-tables.ts';
import { errorsPage } from './errors-page.ts';
import { metricsTable } from './metrics-table.ts';

/** Makes a page from the code and from what stands there by hand. */
type Render = (current: string) => string;

/** Pages that are made from the code, wholly or between marks: the path in the repository, and what it must say. */
export const pages: readonly [file: string, render: Render][] = [
  ['docs/errors.md', errorsPage],
  ['docs/gateway-yaml.md', (current) => between(current, 'table', referenceTable())],
  [
    'docs/identity-contract.md',
    (current) => between(between(current, 'headers', headersTable()), 'components', componentsTable()),
  ],
  [
    'gateway/README.md',
    (current) => between(between(current, 'table', referenceTable(1)), 'help', `\`\`\`text\n${overview()}\n\`\`\``),
  ],
  ['auth-service/README.md', (current) => between(current, 'operator', `\`\`\`text\n${operatorUsage()}\n\`\`\``)],
  ['docs/operations/metrics.md', (current) => between(current, 'metrics', metricsTable())],
  ['docs/openapi/auth-service.json', () => `${JSON.stringify(describeApi(authApi), null, 2)}\n`],
  ['infra/gateway.schema.json', () => `${JSON.stringify(editorSchema(), null, 2)}\n`],
];

/** @throws Error when the page has lost its marks. */
function between(page: string, mark: string, content: string): string {
  const [before, rest] = page.split(`<!-- ${mark} -->\n`);
  const after = rest?.split(`<!-- /${mark} -->`)[1];
  if (before === undefined || after === undefined) throw new Error(`the marks of ${mark} are missing`);
  return `${before}<!-- ${mark} -->\n${content}\n<!-- /${mark} -->${after}`;
}
