import { userOf } from '@countersign/identity/express';
import { createRouter, jsonBody, pageOf } from '@countersign/service-kit';
import type { Router } from 'express';
import { commentReachOf, isStaff } from '../domain/access.ts';
import { cursorAt } from '../domain/cursor.ts';
import { AppError } from '../errors.ts';
import { insertComment, listComments } from '../store/comments.ts';
import { inTenant } from '../store/in-tenant.ts';
import { newComment, pageQuery } from './fields.ts';
import { commentJson } from './json.ts';
import { reachComplaint } from './reach-complaint.ts';
import type { RouteParts } from './route-parts.ts';

/** Routes for the comments of a complaint, in every status. */
export function commentRoutes({ db, newId, now }: RouteParts): Router {
  const router = createRouter();

  router.post('/v1/complaints/:id/comments', async (req, res) => {
    const user = userOf(req);
    const { id } = req.params;
    const { body, internal } = newComment.parse(jsonBody(req));
    const comment = await inTenant(db, user.tenantId, async (trx) => {
      const complaint = await reachComplaint(trx, user, id, 'read');
      if (internal && !isStaff(user)) throw new AppError('insufficient_role');
      return insertComment(trx, {
        tenant_id: user.tenantId,
        id: newId(),
        complaint_id: complaint.id,
        author_id: user.userId,
        author_role: user.role,
        body,
        internal,
        created_at: now(),
      });
    });
    res.status(201).json(commentJson(comment));
  });

  router.get('/v1/complaints/:id/comments', async (req, res) => {
    const user = userOf(req);
    const { id } = req.params;
    const { cursor, limit } = pageQuery.parse(req.query);
    const found = await inTenant(db, user.tenantId, async (trx) => {
      const complaint = await reachComplaint(trx, user, id, 'read');
      return listComments(trx, complaint.id, commentReachOf(user), { after: cursor, limit: limit + 1 });
    });
    const { rows, nextCursor } = pageOf(found, limit, cursorAt);
    res.json({ items: rows.map(commentJson), next_cursor: nextCursor });
  });

  return router;
}
