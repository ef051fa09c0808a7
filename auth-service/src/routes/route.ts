import type { Identity, UserIdentity } from '@countersign/identity';
import { requestIdOf } from '@countersign/process-kit';
import { routesWith } from '@countersign/service-kit';
import type { Request, Response } from 'express';
import { adminRole } from '../domain/accounts/account-rules.ts';
import type { TokenIssuer } from '../domain/sessions/access-token.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import type { RegisterParts } from '../flows/accounts/register.ts';
import type { IssueParts } from '../flows/clients/issue-token.ts';
import type { SigningKeys } from '../flows/keys/signing-keys.ts';
import type { Names } from '../flows/people/names.ts';
import type { SecondStepParts } from '../flows/second-factor/second-factor.ts';
import type { Feed } from '../flows/sessions/follow-revocations.ts';
import type { InSession } from '../flows/sessions/log-in.ts';
import type { RefreshParts } from '../flows/sessions/refresh.ts';
import type { HttpCaller } from '../flows/sessions/throttle.ts';
import type { Admin } from '../flows/tenants/members.ts';

/** The dependencies of all routes. */
export type RouteParts = SecondStepParts &
  RefreshParts &
  RegisterParts &
  IssueParts &
  Readonly<{
    feed: Feed;
    names: Names;
    signingKeys: SigningKeys;
    issuer: TokenIssuer;
    /** Origins whose pages can use the cookie, as browsers send them: `https://app.example.com`. */
    browserOrigins: ReadonlySet<string>;
    pages: Readonly<{
      /** Origins of the account pages. Only forms from these origins are accepted. */
      origins: ReadonlySet<string>;
      /** Where to redirect after a login: a path on the same origin. */
      afterLogin: string;
    }>;
  }>;

export const route = routesWith<ErrorCode, RouteParts>();

const maxUserAgentLength = 256;

/** Returns the caller of a request. The gateway signs everything except the user agent. */
export function callerOf(req: Request, res: Response, identity: Identity): HttpCaller {
  return {
    requestId: requestIdOf(res),
    ip: identity.context.ip ?? null,
    userAgent: req.get('user-agent')?.slice(0, maxUserAgentLength) ?? null,
    jkt: identity.context.jkt ?? null,
  };
}

/** @throws AppError `session_revoked` if the token names no session, because another issuer made it. */
export function sessionOf({ userId, tenantId, context }: UserIdentity): InSession {
  if (context.sid === undefined) throw new AppError('session_revoked');
  return { userId, tenantId, sessionId: context.sid };
}

/** Like {@link sessionOf}, but undefined if the caller has no session. */
export const inSessionOf = (identity: Identity): InSession | undefined =>
  identity.kind === 'user' && identity.context.sid !== undefined ? sessionOf(identity) : undefined;

/**
 * Checks that the caller is an administrator of the tenant that the path names as `:id`, or of their own tenant if it
 * names none. Does not rely on the same check in the gateway.
 */
export function adminOf({
  req,
  res,
  identity,
}: Readonly<{ req: Request; res: Response; identity: UserIdentity }>): Admin {
  const { userId, tenantId, role, context } = identity;
  if ((req.params.id ?? tenantId) !== tenantId) throw new AppError('tenant_mismatch');
  if (role !== adminRole) throw new AppError('insufficient_role');
  return { tenantId, userId, sessionId: context.sid ?? null, requestId: requestIdOf(res) };
}
