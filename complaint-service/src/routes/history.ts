import { userOf } from '@countersign/identity/express';
import { createRouter, pageOf } from '@countersign/service-kit';
import type { Router } from 'express';
import { cursorAt } from '../domain/cursor.ts';
import { listHistory } from '../store/history.ts';
import { inTenant } from '../store/in-tenant.ts';
import { pageQuery } from './fields.ts';
import { historyJson } from './json.ts';
import { reachComplaint } from './reach-complaint.ts';
import type { RouteParts } from './route-parts.ts';

/** Routes for the history of a complaint. */
export function historyRoutes({ db }: RouteParts): Router {
  const router = createRouter();

  router.get('/v1/complaints/:id/history', async (req, res) => {
    const user = userOf(req);
    const { id } = req.params;
    const { cursor, limit } = pageQuery.parse(req.query);
    const found = await inTenant(db, user.tenantId, async (trx) => {
      const complaint = await reachComplaint(trx, user, id, 'read');
      return listHistory(trx, complaint.id, { after: cursor, limit: limit + 1 });
    });
    const { rows, nextCursor } = pageOf(found, limit, cursorAt);
    res.json({ items: rows.map(historyJson), next_cursor: nextCursor });
  });

  return router;
}
