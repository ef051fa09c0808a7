import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ErrorTable, Fault } from '@countersign/process-kit';
import { createMetrics } from '@countersign/process-kit';
import { errors as authErrors } from '../../../auth-service/src/errors.ts';
import { errors as complaintErrors } from '../../../complaint-service/src/errors.ts';
import { registerScrapedMetrics } from '../../../gateway/src/admin/scraped-metrics.ts';
import { errorTable as gatewayErrors } from '../../../gateway/src/errors.ts';
import { createRequestMetrics, createRevocationLagMetric } from '../../../gateway/src/metrics/metrics.ts';
import { refusalReasons } from '../../../packages/identity/src/contract/refusal.ts';
import { type HeaderRule, headerRules, proxyHeaders } from '../../../packages/identity/src/index.ts';
import { errors as usersErrors } from '../../../users-service/src/errors.ts';
import { markdownTable, wrapLines } from '../../measure/results/markdown.ts';
import { importRules } from '../ci/import-rules.ts';

const rules: readonly HeaderRule[] = headerRules;
const everyKind = Object.keys(headerRules[0].present).length;

/** Returns the components that a signature covers, in order, and the signature's headers, as a Markdown table. */
export function headersTable(): string {
  const derived = ['@method', '@path', '@query'].map((name) => [`\`${name}\``, 'always', 'section 4', '']);
  const covered = rules.filter(({ covered }) => covered).length;
  const headers = rules.map((rule) => [`\`${rule.name}\``, presence(rule), rule.grammar.text, rule.meaning]);
  const rows = [...derived, ...headers].map((cells, index) => [
    index < derived.length + covered ? index + 1 : '',
    ...cells,
  ]);
  return markdownTable(['#', 'component or header', 'present', 'value', 'meaning'], rows, 'left');
}

/** Returns the headers of other proxies that the gateway removes from requests, as a Markdown list. */
export function proxyHeadersList(): string {
  const lines = Object.entries(proxyHeaders).map(
    ([about, names]) => `- ${about}: ${names.map((name) => `\`${name}\``).join(', ')}`,
  );
  return lines.map((line) => wrapLines(line).replaceAll('\n', '\n  ')).join('\n');
}

function presence({ present, name, covered, onlyWith }: HeaderRule): string {
  const kinds = Object.entries(present);
  if (kinds.every(([, how]) => how === 'required') && kinds.length === everyKind) return 'always';
  if (name === 'content-digest') return 'section 6';
  if (onlyWith !== undefined) return `with \`${onlyWith}\``;
  if (covered && kinds.every(([, how]) => how === 'optional') && kinds.length === everyKind) return 'optional';
  return kinds
    .map(([kind, how]) =>
      how === 'required' ? `\`${kind}\`` : how === 'optional' ? `\`${kind}\`, optional` : `\`${kind}\`, see below`,
    )
    .join('; ');
}

/** Returns the gateway's own metrics as a Markdown table. A gateway test checks that none is missing. */
export function metricsTable(): string {
  const registry = createMetrics();
  // Only the names are needed, so nothing is counted or read.
  const unread = (): never => {
    throw new Error('a metric was read');
  };
  createRequestMetrics(registry);
  createRevocationLagMetric(registry);
  const reads = { current: unread, reloads: unread, redisStatus: unread, nowMs: unread };
  const sources = { ...reads, connections: { size: 0 }, bodies: { bytes: 0 } };
  registerScrapedMetrics(sources, registry);
  const rows = (registry.getMetricsAsArray() as unknown as readonly Metric[])
    .filter(({ name }) => name.startsWith('countersign_'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, labelNames, help }) => {
      return [`\`${name}\``, type, labelNames.map((label) => `\`${label}\``).join(' '), help];
    });
  return markdownTable(['metric', 'type', 'labels', 'meaning'], rows, 'left');
}

type Metric = Readonly<{ name: string; help: string; type: string; labelNames: readonly string[] }>;

const root = resolve(import.meta.dirname, '../../..');

/** The READMEs with a table of folders, and the table: its rows are in the order of the imports. */
export const folderTables: readonly [readme: string, table: string][] = Object.entries(importRules).flatMap(
  ([folder, { layers }]) => {
    const rows = layers.filter((layer) => typeof layer !== 'string');
    const readme = `${folder.replace(/\/src$/, '')}/README.md`;
    return rows.length === 0 ? [] : [[readme, table(rows)]];
  },
);

/** The folders of the repository, with the description of their package or the first sentence of their README. */
export function repositoryTable(): string {
  const top = ['gateway', 'auth-service', 'users-service', 'complaint-service', 'web'];
  const packages = globSync(['packages/*/README.md', 'packages/verifiers/*/README.md'], { cwd: root }).sort();
  const folders = [...top, ...packages.map((readme) => readme.replace('/README.md', '')), 'examples', 'infra', 'docs'];
  return table(folders.map((folder) => [folder, sentenceOf(folder)]));
}

function sentenceOf(folder: string): string {
  const file = join(root, folder, 'package.json');
  const { description } = (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}) as { description?: string };
  if (description !== undefined) return `${description}.`;
  const [, sentence] = /^# .*\n\n([^#|]+?[.])\s/.exec(readFileSync(join(root, folder, 'README.md'), 'utf8')) ?? [];
  if (sentence === undefined) throw new Error(`${folder}/README.md must begin with a sentence`);
  return sentence.replaceAll('\n', ' ');
}

function table(rows: readonly (readonly [place: string, sentence: string])[]): string {
  const shown = rows.map(([place, sentence]) => `| \`${place}${/[.]ts$/.test(place) ? '' : '/'}\` | ${sentence} |`);
  return ['| where | content |', '|---|---|', ...shown].join('\n');
}

const sources: readonly [name: string, table: ErrorTable][] = [
  ['gateway', gatewayErrors],
  ['auth-service', authErrors],
  ['users-service', usersErrors],
  ['complaint-service', complaintErrors],
];

const faults: Record<Fault, string> = {
  caller: 'the caller',
  configuration: 'the configuration',
  capacity: 'too much load',
  upstream: 'the service behind',
  ours: 'ours',
};

const intro = `# Errors

<!-- Generated by \`npm run docs\` from the error tables in the code. A test fails when the two differ. -->

Every error is \`application/problem+json\` (RFC 9457) with \`type\`, \`title\`, \`status\`, \`instance\`, \`code\` and
\`request_id\`. Invalid fields are listed in \`errors: [{ path, message }]\`. Branch on \`code\`; it is stable. Quote
\`request_id\` (also in the header \`x-request-id\`) when you ask for help: the log line with that id has the reason.
\`Retry-After\` is the number of seconds to wait before a retry. With \`errors: { docs: https://… }\` in gateway.yaml, the
gateway's problems also have \`docs\`, the URL of a page about the code. \`type\` stays
\`urn:countersign:error:CODE\`.
`;

/** Returns the content of `docs/errors.md`. */
export function errorsPage(): string {
  const sections = sources.map(([name, table]) => section(name, table));
  const reasons = refusalReasons.map((reason) => `- \`${reason}\``).join('\n');
  return [
    intro,
    ...sections,
    `## A service that refuses a request

A service responds with 401 and \`code: identity_refused\` to a request without a valid signature of the gateway. If the
request came through the gateway, the client gets 502 \`identity_refused\` instead, because its token was valid. For
\`created_before_start\` it gets 503 \`identity_unavailable\`, unless a repeat passes. The header
\`x-identity-refused\` has the reason:

${reasons}
`,
  ].join('\n');
}

function section(name: string, table: ErrorTable): string {
  const rows = Object.entries(table)
    .sort(([a, left], [b, right]) => left.status - right.status || (a < b ? -1 : 1))
    .map(([code, { status, title, fault, retryAfterSec }]) => {
      const retry = retryAfterSec === undefined ? '' : `${retryAfterSec} s`;
      return [status, `\`${code}\``, title, faults[fault], retry];
    });
  return `## ${name}\n\n${markdownTable(['status', 'code', 'meaning', 'whose fault', 'Retry-After'], rows, 'left')}\n`;
}
