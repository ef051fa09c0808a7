import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { refresh } from '../../flows/sessions/refresh.ts';
import { callerOf } from '../caller.ts';
import { refreshToken } from '../fields.ts';
import { route } from '../route.ts';
import { clearingDeadCookie, refreshTokenOf } from './browser.ts';
import { answerWithTokens, tokens } from './token-answer.ts';

export const refreshRoutes = [
  route({
    method: 'post',
    path: '/v1/auth/refresh',
    operationId: 'refresh',
    tag: 'Sessions',
    summary: 'Get new tokens for your session',
    description:
      'Send the refresh token in the body, or in the cookie `__Host-rt` with an allowed `Origin` and `X-Requested-With`. The new refresh token is returned the same way.',
    callers: ['anonymous', 'user'],
    body: z.strictObject({ refresh_token: refreshToken }).default({}),
    responses: { 200: tokens },
    errors: [
      'invalid_refresh_token',
      'refresh_token_reused',
      'session_expired',
      'session_revoked',
      'two_refresh_tokens',
      'cross_site_refused',
    ],
  }).handle(async ({ req, res, identity, body }, parts) => {
    const presented = refreshTokenOf(parts, req, body.refresh_token);
    if (presented === undefined) throw new AppError('invalid_refresh_token', { detail: { reason: 'none given' } });
    const { token, transport } = presented;
    const grant = await clearingDeadCookie(transport, () => refresh(parts, token, callerOf(req, res, identity)));
    await answerWithTokens(res, parts, { grant, transport });
  }),
];
