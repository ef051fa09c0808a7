import { allowAnonymous } from '@countersign/identity/express';
import { Router } from 'express';
import { z } from 'zod';
import { type RefreshParts, refresh } from '../flows/refresh.ts';
import { callerOf } from './caller.ts';
import { answerWithTokens, type TokenSigner } from './token-answer.ts';

const refreshBody = z.object({ refresh_token: z.string().max(1024) });

export function refreshRoutes(parts: RefreshParts & TokenSigner): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.post('/v1/auth/refresh', allowAnonymous(), async (req, res) => {
    const { refresh_token: token } = refreshBody.parse(req.body);
    await answerWithTokens(res, parts, await refresh(parts, token, callerOf(req, res, req.identity)));
  });
  return router;
}
