import type { Identity } from '@countersign/identity';
import { addToLog, problemMediaType, problemOf, requestIdOf } from '@countersign/process-kit';
import type { ProblemMembers } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { lifetimeSecOf, signToken } from '../../domain/sessions/access-token.ts';
import {
  clearedRefreshCookie,
  clearedSignedIn,
  knownBrowserCookie,
  refreshCookies,
  refreshCookiesIn,
} from '../../domain/sessions/cookies.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError, type ErrorCode, errors } from '../../errors.ts';
import type { Admission, Grant } from '../../flows/sessions/admit.ts';
import type { HttpCaller } from '../../flows/sessions/throttle.ts';
import { callerOf, type RouteParts } from '../route.ts';

export const tokens = z
  .object({
    access_token: z.string(),
    token_type: z.enum(['Bearer', 'DPoP']),
    expires_in: z.int().describe('Seconds until the access token expires.'),
    refresh_token: z.string().optional().describe('Absent with `transport: cookie`.'),
    refresh_expires_in: z.int().describe('Seconds until the refresh token expires.'),
    session_id: z.uuid(),
    user: z.object({ id: z.string(), email: z.string() }),
    tenant: z.object({ id: z.string(), slug: z.string(), role: z.string() }),
  })
  .meta({
    id: 'Tokens',
    examples: [
      {
        access_token: 'eyJ0eXAiOiJhdCtqd3QiLC…',
        token_type: 'Bearer',
        expires_in: 900,
        refresh_token: 'r1.018f…',
        refresh_expires_in: 2_592_000,
        session_id: '0197c2a0-0000-7000-8000-0000000000f1',
        user: { id: '0197c2a0-0000-7000-8000-0000000000a2', email: 'ann@acme.test' },
        tenant: { id: '0197c2a0-0000-7000-8000-00000000000a', slug: 'acme', role: 'agent' },
      },
    ],
  });

/** Signs an access token. @returns The members of a response (RFC 6749 section 5.1) that describe it. */
export const issueToken = async (input: Parameters<typeof signToken>[0], { issuer, signingKeys }: RouteParts) => ({
  access_token: await signToken(input, issuer, signingKeys.current()),
  token_type: input.jkt === null ? ('Bearer' as const) : ('DPoP' as const),
  expires_in: lifetimeSecOf(input),
});

/** @param cookies More cookies for a browser. */
export async function answerWithTokens(
  res: Response,
  parts: RouteParts,
  { grant, transport }: Readonly<{ grant: Grant; transport: Transport }>,
  cookies: readonly string[] = [],
): Promise<void> {
  const { access } = grant;
  const answer: z.infer<typeof tokens> = {
    ...(await issueToken(access, parts)),
    ...(transport === 'body' && { refresh_token: grant.refreshToken }),
    refresh_expires_in: grant.refreshExpiresInSec,
    session_id: access.sessionId,
    user: { id: access.userId, email: grant.email },
    tenant: { id: access.tenantId, slug: grant.tenantSlug, role: access.role },
  };
  if (transport === 'cookie')
    res.append('set-cookie', [...refreshCookies(grant.refreshToken, grant.refreshExpiresInSec), ...cookies]);
  res.json(answer);
}

const tenantQuestion = z.object({
  selection_token: z.string(),
  tenants: z.array(z.object({ id: z.string(), slug: z.string(), name: z.string() })),
});

const mfaQuestion = z.object({ mfa_token: z.string() });

/** Extension members of problems that ask for the next login step. */
export const admissionProblemMembers = {
  tenant_selection_required: tenantQuestion,
  mfa_required: mfaQuestion,
} as const satisfies ProblemMembers;

/** The errors of {@link answerLogin} with a password. */
export const passwordLoginErrors = [
  'invalid_credentials',
  'mfa_required',
  'cross_site_refused',
  'too_many_attempts',
  'login_busy',
] as const;

type RequestCall = Readonly<{ req: Request; res: Response; identity: Identity }>;

/**
 * Runs a login step, and responds with tokens or the next step.
 *
 * @param step.mayUse Throws if the caller cannot receive tokens this way.
 */
export async function answerLogin(
  { req, res, identity }: RequestCall,
  parts: RouteParts,
  step: (caller: HttpCaller, mayUse: (transport: Transport) => void) => Promise<Admission>,
): Promise<void> {
  const mayUse = (transport: Transport) => refuseForeignPage(parts, req, transport);
  const admission = await step(callerOf(req, res, identity), mayUse);
  switch (admission.kind) {
    case 'granted':
      return answerWithTokens(res, parts, admission, [knownBrowserCookie(admission.grant, parts.macKeys, Date.now())]);
    case 'choose': {
      const tenants = admission.tenants.map(({ tenantId, slug, name }) => ({ id: tenantId, slug, name }));
      const members: z.infer<typeof tenantQuestion> = { selection_token: admission.selectionToken, tenants };
      return ask(req, res, 'tenant_selection_required', members);
    }
    case 'mfa': {
      const members: z.infer<typeof mfaQuestion> = { mfa_token: admission.mfaToken };
      return ask(req, res, 'mfa_required', members);
    }
  }
}

/** Responds with a problem (RFC 9457 section 3.2) that asks for the next login step. */
function ask(req: Request, res: Response, code: ErrorCode, members: object): void {
  addToLog(res, { code });
  const problem = problemOf(code, errors[code], { id: requestIdOf(res), path: req.path });
  res
    .status(errors[code].status)
    // send() would add a charset, which this media type does not have (RFC 9457 section 6.1).
    .set({ 'cache-control': 'no-store', 'content-type': problemMediaType })
    .end(JSON.stringify({ ...problem, ...members }));
}

export const refreshTokenErrors = ['invalid_refresh_token', 'two_refresh_tokens', 'cross_site_refused'] as const;

/**
 * Finds the refresh token in the body or the cookie. Browsers attach the cookie to every request, so the cookie is
 * accepted only with a known `Origin`, which a page cannot forge, and with `X-Requested-With`, which a form cannot set.
 *
 * @throws AppError `invalid_refresh_token` if there is none, `two_refresh_tokens` if there are several;
 *   `cross_site_refused`.
 */
export function refreshTokenOf(
  { browserOrigins }: RouteParts,
  req: Request,
  inBody: string | undefined,
): Readonly<{ token: string; transport: Transport }> {
  const [cookie, another] = refreshCookiesIn(req.headers.cookie);
  if (another !== undefined || (cookie !== undefined && inBody !== undefined)) throw new AppError('two_refresh_tokens');
  if (inBody !== undefined) return { token: inBody, transport: 'body' };
  if (cookie === undefined) throw new AppError('invalid_refresh_token', { detail: { reason: 'none given' } });
  if (!browserOrigins.has(req.headers.origin ?? '') || !req.get('x-requested-with')) {
    throw new AppError('cross_site_refused');
  }
  return { token: cookie, transport: 'cookie' };
}

/**
 * Checks the origin before the cookie is set, because another site must not log a user in to a different account. Only
 * browsers send `Origin`.
 *
 * @throws AppError `cross_site_refused`
 */
function refuseForeignPage({ browserOrigins }: RouteParts, req: Request, transport: Transport): void {
  const { origin } = req.headers;
  if (transport === 'cookie' && origin !== undefined && !browserOrigins.has(origin)) {
    throw new AppError('cross_site_refused');
  }
}

const endings: ReadonlySet<string> = new Set(['refresh_token_reused', 'session_expired', 'session_revoked']);

/** Runs `work`, and clears the browser's cookie if the session has ended. */
export async function clearingDeadCookie<T>(transport: Transport, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (transport === 'body' || !(error instanceof AppError) || !endings.has(error.code)) throw error;
    const { code, cause, detail } = error;
    throw new AppError(code, { cause, ...(detail && { detail }), headers: { 'set-cookie': clearedRefreshCookie } });
  }
}

/** Clears the browser's cookies, if it sent any, after a logout. */
export function clearCookie(req: Request, res: Response): void {
  if (refreshCookiesIn(req.headers.cookie).length > 0)
    res.append('set-cookie', [clearedRefreshCookie, clearedSignedIn]);
}
