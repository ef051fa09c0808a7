import type { Identity, UserIdentity } from '@countersign/identity';
import { requestIdOf } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { AppError } from '../errors.ts';
import type { Caller } from '../flows/sessions/grant.ts';
import type { InSession } from '../flows/sessions/switch-tenant.ts';

const maxUserAgentLength = 256;

/** Returns the caller of a request. The gateway signs everything except the user agent. */
export function callerOf(req: Request, res: Response, identity: Identity): Caller {
  return {
    requestId: requestIdOf(res),
    ip: identity.context.ip ?? null,
    userAgent: req.get('user-agent')?.slice(0, maxUserAgentLength) ?? null,
    jkt: identity.context.jkt ?? null,
  };
}

/**
 * Returns the session of an access token.
 *
 * @throws AppError `session_revoked` if the token names no session, because another issuer made it.
 */
export function sessionOf({ userId, tenantId, context }: UserIdentity): InSession {
  if (context.sid === undefined) throw new AppError('session_revoked');
  return { userId, tenantId, sessionId: context.sid };
}

/** Like {@link sessionOf}, but undefined if the caller has no session. */
export const inSessionOf = (identity: Identity): InSession | undefined =>
  identity.kind === 'user' && identity.context.sid !== undefined ? sessionOf(identity) : undefined;
