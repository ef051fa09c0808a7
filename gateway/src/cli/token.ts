import type { IssuerReport, TokenReport } from '../explain/token-report.ts';
import { type Command, configOption, loadNamed, UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';
import { readToken, reportFor } from './token-input.ts';

export const token: Command = {
  name: 'token',
  usage: 'FILE|-',
  summary: 'show everything that is wrong with a token, for each issuer; - reads standard input',
  options: [
    configOption.help,
    ['--offline', 'do not fetch the keys of the issuer, and skip the signature'],
    ['--json', 'print JSON'],
  ],
  parse: { ...configOption.parse, offline: { type: 'boolean' }, json: { type: 'boolean' } },
  async run(terminal, values, [file, ...more]) {
    if (file === undefined || more.length > 0) throw new UsageError('one FILE with a token is required, or -');
    const config = loadNamed(terminal, values, []);
    const isOffline = values.offline === true;
    const report = await reportFor(config, readToken(file), { isOffline, nowMs: terminal.nowMs() });
    if (values.json === true) terminal.out(reportJson(report));
    else for (const line of tokenLines(report, terminal, isOffline)) terminal.out(line);
    return report.issuers.some(({ identity }) => identity !== undefined) ? 0 : 1;
  },
};

/** The report as JSON, without the configuration of the issuer. */
export const reportJson = ({ token, unreadable, issuers }: TokenReport): string =>
  JSON.stringify({ token, unreadable, issuers }, null, 2);

/** The report as text. It has no part of the signature. */
export function tokenLines(
  { token, unreadable, issuers }: TokenReport,
  terminal: Terminal,
  isOffline: boolean,
): string[] {
  if (token === undefined) return [`${terminal.paint('bad', 'refused')} ${unreadable}`];
  const lines = [`header   ${shown(token.header)}`, `claims   ${shown(token.payload)}`];
  for (const report of issuers) lines.push('', ...issuerLines(report, terminal, isOffline));
  if (issuers.length === 0) lines.push('', 'the configuration has no issuer');
  return lines;
}

function issuerLines(report: IssuerReport, terminal: Terminal, isOffline: boolean): string[] {
  const { name, provider, issuer, findings, identity } = report;
  const label = [name, provider].filter((part) => part !== undefined).join(', ');
  const title = `${terminal.paint('strong', issuer)}${label === '' ? '' : ` (${label})`}`;
  if (identity !== undefined) {
    return [
      `${title}: ${terminal.paint('good', 'accepted')}${isOffline ? ', if its signature is valid' : ''}`,
      ...identityLines(identity),
    ];
  }
  const count = `${findings.length} problem${findings.length === 1 ? '' : 's'}`;
  return [
    `${title}: ${terminal.paint('bad', 'refused')}, ${count}`,
    ...findings.flatMap(({ code, claim, wanted, found, fix }) => [
      `  ${terminal.paint('bad', claim)}  ${terminal.paint('quiet', `(${code})`)}`,
      `    expected  ${wanted}`,
      `    found     ${found}`,
      `    change    ${fix}`,
    ]),
  ];
}

/** What the service is told about the caller. */
function identityLines(identity: NonNullable<IssuerReport['identity']>): readonly string[] {
  const { kind, userId, clientId, role, tenantId, sessionId, scope, roles, act, bound } = identity;
  const facts: readonly (readonly [label: string, value: string | undefined])[] = [
    kind === 'user' ? ['x-user-id', userId] : ['x-client-id', clientId],
    ['x-user-role', role],
    ['x-tenant-id', tenantId],
    ['session', sessionId],
    ['client', kind === 'user' ? clientId : undefined],
    ['scope', scope.join(' ') || undefined],
    ['roles', roles.join(' ') || undefined],
    ['actor', act && `${act.sub} of ${act.iss}: the route needs allow.actors`],
    ['machine', kind === 'client' ? 'the route needs allow.clients' : undefined],
  ];
  const lines = facts.flatMap(([label, value]) => (value === undefined ? [] : [`  ${label} ${shownText(value)}`]));
  return bound ? [...lines, '  bound to a key or a certificate of the client'] : lines;
}

const maxShown = 2_000;

/** Escapes characters that a terminal would interpret. */
const shownText = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** JSON on one line. */
function shown(value: unknown): string {
  const text = shownText(JSON.stringify(value));
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
}
