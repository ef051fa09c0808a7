import { createRouter } from '@countersign/process-kit';
import type { Router } from 'express';
import { AppError } from '../errors.ts';
import { unsubscribePath } from '../flows/mail.ts';
import type { FlowParts } from '../flows/parts.ts';
import { refuseMail } from '../store/mail.ts';

/** Only POST unsubscribes, because mail scanners open links (RFC 8058 section 3.2). The token names the person. */
export function unsubscribeRoutes({ db, unsubscribeTokens }: Pick<FlowParts, 'db' | 'unsubscribeTokens'>): Router {
  const router = createRouter();
  router.post(unsubscribePath, async (req, res) => {
    const refusal = unsubscribeTokens.read(String(req.query.token));
    if (refusal === undefined) throw new AppError('not_found');
    await refuseMail(db, refusal);
    res.sendStatus(204);
  });
  return router;
}
