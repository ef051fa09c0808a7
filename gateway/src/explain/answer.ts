import type { Answer, TokenReport } from '@countersign/console';
import type { GatewayConfig, Route, Upstream } from '../config/config.ts';
import { type Code, errorTable } from '../errors.ts';
import type { Caller } from '../pipeline/exchange.ts';
import { claimsOf } from '../routing/policy.ts';
import { assumeClaims } from './assumed-claims.ts';
import { callerOf, callerText, identityOf } from './callers.ts';
import { createDryRun, type DryRun, type ExplainedRefusal, stageNames } from './dry-run.ts';
import { type ExplainQuestion, headersOf, payloadIn, requesterOf, unverified } from './question.ts';
import { inheritedText, limitText, tokenText } from './route-text.ts';
import { type ReportOptions, reportToken } from './token-report.ts';

/** Where an answer comes from: a configuration file or a running gateway. */
export type ExplainSources = Readonly<{
  config: GatewayConfig;
  /** @returns Why a request to this upstream would fail now. Undefined if it should succeed. */
  warningOf?(upstream: Upstream): string | undefined;
  /** @returns How the gateway currently signs requests to this upstream, whose identity is `agreed`. */
  signedNow?(upstream: Upstream): Promise<string>;
}> &
  ReportOptions;

/**
 * Decides a request with the same code that serves requests. Sends nothing, and does not count against limits.
 *
 * @throws ZodError if the question names an unknown issuer, or has an `Authorization` header that the gateway would
 *   verify.
 */
export async function explain(asked: ExplainQuestion, sources: ExplainSources): Promise<Answer> {
  const { config, nowMs } = sources;
  const method = asked.method.toUpperCase();
  const headers = headersOf(asked);
  const examined = asked.token === undefined ? undefined : await reportToken(config, asked.token, sources);
  const accepted = examined?.accepted;
  const assumed = asked.payload === undefined ? undefined : assumeClaims(payloadIn(asked.payload) ?? {}, config, nowMs);
  const described =
    assumed === undefined ? requesterOf(asked, config.issuers, nowMs) : { ...assumed, service: asked.service };
  const requester = accepted === undefined ? described : { token: accepted };
  const caller = callerOf(requester);
  const refusedToken = examined && accepted === undefined ? refusalOf(examined.report) : undefined;
  const request = { refusedToken, ...requester, method, requestTarget: asked.path, headers };
  const run = await createDryRun(config, () => nowMs)(request);
  const isVerified = run.route?.auth === 'required' || run.route?.auth === 'optional';
  const hasAuthorization = headers.some(([name]) => name.toLowerCase() === 'authorization');
  if (caller.kind === 'anonymous' && examined === undefined && isVerified && hasAuthorization) {
    throw unverified();
  }
  const route = run.sends && run.route;
  const warning = (route && sources.warningOf?.(route.upstream)) ?? null;
  const known = {
    settings: run.route === undefined ? null : settingsOf(run.route, config),
    upstream: route === undefined ? null : await upstreamSettingsOf(route, caller.kind, sources),
    dropped: run.dropped,
  };
  const report = examined?.report ?? null;
  return {
    method,
    path: asked.path,
    caller:
      caller.kind === 'anonymous' && (report !== null || assumed !== undefined)
        ? 'a caller with a refused token'
        : callerText(caller),
    identity: identityOf(caller),
    issuer: claimsOf(caller)?.issuer || null,
    service: caller.kind === 'service' ? caller.serviceId : null,
    outcome: outcomeOf(run, warning),
    stages: stagesOf(run, known, warning),
    route: run.route?.name ?? null,
    ...known,
    token: report,
    sends: run.sends === undefined ? null : { method, target: run.sends.requestTarget, headers: run.sends.headers },
    responds: run.answered?.headers ?? [],
  };
}

const settingsOf = ({ path, websocket, limits, body, auth, inherited }: Route, { cors }: GatewayConfig) => ({
  path,
  websocket,
  limits: limits.map(limitText),
  body: body.mode === 'none' ? 'none' : `${body.mode}, at most ${body.maxBytes} bytes`,
  cors: auth === 'service' || cors === undefined ? null : [...cors.origins],
  inherited: inherited.map(inheritedText),
});

async function upstreamSettingsOf({ upstream }: Route, kind: Caller['kind'], { signedNow }: ExplainSources) {
  const { algorithm, headers, token } = upstream.identity;
  const isAgreed = algorithm === 'agreed' && headers;
  const receives = token === undefined || (kind !== 'anonymous' && token.callers.includes(kind));
  const agreed = 'signed with a key that both sides agreed on (hmac-sha256), or with ed25519 until there is such a key';
  return {
    name: upstream.name,
    targets: [...upstream.targets],
    handling: handlingOf(upstream),
    signing: isAgreed ? agreed : null,
    identity_token: receives
      ? (tokenText(upstream) ?? null)
      : `no identity token: it is for ${token.callers.join(', ')}, and the caller is ${kind}`,
    signed_now: isAgreed ? ((await signedNow?.(upstream)) ?? null) : null,
  };
}

function handlingOf({ timeouts, retry, breaker }: Upstream): string {
  const { connectMs, responseMs, idleMs } = timeouts;
  const parts = [`connect ${connectMs} ms, response ${responseMs} ms, idle ${idleMs} ms`];
  const retries = retry.attempts === 1 ? '1 retry' : `${retry.attempts} retries`;
  if (retry.attempts > 0) parts.push(`up to ${retries} if the request is safe to repeat`);
  if (breaker !== undefined) parts.push('a circuit breaker');
  return parts.join('; ');
}

function outcomeOf({ refusal, allow, answered, sends }: DryRun, warning: string | null) {
  const { status, title } = refusal ? errorTable[refusal.code] : { status: answered?.status ?? null, title: null };
  const [code, why] = [refusal?.code ?? null, refusal?.why || null];
  return { allowed: sends !== undefined, status, code, title, why, allow, warning };
}

function refusalOf({ unreadable, claims, issuers }: TokenReport): ExplainedRefusal {
  if (unreadable !== null)
    return { code: claims === null ? 'token_malformed' : 'token_issuer_unknown', why: unreadable };
  const finding = issuers.find(({ own }) => own)?.findings[0];
  if (finding === undefined) return { code: 'token_issuer_unknown', why: 'the issuer in the token is not configured' };
  const { code, claim, wanted, found } = finding;
  return { code: code as Code, why: `${claim}: expected ${wanted}, found ${found}` };
}

type Stage = Answer['stages'][number];
type Known = Pick<Answer, 'settings' | 'upstream' | 'dropped'>;

function stagesOf(run: DryRun, known: Known, warning: string | null): Stage[] {
  const endsAt = stageNames.indexOf(run.stage);
  return stageNames.map((name, at) => {
    if (at > endsAt) return { stage: name, verdict: 'not reached', notes: [], rules: [] };
    const rules =
      name === 'authorize' ? run.rules.map(({ rule, refusal = null, why }) => ({ rule, refusal, why })) : [];
    const refusal = at === endsAt ? run.refusal : undefined;
    const isAnswer = at === endsAt && run.answered !== undefined;
    const failure = name === 'forward' ? warning : null;
    // The rules already show the reason.
    const why = refusal && rules.length === 0 ? [`${refusal.code}${refusal.why === '' ? '' : `: ${refusal.why}`}`] : [];
    return {
      stage: name,
      verdict: refusal ? 'refuses' : isAnswer ? 'answers' : failure === null ? 'passes' : 'fails now',
      notes: [...why, ...(failure === null ? [] : [failure]), ...notesOf(name, run, known)],
      rules,
    };
  });
}

function notesOf(stageName: DryRun['stage'], run: DryRun, { settings, upstream, dropped }: Known): string[] {
  switch (stageName) {
    case 'sanitize':
      return dropped.map(({ name, why }) => `drops ${name}${why === '' ? '' : `: ${why}`}`);
    case 'own answers':
      return settings?.cors ? [`CORS for ${settings.cors.join(', ')}`] : [];
    case 'match':
      if (settings !== null)
        return [
          `route ${run.route?.name}, ${settings.path}${settings.websocket ? ', WebSocket' : ''}`,
          ...settings.inherited,
        ];
      return run.allow === null ? [] : [`allowed here: ${run.allow.join(', ')}`];
    case 'limit':
      return settings === null
        ? []
        : [...settings.limits.map((limit) => `${limit}; not counted here`), `body: ${settings.body}`];
    case 'sign':
      return [upstream?.signing, upstream?.identity_token].filter((note) => note != null);
    case 'forward':
      return upstream === null ? [] : [`${upstream.name}: ${upstream.targets.join(', ')}`, upstream.handling];
    default:
      return [];
  }
}
