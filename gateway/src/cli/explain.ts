import type { z } from 'zod';
import type { AllowedParty, GatewayConfig, TestCaller } from '../config/config.ts';
import { id, partyName, role, scopeName } from '../config/schema/values/scalars.ts';
import { assumedPrincipal, callerJson, callerText, issuerOf } from '../explain/assumed-caller.ts';
import { callerOfToken } from '../explain/caller-of-token.ts';
import { createDryRun, type Question } from '../explain/dry-run.ts';
import type { AcceptedToken, Header } from '../explain/example-request.ts';
import type { Explanation } from '../explain/explanation.ts';
import type { PolicyCaller } from '../routing/policy.ts';
import { type Command, configOption, list, loadNamed, text, UsageError, type Values } from './command.ts';
import { adminUrl, askIdentities } from './running-gateway.ts';
import type { Terminal } from './terminal.ts';
import { reportJson, tokenLines } from './token.ts';
import { readToken, reportFor } from './token-input.ts';

export const explain: Command = {
  name: 'explain',
  usage: 'METHOD PATH',
  summary: 'show how a request is handled: route, rules, limits, upstream and headers',
  options: [
    configOption.help,
    ['--role ROLE', 'the caller has a valid token with this role; default: anonymous'],
    ['--tenant ID', 'the tenant in that token; default for a user: example-tenant'],
    ['--user ID', 'the user in that token; default with --role: example-user'],
    ['--client ID', 'the caller is this machine; with --user, the client through which the user came'],
    ['--scope SCOPE', 'a scope of that token; can be repeated'],
    ['--actor SUB', 'the actor in that token, of its issuer, or "ISSUER SUB"'],
    ['--issuer ISSUER', 'the issuer of that token, by issuer or name; default: the first one'],
    ['--bound', 'that token is bound to a key (DPoP), and the proof is valid'],
    ['--token FILE', 'the caller has the token in this file, or on standard input for -; it is verified'],
    ['--service NAME', 'the caller is this service, on the internal listener'],
    ['-H, --header "N: V"', 'a header that the client sends; can be repeated'],
    ['--json', 'print JSON'],
  ],
  parse: {
    ...configOption.parse,
    role: { type: 'string' },
    tenant: { type: 'string' },
    user: { type: 'string' },
    client: { type: 'string' },
    scope: { type: 'string', multiple: true },
    actor: { type: 'string' },
    issuer: { type: 'string' },
    bound: { type: 'boolean' },
    service: { type: 'string' },
    token: { type: 'string' },
    header: { type: 'string', short: 'H', multiple: true },
    json: { type: 'boolean' },
  },
  async run(terminal, values, [method, target, ...more]) {
    if (method === undefined || target === undefined) throw new UsageError('METHOD and PATH are required');
    if (more.length > 0) throw new UsageError('too many arguments: quote the path');
    const assumed = text(values.token) === undefined ? assumedOf(values) : undefined;
    const headers = list(values.header).map(headerOf);
    const config = loadNamed(terminal, values, []);
    const known = assumed
      ? { caller: callerOf(assumed, config), accepted: undefined }
      : await callerWithToken(config, terminal, values);
    if (known === undefined) return 1;
    const { caller, accepted } = known;
    const question = { method: method.toUpperCase(), target, caller };
    if (isUnverified(config, question, headers)) {
      throw new UsageError(
        'explain does not verify an Authorization header: use --token FILE, or --role, --tenant and --user',
      );
    }
    // Imported here, so that the other commands start faster.
    const { explainRequest } = await import('../explain/explanation.ts');
    const explanation = await explainRequest(config, question, headers, terminal.nowMs(), accepted);
    const signedNow = await signingNow(config, explanation);
    if (values.json === true) {
      terminal.out(
        JSON.stringify(
          { ...question, caller: callerJson(caller), ...explanation, ...(signedNow && { signedNow }) },
          null,
          2,
        ),
      );
    } else for (const line of linesOf(question, explanation, signedNow, terminal)) terminal.out(line);
    return 0;
  },
};

/** The caller of a token, and its claims. Undefined: it is refused, and the report was shown. */
async function callerWithToken(
  config: GatewayConfig,
  terminal: Terminal,
  values: Values,
): Promise<Readonly<{ caller: PolicyCaller; accepted: AcceptedToken }> | undefined> {
  const other = [...tokenOptions, 'service'].find((option) => values[option] !== undefined);
  if (other !== undefined) throw new UsageError(`--token already says who calls: leave out --${other}`);
  const report = await reportFor(config, readToken(text(values.token) ?? '-'), {
    isOffline: false,
    nowMs: terminal.nowMs(),
  });
  const { accepted } = report;
  if (accepted !== undefined) return { caller: callerOfToken(accepted), accepted };
  if (values.json === true) terminal.out(reportJson(report));
  else for (const line of tokenLines(report, terminal, false)) terminal.out(line);
  return undefined;
}

/** The request has an Authorization header on a route that would verify it, which `explain` cannot do. */
function isUnverified(config: GatewayConfig, question: Question, headers: readonly Header[]): boolean {
  if (question.caller.kind !== 'anonymous' || !headers.some(([name]) => /^authorization$/i.test(name))) return false;
  const { route } = createDryRun(config)(question);
  return route?.auth === 'required' || route?.auth === 'optional';
}

/** For an upstream with `algorithm: agreed`: which key the running gateway uses now. */
async function signingNow(config: GatewayConfig, { upstream }: Explanation): Promise<string | undefined> {
  if (upstream === undefined || config.upstreams.get(upstream.name)?.identity.algorithm !== 'agreed') return undefined;
  const now = (await askIdentities(config))?.get(upstream.name);
  if (now === undefined) return `unknown: no gateway answers at ${adminUrl(config)}`;
  return now.uses === 'agreed' ? `agreed ${now.keyid}` : `${now.uses}, because of ${now.fallback}`;
}

/** The options that describe a token. */
const tokenOptions = ['role', 'tenant', 'user', 'client', 'scope', 'actor', 'issuer', 'bound'] as const;

/** What the options say about the caller. `token` undefined: it has none. */
type Assumed = Readonly<{ service: string | undefined; token: TestCaller | undefined }>;

function assumedOf(values: Values): Assumed {
  const service = text(values.service);
  const client = fitting('--client', text(values.client), partyName);
  const itsRole = fitting('--role', text(values.role), role);
  if (itsRole === undefined && client === undefined) {
    const useless = tokenOptions.find((option) => values[option] !== undefined);
    if (useless !== undefined) throw new UsageError(`--${useless} needs --role, or --client for a machine`);
    return { service, token: undefined };
  }
  const user = fitting('--user', text(values.user), id) ?? (client === undefined ? 'example-user' : undefined);
  if (user !== undefined && itsRole === undefined) throw new UsageError('--user needs --role');
  const token: TestCaller = {
    issuer: text(values.issuer),
    userId: user,
    role: itsRole,
    tenantId: fitting('--tenant', text(values.tenant), id) ?? (user === undefined ? undefined : 'example-tenant'),
    client,
    scope: list(values.scope).flatMap((scope) => fitting('--scope', scope, scopeName) ?? []),
    actor: actorOf(text(values.actor)),
    claims: {},
    bound: values.bound === true,
  };
  return { service, token };
}

function actorOf(given: string | undefined): AllowedParty | undefined {
  if (given === undefined) return undefined;
  const [name = '', issuer] = given.split(' ').toReversed();
  fitting('--actor', name, partyName);
  return { issuer, name };
}

function callerOf({ service, token }: Assumed, config: GatewayConfig): PolicyCaller {
  const issuer = issuerOf(config, token?.issuer);
  if (token?.issuer !== undefined && issuer === undefined) {
    throw new UsageError(`--issuer must be one of ${config.issuers.map((one) => one.name ?? one.issuer).join(', ')}`);
  }
  const principal = token && assumedPrincipal(token, issuer);
  if (service !== undefined) return { kind: 'service', serviceId: service, principal };
  return principal ?? { kind: 'anonymous' };
}

function fitting(option: string, value: string | undefined, type: z.ZodType<string>): string | undefined {
  const parsed = value === undefined ? undefined : type.safeParse(value);
  if (parsed?.success === false) throw new UsageError(`${option} ${parsed.error.issues[0]?.message ?? 'is invalid'}`);
  return value;
}

function headerOf(given: string): Header {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*)$/.exec(given) ?? [];
  if (name === undefined || value === undefined) throw new UsageError(`--header must be "Name: value", not "${given}"`);
  return [name, value.trimEnd()];
}

function linesOf(
  question: Question,
  explanation: Explanation,
  signedNow: string | undefined,
  terminal: Terminal,
): readonly string[] {
  const { route, rules, limits, body, websocket, cors, answer, answered, upstream, sends, dropped, status } =
    explanation;
  const quiet = (words: string | undefined) =>
    words === undefined || words === '' ? '' : `  ${terminal.paint('quiet', `(${words})`)}`;
  const lines = [
    `${terminal.paint('strong', `${question.method} ${question.target}`)} as ${callerText(question.caller)}`,
    '',
  ];
  if (answered !== undefined) {
    lines.push(row('answer', `${terminal.paint('good', String(status))} from the gateway`));
    return [...lines, ...answered.map(([name, value]) => row('', `${name}: ${value}`))];
  }
  lines.push(
    row('route', route === undefined ? `none${answer?.why ? `: ${answer.why}` : ''}` : `${route.name}  ${route.path}`),
  );
  for (const { rule, refusal, why } of rules) {
    const verdict = refusal === undefined ? terminal.paint('good', 'holds') : terminal.paint('bad', refusal);
    lines.push(row('rule', `${rule}  ${verdict}${quiet(why)}`));
  }
  for (const limit of limits) lines.push(row('limit', limit));
  if (body !== undefined) lines.push(row('body', body));
  if (websocket) lines.push(row('upgrade', 'websocket'));
  if (cors !== undefined)
    lines.push(row('cors', `answered by the gateway, including preflights, for ${cors.join(' ')}`));
  if (answer !== undefined) {
    const why = route === undefined ? undefined : answer.why;
    lines.push(row('answer', `${terminal.paint('bad', `${answer.status} ${answer.code}`)}${quiet(why)}`));
    if (answer.allow !== undefined) lines.push(row('', `allow: ${answer.allow.join(', ')}`));
  }
  if (upstream === undefined || sends === undefined) return lines;
  lines.push(row('upstream', `${upstream.name}  ${upstream.targets.join(' ')}`), row('', upstream.handling));
  if (upstream.identity !== undefined) lines.push(row('', upstream.identity));
  if (signedNow !== undefined) lines.push(row('', `now: ${signedNow}`));
  lines.push(row('sends', `${sends.method} ${sends.target}`));
  for (const [name, value] of sends.headers) lines.push(row('', `${name}: ${value}`));
  for (const { name, why } of dropped) lines.push(row('drops', `${terminal.paint('bad', name)}${quiet(why)}`));
  lines.push(row('answer', terminal.paint('good', 'from the upstream')));
  return lines;
}

const row = (label: string, value: string) => `  ${label.padEnd(9)} ${value}`;
