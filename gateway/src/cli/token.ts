import { readFileSync } from 'node:fs';
import type { TokenReport } from '@countersign/console';
import { createLogger, type Logger, printable } from '@countersign/process-kit';
import type { GatewayConfig, Issuer } from '../config/config.ts';
import type { EventStream } from '../events/event-stream.ts';
import type { IssuerReport, OpenedIssuer } from '../explain/token-report.ts';
import { counted } from './check.ts';
import { type Command, configOption, jsonOption, loadNamed, type Terminal, UsageError } from './command.ts';

export const token: Command = {
  name: 'token',
  usage: 'FILE|-',
  summary: 'show every problem with a token, for each issuer; - reads standard input',
  options: [configOption, ['--offline', 'do not fetch keys or verify the signature'], jsonOption],
  async run(terminal, values, [file, ...more]) {
    if (file === undefined || more.length > 0) throw new UsageError('name a file that contains a token, or -');
    const config = loadNamed(terminal, values);
    const isOffline = values.offline === true;
    const text = readToken(file);
    // Imported here, so that the other commands start faster.
    const { reportToken } = await import('../explain/token-report.ts');
    const openIssuer = isOffline ? undefined : await keysOpener(config, terminal);
    const { report } = await reportToken(config, text, { nowMs: terminal.nowMs(), openIssuer });
    if (values.json === true) terminal.out(JSON.stringify(report, null, 2));
    else for (const line of tokenLines(report, terminal, isOffline)) terminal.out(line);
    return report.issuers.some(({ accepted }) => accepted) ? 0 : 1;
  },
};

export function readToken(file: string): string {
  try {
    const text = readFileSync(file === '-' ? 0 : file, 'utf8');
    if (text.trim() !== '') return text;
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    // If a token is passed instead of a file, it must not appear in the error.
    const name = /eyJ[\w-]*\.[\w-]*\./.test(file)
      ? 'never put a token on the command line, where every local user can read it: use a file, or -'
      : file;
    throw new UsageError(`the token cannot be read (${code}): ${name}`);
  }
  throw new UsageError('the input is empty: it must contain a token');
}

/** @returns A function that opens an issuer's keys for one token, and the events in the journal on this machine. */
export async function keysOpener(
  { journal }: Pick<GatewayConfig, 'journal'>,
  terminal: Terminal,
): Promise<(issuer: Issuer) => Promise<OpenedIssuer>> {
  const { openIssuerKeys } = await import('../keys/issuer-keys.ts');
  const { openIntrospection } = await import('../upstreams/introspection-client.ts');
  return async (issuer) => {
    let why = 'no answer';
    const write = (line: string) => {
      const { reason = why, detail } = JSON.parse(line) as { reason?: string; detail?: string };
      why = detail === undefined ? reason : `${reason}: ${detail}`;
    };
    const logger = createLogger('token', 'warn', { write });
    const keys = openIssuerKeys(issuer, logger);
    const introspection = issuer.introspection && openIntrospection(issuer.issuer, issuer.introspection, logger);
    const events = journal ? await readEvents(issuer, journal, terminal, logger) : undefined;
    const trusted = { config: issuer, keys, revocations: events?.revocations, events, introspection };
    return { trusted, why: () => why, close: () => keys.stop() };
  };
}

/** @returns Undefined if this machine's gateway has received no events, or if its journal cannot be read. */
async function readEvents(
  { issuer, events, maxTokenLifetimeSec }: Issuer,
  directory: string,
  { nowMs, err }: Terminal,
  logger: Logger,
): Promise<EventStream | undefined> {
  if (events === undefined) return undefined;
  const { EventStream } = await import('../events/event-stream.ts');
  const { Journal } = await import('@countersign/signals');
  const journal = new Journal({ directory, nowMs });
  const deps = { journal, shared: undefined, nowMs, logger, onChange() {}, onLag() {} };
  const stream = new EventStream({ issuer, maxTokenLifetimeSec, ...events }, deps);
  try {
    await stream.readJournal();
    return stream;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') err(`the journal cannot be read (${code}), so its logouts are unknown here: ${directory}`);
    return undefined;
  }
}

/** Formats the report as text. The text does not contain the signature. */
export function tokenLines(
  { unreadable, header, claims, issuers }: TokenReport,
  terminal: Terminal,
  isOffline: boolean,
): string[] {
  const lines = [header, claims].flatMap((part, at) =>
    part ? [`${at === 0 ? 'header' : 'claims'}   ${shown(part)}`] : [],
  );
  if (unreadable !== null) return [`${terminal.paint('bad', 'refused')} ${unreadable}`, ...lines];
  for (const report of issuers) lines.push('', ...issuerLines(report, terminal, isOffline));
  if (issuers.length === 0) lines.push('', 'the configuration has no issuers');
  return lines;
}

function issuerLines(report: IssuerReport, terminal: Terminal, isOffline: boolean): string[] {
  const { name, provider, issuer, findings, identity } = report;
  const label = [name, provider].filter((part) => part !== null).join(', ');
  const title = `${terminal.paint('strong', issuer)}${label === '' ? '' : ` (${label})`}`;
  if (identity !== null) {
    return [
      `${title}: ${terminal.paint('good', 'accepted')}${isOffline ? ', if its signature is valid' : ''}`,
      ...identityLines(identity),
    ];
  }
  return [
    `${title}: ${terminal.paint('bad', 'refused')}, ${counted(findings.length, 'problem')}`,
    ...findings.flatMap(({ code, claim, wanted, found, fix }) => [
      `  ${terminal.paint('bad', claim)}  ${terminal.paint('quiet', `(${code})`)}`,
      `    expected  ${wanted}`,
      `    found     ${found}`,
      `    change    ${fix}`,
    ]),
  ];
}

function identityLines(identity: NonNullable<IssuerReport['identity']>): readonly string[] {
  const { kind, role, scope, roles, act, bound } = identity;
  const lines: readonly (readonly [label: string, value: string | null])[] = [
    kind === 'user' ? ['x-user-id', identity.user_id] : ['x-client-id', identity.client_id],
    ['x-user-role', role],
    ['x-tenant-id', identity.tenant_id],
    ['session', identity.session_id],
    ['client', kind === 'user' ? identity.client_id : null],
    ['scope', scope.join(' ') || null],
    ['roles', roles.join(' ') || null],
    ['actor', act && `${act.sub} of ${act.iss}: the route needs allow.actors`],
    ['kind', kind === 'client' ? 'an OAuth client: the route needs allow.clients' : null],
  ];
  const shownLines = lines.flatMap(([label, value]) => (value === null ? [] : [`  ${label} ${printable(value)}`]));
  return bound ? [...shownLines, "  bound to the client's key or certificate"] : shownLines;
}

const maxShown = 2_000;

function shown(value: unknown): string {
  const text = printable(JSON.stringify(value));
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
}
