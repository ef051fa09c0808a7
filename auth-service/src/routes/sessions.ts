import { requireIdentity, userOf } from '@countersign/identity/express';
import { requestIdOf } from '@countersign/service-kit';
import { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { endOwnSession } from '../flows/end-sessions.ts';
import type { AuthDatabase } from '../store/database.ts';
import { listOwnSessions } from '../store/sessions.ts';

const sessionId = z.uuid();

/** A person's own sessions, in every tenant they belong to. */
export function sessionRoutes({ db }: Readonly<{ db: AuthDatabase }>): Router {
  const router = Router({ caseSensitive: true, strict: true });

  router.get('/v1/auth/sessions', requireIdentity('user'), async (req, res) => {
    const { userId, context } = userOf(req);
    const sessions = await listOwnSessions(db, userId);
    res.set('cache-control', 'no-store').json({
      items: sessions.map((session) => ({
        id: session.id,
        current: session.id === context.sid,
        ip: session.ip,
        user_agent: session.user_agent,
        created_at: session.created_at.toISOString(),
        last_used_at: session.last_used_at.toISOString(),
      })),
    });
  });

  router.delete('/v1/auth/sessions/:id', requireIdentity('user'), async (req, res) => {
    const id = sessionId.safeParse(req.params.id);
    const owned =
      id.success && (await endOwnSession(db, { userId: userOf(req).userId, sessionId: id.data }, requestIdOf(res)));
    if (!owned) throw new AppError('not_found');
    res.status(204).end();
  });

  return router;
}
