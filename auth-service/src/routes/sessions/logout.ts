import { requestIdOf } from '@countersign/service-kit';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { type LogoutScope, logOut, type SessionOwner } from '../../flows/sessions/end-sessions.ts';
import { identifySession } from '../../flows/sessions/identify-session.ts';
import type { RefreshParts } from '../../flows/sessions/refresh.ts';
import { inSessionOf } from '../caller.ts';
import { refreshToken } from '../fields.ts';
import { route } from '../route.ts';
import { clearCookie, type PresentedRefreshToken, refreshTokenOf } from './browser.ts';

export const logoutRoutes = [
  route({
    method: 'post',
    path: '/v1/auth/logout',
    operationId: 'logOut',
    tag: 'Sessions',
    summary: 'Log out',
    description:
      'Without an access token, send the refresh token in the body, or in the cookie `__Host-rt` with an allowed `Origin` and `X-Requested-With`. The cookie is cleared unless `scope` is `others`.',
    callers: ['anonymous', 'user'],
    body: z
      .strictObject({ scope: z.enum(['this', 'others', 'all']).default('this'), refresh_token: refreshToken })
      .default({ scope: 'this' }),
    responses: { 204: null },
    errors: ['invalid_refresh_token', 'two_refresh_tokens', 'cross_site_refused'],
  }).handle(async ({ req, res, identity, body, reply }, parts) => {
    const { scope } = body;
    const jkt = identity.context.jkt ?? null;
    const owner = inSessionOf(identity);
    const asked = owner
      ? { owner, scope }
      : await namedBy(parts, refreshTokenOf(parts, req, body.refresh_token), { scope, jkt });
    if (asked !== undefined) await logOut(parts.db, asked.owner, asked.scope, requestIdOf(res));
    if (scope !== 'others') clearCookie(req, res);
    reply(204);
  }),
];

type Asked = Readonly<{ owner: SessionOwner; scope: LogoutScope }>;

/** @returns undefined if the session has already ended. The logout then still succeeds. */
async function namedBy(
  parts: RefreshParts,
  presented: PresentedRefreshToken | undefined,
  { scope, jkt }: Readonly<{ scope: LogoutScope; jkt: string | null }>,
): Promise<Asked | undefined> {
  if (presented === undefined) throw new AppError('invalid_refresh_token', { detail: { reason: 'none given' } });
  const named = await identifySession(parts, presented.token, jkt);
  if (named === undefined) return undefined;
  // An old token may be stolen, so it can end only its own session.
  return { owner: named.owner, scope: named.current ? scope : 'this' };
}
