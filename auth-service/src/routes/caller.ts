import type { Identity, UserIdentity } from '@countersign/identity';
import { requestIdOf } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { AppError } from '../errors.ts';
import type { SessionOwner } from '../flows/sessions/end-sessions.ts';
import type { Caller } from '../flows/sessions/grant.ts';
import type { InSession } from '../flows/sessions/switch-tenant.ts';

const maxUserAgentLength = 256;

/** Properties of a request other than its body. The gateway signs all of them except the user agent. */
export function callerOf(req: Request, res: Response, identity: Identity): Caller {
  return {
    requestId: requestIdOf(res),
    ip: identity.context.ip ?? null,
    userAgent: req.get('user-agent')?.slice(0, maxUserAgentLength) ?? null,
    jkt: identity.context.jkt ?? null,
  };
}

/**
 * The session of an access token.
 *
 * @throws AppError `session_revoked` for a token without one, which another issuer made.
 */
export function sessionOf({ userId, context }: UserIdentity): SessionOwner {
  if (context.sid === undefined) throw new AppError('session_revoked');
  return { userId, sessionId: context.sid };
}

/** As {@link sessionOf}, with the tenant; undefined for an anonymous caller. */
export function inSessionOf(identity: Identity): InSession | undefined {
  if (identity.kind !== 'user' || identity.context.sid === undefined) return undefined;
  return { userId: identity.userId, tenantId: identity.tenantId, sessionId: identity.context.sid };
}
