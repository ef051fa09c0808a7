import { allowAnonymous } from '@countersign/identity/express';
import { requestIdOf } from '@countersign/service-kit';
import { type Request, Router } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { type LogoutScope, logOut, type SessionOwner } from '../flows/end-sessions.ts';
import { identifySession } from '../flows/identify-session.ts';
import type { RefreshParts } from '../flows/refresh.ts';

const logoutBody = z
  .object({ scope: z.enum(['this', 'others', 'all']).default('this'), refresh_token: z.string().max(1024).optional() })
  .default({ scope: 'this' });

export function logoutRoutes(parts: RefreshParts): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.post('/v1/auth/logout', allowAnonymous(), async (req, res) => {
    const { scope, refresh_token: token } = logoutBody.parse(req.body);
    const asked = bearerOf(req, scope) ?? (await refreshTokenOf(parts, token, scope));
    if (asked !== undefined) await logOut(parts.db, asked.owner, asked.scope, requestIdOf(res));
    res.status(204).end();
  });
  return router;
}

type Asked = Readonly<{ owner: SessionOwner; scope: LogoutScope }>;

function bearerOf({ identity }: Request, scope: LogoutScope): Asked | undefined {
  if (identity.kind !== 'user' || identity.context.sid === undefined) return undefined;
  return { owner: { userId: identity.userId, sessionId: identity.context.sid }, scope };
}

/** @returns undefined when the session is gone, which is what was asked for. */
async function refreshTokenOf(
  parts: RefreshParts,
  token: string | undefined,
  scope: LogoutScope,
): Promise<Asked | undefined> {
  if (token === undefined) throw new AppError('invalid_refresh_token', { detail: { reason: 'none given' } });
  const named = await identifySession(parts, token);
  if (named === undefined) return undefined;
  // An old token may be a stolen one: it ends its own session, never the others.
  return { owner: named.owner, scope: named.current ? scope : 'this' };
}
