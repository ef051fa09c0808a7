import { requireRole, userOf } from '@countersign/identity/express';
import { createRouter, pageOf } from '@countersign/service-kit';
import type { Router } from 'express';
import { cursorAt } from '../domain/cursor.ts';
import { directoryRoles, maySee } from '../domain/profile.ts';
import { AppError } from '../errors.ts';
import { inTenant } from '../store/in-tenant.ts';
import { findMember, listMembers } from '../store/members.ts';
import { directoryQuery, userIdPattern } from './fields.ts';
import { profileJson, sendProfile } from './profile-json.ts';
import type { RouteParts } from './route-parts.ts';

/** Routes for the members of the caller's tenant. */
export function directoryRoutes({ db }: RouteParts): Router {
  const router = createRouter();

  router.get('/v1/users', requireRole(...directoryRoles), async (req, res) => {
    const { role, q, cursor, limit } = directoryQuery.parse(req.query);
    const filter = { role, part: q, after: cursor, limit: limit + 1 };
    const found = await inTenant(db, userOf(req).tenantId, (trx) => listMembers(trx, filter));
    const { rows, nextCursor } = pageOf(found, limit, cursorAt);
    res.json({ items: rows.map(profileJson), next_cursor: nextCursor });
  });

  router.get('/v1/users/:id', async (req, res) => {
    const user = userOf(req);
    const { id } = req.params;
    // Unknown users, users of other tenants and users hidden from the caller get the same answer, so it reveals nothing.
    if (!userIdPattern.test(id) || !maySee(user, id)) throw new AppError('not_found');
    const member = await inTenant(db, user.tenantId, (trx) => findMember(trx, id));
    if (member === undefined) throw new AppError('not_found');
    sendProfile(res, member);
  });

  return router;
}
