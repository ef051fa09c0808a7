import { createRouter } from '@countersign/process-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { mailKinds } from '../domain/mail/recipients.ts';
import { AppError } from '../errors.ts';
import { unsubscribePath } from '../flows/mail.ts';
import type { FlowParts } from '../flows/parts.ts';
import { acceptMail, listRefused, refuseMail } from '../store/mail.ts';
import { route } from './route.ts';

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

const kind = z.enum(mailKinds).meta({ id: 'MailKind' });
const shared = { tag: 'Mail', callers: ['user'] } as const;

export const mailRoutes = [
  route('GET /v1/mail/unsubscribed', {
    ...shared,
    operationId: 'listUnsubscribed',
    summary: 'List the kinds of email from which you have unsubscribed',
    responses: { 200: z.object({ items: z.array(kind) }) },
  }).handle(async ({ identity, reply }, { db }) => reply(200, { items: await listRefused(db, identity) })),

  route('DELETE /v1/mail/unsubscribed/:kind', {
    ...shared,
    operationId: 'subscribeAgain',
    summary: 'Get emails of this kind again',
    params: z.object({ kind }),
    responses: { 204: null },
  }).handle(async ({ identity, params, reply }, { db }) => {
    await acceptMail(db, identity, params.kind);
    reply(204);
  }),
];
