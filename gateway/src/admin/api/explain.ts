import { AppError, type Endpoint } from '@countersign/service-kit';
import { z } from 'zod';
import type { GatewayConfig, TestCaller } from '../../config/config.ts';
import { id, partyName, role, scopeName } from '../../config/schema/values/scalars.ts';
import { type Code, errorTable } from '../../errors.ts';
import { assumedPrincipal, callerText, issuerOf } from '../../explain/assumed-caller.ts';
import { callerOfToken } from '../../explain/caller-of-token.ts';
import type { Question } from '../../explain/dry-run.ts';
import type { AcceptedToken, Header } from '../../explain/example-request.ts';
import { type Explanation, explainRequest } from '../../explain/explanation.ts';
import type { TokenReport } from '../../explain/token-report.ts';
import { type PolicyCaller, principalOf } from '../../routing/policy.ts';
import { findIssuer } from '../../tokens/claim-mapping/find-issuer.ts';
import type { TrustedIssuer } from '../../tokens/verified-tokens.ts';
import type { OpenUpstream } from '../../upstreams/pool/open-upstream.ts';
import { upstreamStates } from '../observe/upstream-states.ts';
import { parseClaimLines } from './claim-lines.ts';
import { examineToken } from './examine-token.ts';
import { stage, stagesOf } from './explain-stages.ts';
import type { ConsoleSources } from './view.ts';

const header = z.tuple([z.string(), z.string()]);

/** An empty field of a form counts as absent. */
const optional = <Type extends z.ZodType>(type: Type) =>
  z.preprocess((value) => (value === '' ? undefined : value), type.optional());

/** @param name What the text is, for the reader. */
const textUpTo = (length: number, name: string) =>
  z.string({ error: `must be ${name}` }).max(length, `must have at most ${length} characters`);

const scopesOf = (text: string): string[] => text.split(' ').filter((one) => one !== '');
const areScopes = (text: string): boolean => scopesOf(text).every((one) => scopeName.safeParse(one).success);

export const explainQuestion = z
  .object({
    method: textUpTo(40, 'an HTTP method, such as GET').trim().min(1, 'must be an HTTP method, such as GET'),
    path: textUpTo(8192, 'a path, such as /v1/users?page=2')
      .trim()
      .min(1, 'must be a path, such as /v1/users?page=2')
      .describe('With the query, as a client sends it.'),
    headers: optional(
      textUpTo(16_384, 'lines of the form "Name: value"').regex(
        /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*(?:\r?\n|$))*$/,
        'must be lines of the form "Name: value"',
      ),
    ).describe('Lines of the form `Name: value`.'),
    token: optional(textUpTo(16_384, 'an access token')).describe(
      'An access token. It is verified, and neither stored nor logged.',
    ),
    role: optional(role).describe('Instead of a token: the caller has a valid one with this role.'),
    tenant: optional(id),
    user: optional(id),
    client: optional(partyName).describe(
      'The caller is this machine; with a user, the client through which the user came.',
    ),
    scope: optional(textUpTo(4096, 'scopes').refine(areScopes, 'must be scopes with spaces between them')).describe(
      'Scopes of the token, with spaces between them.',
    ),
    actor: optional(partyName).describe('The `sub` of the actor in the token.'),
    claims: optional(
      textUpTo(8192, 'lines of the form "name: value"').refine(
        (lines) => parseClaimLines(lines) !== undefined,
        'must be lines of the form "name: value"',
      ),
    ).describe('Other claims of the token: lines of the form `name: value`.'),
    issuer: optional(textUpTo(512, 'an issuer')).describe(
      'The issuer of the token, by issuer or name. Default: the first one.',
    ),
    bound: optional(z.union([z.boolean(), z.literal('on')], { error: 'must be true or false' })).describe(
      'The token is bound to a key, and the proof is valid.',
    ),
    service: optional(textUpTo(64, 'the name of a service')).describe(
      'The caller is this service, on the internal listener.',
    ),
  })
  .meta({ id: 'Question' });
export type ExplainQuestion = z.output<typeof explainQuestion>;

const text = z.string().nullable();
const finding = z.object({
  code: z.string(),
  claim: z.string(),
  wanted: z.string(),
  found: z.string(),
  fix: z.string(),
});

export const explainAnswer = z
  .object({
    method: z.string(),
    path: z.string(),
    caller: z.string(),
    issuer: text.describe("The issuer of the caller's token, to which its client belongs."),
    outcome: z.object({
      allowed: z.boolean(),
      status: z.int().nullable(),
      code: text,
      title: text,
      why: text,
      warning: text.describe('Why an allowed request would fail now: the upstream of its route is unavailable.'),
    }),
    stages: z.array(stage),
    route: text,
    token: z
      .object({
        unreadable: text,
        header: z.record(z.string(), z.unknown()).nullable(),
        claims: z.record(z.string(), z.unknown()).nullable(),
        issuers: z.array(
          z.object({ issuer: z.string(), own: z.boolean(), accepted: z.boolean(), findings: z.array(finding) }),
        ),
      })
      .nullable(),
    sends: z.object({ method: z.string(), target: z.string(), headers: z.array(header) }).nullable(),
    dropped: z.array(z.object({ name: z.string(), why: z.string() })),
    responds: z.array(header).describe("The headers of the gateway's own response."),
  })
  .meta({ id: 'Answer' });
export type ExplainAnswer = z.output<typeof explainAnswer>;

export const explainEndpoint: Endpoint = {
  method: 'post',
  path: '/api/explain',
  operationId: 'explainRequest',
  tag: 'Explain',
  summary: 'How the gateway would handle a request',
  description:
    'Uses the running configuration, keys and revocations. No request is sent, and rate limits are not counted.',
  callers: ['anonymous'],
  body: explainQuestion,
  responses: { 200: explainAnswer },
  errors: [],
};

/** Decides a request with the running configuration, keys and revocations. */
export async function explainNow(
  asked: ExplainQuestion,
  { current, nowMs }: Pick<ConsoleSources, 'current' | 'nowMs'>,
): Promise<ExplainAnswer> {
  const { config, trust, upstreams } = current();
  const method = asked.method.toUpperCase();
  const report =
    asked.token === undefined ? undefined : await examineToken(asked.token, config, trust.issuers, nowMs());
  const accepted = report?.accepted;
  const caller = accepted === undefined ? callerOf(asked, config, trust.issuers) : callerOfToken(accepted);
  const question: Question = { method, target: asked.path, caller };
  const explanation = await explainRequest(config, question, headersOf(asked.headers), nowMs(), accepted);
  const route = config.routes.find(({ name }) => name === explanation.route?.name);
  const refused =
    report === undefined || accepted !== undefined || route?.auth === 'public' ? undefined : refusalOf(report);
  const warning = route && warningOf(upstreams.of(route.upstream));
  return answerOf({ question, explanation, report, accepted, refused, warning });
}

type Known = Readonly<{
  question: Question;
  explanation: Explanation;
  report: TokenReport | undefined;
  accepted: AcceptedToken | undefined;
  /** Why the token is refused. */
  refused: Readonly<{ code: Code; why: string }> | undefined;
  warning: string | undefined;
}>;

function answerOf({ question, explanation, report, refused, warning }: Known): ExplainAnswer {
  // Stages before authenticate refuse first.
  const isEarly = ['parser', 'sanitize', 'answerItself', 'checkOrigin', 'match'].includes(
    explanation.answer?.stage ?? '',
  );
  const tokenRefusal = isEarly || explanation.answered !== undefined ? undefined : refused;
  const refusal = tokenRefusal ?? explanation.answer;
  const { sends, answered = [], dropped, route } = explanation;
  const isSent = refusal === undefined && sends !== undefined;
  return {
    method: question.method,
    path: question.target,
    caller: describeCaller(question.caller, report),
    issuer: principalOf(question.caller)?.token.claims.issuer || null,
    outcome: {
      allowed: isSent,
      status: refusal === undefined ? (explanation.status ?? null) : errorTable[refusal.code].status,
      code: refusal?.code ?? null,
      title: refusal === undefined ? null : errorTable[refusal.code].title,
      why: refusal === undefined ? null : (whyOf(refusal, explanation) ?? null),
      warning: isSent ? (warning ?? null) : null,
    },
    stages: stagesOf(explanation, tokenRefusal, isSent ? warning : undefined),
    route: route?.name ?? null,
    token: report === undefined ? null : describeReport(report),
    sends: isSent ? { ...sends, headers: sends.headers.map(([name, value]) => [name, value]) } : null,
    dropped: isSent ? [...dropped] : [],
    responds: answered.map(([name, value]) => [name, value]),
  };
}

/** Says what happens to a request that the gateway would forward while the upstream is out. */
function warningOf(opened: OpenUpstream): string | undefined {
  const { name } = opened.upstream;
  const { state, why = 'unknown' } = upstreamStates(opened).upstream;
  if (state !== 'out' && state !== 'failing') return undefined;
  if (opened.breaker?.state(opened.nowMs()) === 'open') {
    return `The circuit breaker of the upstream ${name} is open, so the request would get 503 upstream_circuit_open now.`;
  }
  if (state === 'failing') return `The last requests to the upstream ${name} failed, so this one may fail too: ${why}.`;
  return opened.targets.every((target) => target.isFull())
    ? `Every target of the upstream ${name} is full, so the request would get 503 upstream_overloaded now.`
    : `No target of the upstream ${name} is healthy, so the request would probably fail now. The last error: ${why}.`;
}

/** What the stage said, or the rule that refuses. */
const whyOf = ({ code, why }: Readonly<{ code: Code; why: string | undefined }>, { rules }: Explanation) =>
  why || rules.find(({ refusal }) => refusal === code)?.why;

/** The fields that describe a token. */
const tokenFields = ['role', 'tenant', 'user', 'client', 'scope', 'actor', 'claims', 'issuer', 'bound'] as const;

function callerOf(
  asked: ExplainQuestion,
  config: GatewayConfig,
  trusted: ReadonlyMap<string, TrustedIssuer>,
): PolicyCaller {
  const { role: itsRole, client, service, issuer: named } = asked;
  const described = tokenFields.find((field) => asked[field] !== undefined);
  if (asked.token !== undefined) {
    const other = described ?? (service === undefined ? undefined : 'service');
    if (other !== undefined) throw unclear(other, 'must be empty: the token already says who calls');
    return { kind: 'anonymous' };
  }
  if (itsRole === undefined && client === undefined) {
    if (described !== undefined) {
      throw unclear('role', `must not be empty: a caller with "${described}" has a role, or is a client`);
    }
    return service === undefined
      ? { kind: 'anonymous' }
      : { kind: 'service', serviceId: service, principal: undefined };
  }
  // A token names the issuer itself, the configuration perhaps a template of it.
  const issuer = issuerOf(config, named) ?? (named === undefined ? undefined : findIssuer(trusted, named)?.config);
  if (named !== undefined && issuer === undefined) throw unclear('issuer', 'must be an issuer of the configuration');
  const principal = assumedPrincipal(assumedToken(asked), issuer);
  return service === undefined ? principal : { kind: 'service', serviceId: service, principal };
}

function assumedToken({
  role: itsRole,
  user,
  tenant,
  client,
  scope,
  actor,
  claims,
  issuer,
  bound,
}: ExplainQuestion): TestCaller {
  const userId = user ?? (client === undefined ? 'example-user' : undefined);
  if (userId !== undefined && itsRole === undefined) throw unclear('role', 'must not be empty: a user has a role');
  return {
    issuer,
    userId,
    role: itsRole,
    tenantId: tenant ?? (userId === undefined ? undefined : 'example-tenant'),
    client,
    scope: scopesOf(scope ?? ''),
    actor: actor === undefined ? undefined : { issuer: undefined, name: actor },
    claims: parseClaimLines(claims ?? '') ?? {},
    bound: bound !== undefined && bound !== false,
  };
}

const unclear = (path: string, message: string) => new AppError('validation_failed', { errors: [{ path, message }] });

const headersOf = (lines = ''): Header[] =>
  lines.split(/\r?\n/).flatMap((line) => {
    const colon = line.indexOf(':');
    return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
  });

function refusalOf(report: TokenReport): Readonly<{ code: Code; why: string }> {
  if (report.unreadable !== undefined) return { code: 'token_malformed', why: report.unreadable };
  const own = report.issuers.find(({ isOwn }) => isOwn);
  const finding = own?.findings[0];
  if (finding === undefined)
    return { code: 'token_issuer_unknown', why: 'the token names no issuer of the configuration' };
  return { code: finding.code, why: `${finding.claim}: expected ${finding.wanted}, found ${finding.found}` };
}

function describeReport({ token, unreadable, issuers }: TokenReport): NonNullable<ExplainAnswer['token']> {
  return {
    unreadable: unreadable ?? null,
    header: token === undefined ? null : { ...token.header },
    claims: token === undefined ? null : { ...token.payload },
    issuers: issuers.map(({ issuer, isOwn, identity, findings }) => ({
      issuer,
      own: isOwn,
      accepted: identity !== undefined,
      findings: findings.map(({ code, claim, wanted, found, fix }) => ({ code, claim, wanted, found, fix })),
    })),
  };
}

function describeCaller(caller: PolicyCaller, report: TokenReport | undefined): string {
  return caller.kind === 'anonymous' && report !== undefined ? 'the bearer of a refused token' : callerText(caller);
}
