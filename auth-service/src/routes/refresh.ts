import { createRouter } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { type RefreshParts, refresh } from '../flows/refresh.ts';
import { callerOf } from './caller.ts';
import { endpoint, serve } from './endpoint.ts';
import { answerWithTokens, type TokenSigner, tokens } from './token-answer.ts';

export const refreshEndpoint = endpoint({
  method: 'post',
  path: '/v1/auth/refresh',
  operationId: 'refresh',
  summary: 'Go on with a session: a new access token, and the successor of the refresh token',
  access: 'anybody',
  body: z.object({ refresh_token: z.string().max(1024) }),
  answers: { 200: tokens },
  refusals: ['invalid_refresh_token', 'refresh_token_reused', 'session_expired', 'session_revoked'],
});

export function refreshRoutes(parts: RefreshParts & TokenSigner): Router {
  const router = createRouter();
  serve(router, refreshEndpoint, async ({ req, res, identity, body }) => {
    const grant = await refresh(parts, body.refresh_token, callerOf(req, res, identity));
    await answerWithTokens(res, parts, { grant, transport: 'body' });
  });
  return router;
}
