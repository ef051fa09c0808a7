import { AppError, type Endpoint } from '@countersign/service-kit';
import { z } from 'zod';
import type { GatewayConfig, TestCaller } from '../../../config/config.ts';
import { id, partyName, role, scopeName } from '../../../config/schema/values/scalars.ts';
import { type Code, errorTable } from '../../../errors.ts';
import { assumedPrincipal, callerText, issuerOf } from '../../../explain/assumed-caller.ts';
import { callerOfToken } from '../../../explain/caller-of-token.ts';
import type { Question } from '../../../explain/dry-run.ts';
import type { AcceptedToken, Header } from '../../../explain/example-request.ts';
import { type Explanation, explainRequest } from '../../../explain/explanation.ts';
import type { TokenReport } from '../../../explain/token-report.ts';
import type { PolicyCaller } from '../../../routing/policy.ts';
import { examineToken } from './examine-token.ts';
import { stage, stagesOf } from './explain-stages.ts';
import type { ConsoleSources } from './view.ts';

const header = z.tuple([z.string(), z.string()]);

/** An empty field of a form counts as absent. */
const optional = <Type extends z.ZodType>(type: Type) =>
  z.preprocess((value) => (value === '' ? undefined : value), type.optional());

const scopesOf = (text: string): string[] => text.split(' ').filter((one) => one !== '');
const areScopes = (text: string): boolean => scopesOf(text).every((one) => scopeName.safeParse(one).success);

export const explainQuestion = z
  .object({
    method: z.string().trim().min(1).max(40),
    path: z.string().trim().min(1).max(8192).describe('With the query, as a client sends it.'),
    headers: optional(
      z
        .string()
        .max(16_384)
        .regex(/^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*(?:\r?\n|$))*$/, 'must be lines of the form "Name: value"'),
    ).describe('Lines of the form `Name: value`.'),
    token: optional(z.string().max(16_384)).describe('An access token. It is verified, and neither stored nor logged.'),
    role: optional(role).describe('Instead of a token: the caller has a valid one with this role.'),
    tenant: optional(id),
    user: optional(id),
    client: optional(partyName).describe(
      'The caller is this machine; with a user, the client through which the user came.',
    ),
    scope: optional(z.string().max(4096).refine(areScopes, 'must be scopes with spaces between them')).describe(
      'Scopes of the token, with spaces between them.',
    ),
    actor: optional(partyName).describe('The `sub` of the actor in the token.'),
    issuer: optional(z.string().max(512)).describe(
      'The issuer of the token, by issuer or name. Default: the first one.',
    ),
    bound: optional(z.union([z.boolean(), z.literal('on')])).describe(
      'The token is bound to a key, and the proof is valid.',
    ),
    service: optional(z.string().max(64)).describe('The caller is this service, on the internal listener.'),
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
    outcome: z.object({ allowed: z.boolean(), status: z.int().nullable(), code: text, title: text, why: text }),
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
  summary: 'How a request would be handled, decided by the engine that serves',
  description: 'Nothing is sent, and no limit is counted.',
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
  const { config, trust } = current();
  const method = asked.method.toUpperCase();
  const report =
    asked.token === undefined ? undefined : await examineToken(asked.token, config, trust.issuers, nowMs());
  const accepted = report?.accepted;
  const caller = accepted === undefined ? callerOf(asked, config) : callerOfToken(accepted);
  const question: Question = { method, target: asked.path, caller };
  const explanation = await explainRequest(config, question, headersOf(asked.headers), nowMs(), accepted);
  const route = config.routes.find(({ name }) => name === explanation.route?.name);
  const refused =
    report === undefined || accepted !== undefined || route?.auth === 'public' ? undefined : refusalOf(report);
  return answerOf({ question, explanation, report, accepted, refused });
}

type Known = Readonly<{
  question: Question;
  explanation: Explanation;
  report: TokenReport | undefined;
  accepted: AcceptedToken | undefined;
  /** Why the token is refused. */
  refused: Readonly<{ code: Code; why: string }> | undefined;
}>;

function answerOf({ question, explanation, report, refused }: Known): ExplainAnswer {
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
    outcome: {
      allowed: isSent,
      status: refusal === undefined ? (explanation.status ?? null) : errorTable[refusal.code].status,
      code: refusal?.code ?? null,
      title: refusal === undefined ? null : errorTable[refusal.code].title,
      why: refusal === undefined ? null : (whyOf(refusal, explanation) ?? null),
    },
    stages: stagesOf(explanation, tokenRefusal),
    route: route?.name ?? null,
    token: report === undefined ? null : describeReport(report),
    sends: isSent ? { ...sends, headers: sends.headers.map(([name, value]) => [name, value]) } : null,
    dropped: isSent ? [...dropped] : [],
    responds: answered.map(([name, value]) => [name, value]),
  };
}

/** What the stage said, or the rule that refuses. */
const whyOf = ({ code, why }: Readonly<{ code: Code; why: string | undefined }>, { rules }: Explanation) =>
  why || rules.find(({ refusal }) => refusal === code)?.why;

/** The fields that describe a token. */
const tokenFields = ['role', 'tenant', 'user', 'client', 'scope', 'actor', 'issuer', 'bound'] as const;

function callerOf(asked: ExplainQuestion, config: GatewayConfig): PolicyCaller {
  const { role: itsRole, client, service, issuer: named } = asked;
  const described = tokenFields.find((field) => asked[field] !== undefined);
  if (asked.token !== undefined) {
    const other = described ?? (service === undefined ? undefined : 'service');
    if (other !== undefined) throw unclear(other, 'must be empty: the token already says who calls');
    return { kind: 'anonymous' };
  }
  if (itsRole === undefined && client === undefined) {
    if (described !== undefined) throw unclear(described, 'needs a role, or a client for a machine');
    return service === undefined
      ? { kind: 'anonymous' }
      : { kind: 'service', serviceId: service, principal: undefined };
  }
  const issuer = issuerOf(config, named);
  if (named !== undefined && issuer === undefined) throw unclear('issuer', 'is none of the configuration');
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
  issuer,
  bound,
}: ExplainQuestion): TestCaller {
  const userId = user ?? (client === undefined ? 'example-user' : undefined);
  if (userId !== undefined && itsRole === undefined) throw unclear('user', 'needs a role');
  return {
    issuer,
    userId,
    role: itsRole,
    tenantId: tenant ?? (userId === undefined ? undefined : 'example-tenant'),
    client,
    scope: scopesOf(scope ?? ''),
    actor: actor === undefined ? undefined : { issuer: undefined, name: actor },
    claims: {},
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
