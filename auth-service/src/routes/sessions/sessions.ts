import { createRouter, requestIdOf, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { endOwnSession } from '../../flows/sessions/end-sessions.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { listOwnSessions } from '../../store/sessions/sessions.ts';
import { endpoint } from '../endpoint.ts';

const session = z
  .object({
    id: z.uuid(),
    current: z.boolean(),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime(),
  })
  .meta({ id: 'Session' });

export const listSessionsEndpoint = endpoint({
  method: 'get',
  path: '/v1/auth/sessions',
  operationId: 'listSessions',
  tag: 'Sessions',
  summary: 'List your sessions',
  description: 'Those in every tenant.',
  callers: ['user'],
  responses: { 200: z.object({ items: z.array(session) }) },
  errors: [],
});

export const endSessionEndpoint = endpoint({
  method: 'delete',
  path: '/v1/auth/sessions/:id',
  operationId: 'endSession',
  tag: 'Sessions',
  summary: 'End one of your sessions',
  callers: ['user'],
  responses: { 204: null },
  errors: ['not_found'],
});

const sessionId = z.uuid();

/** A person's own sessions, in every tenant they belong to. */
export function sessionRoutes({ db }: Readonly<{ db: AuthDatabase }>): Router {
  const router = createRouter();

  serve(router, listSessionsEndpoint, async ({ res, identity }) => {
    const sessions = await listOwnSessions(db, identity.userId);
    const items = sessions.map(
      (row): z.infer<typeof session> => ({
        id: row.id,
        current: row.id === identity.context.sid,
        ip: row.ip,
        user_agent: row.user_agent,
        created_at: row.created_at.toISOString(),
        last_used_at: row.last_used_at.toISOString(),
      }),
    );
    res.set('cache-control', 'no-store').json({ items });
  });

  serve(router, endSessionEndpoint, async ({ req, res, identity }) => {
    const id = sessionId.safeParse(req.params.id);
    const owned =
      id.success && (await endOwnSession(db, { userId: identity.userId, sessionId: id.data }, requestIdOf(res)));
    if (!owned) throw new AppError('not_found');
    res.status(204).end();
  });

  return router;
}
