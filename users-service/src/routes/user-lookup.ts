import { requireIdentity } from '@countersign/identity/express';
import { addToLog, createRouter } from '@countersign/service-kit';
import type { Request, Router } from 'express';
import { AppError } from '../errors.ts';
import { inTenant } from '../store/in-tenant.ts';
import { findMember } from '../store/members.ts';
import { userIdPattern } from './fields.ts';
import type { RouteParts } from './route-parts.ts';

/** What other services may ask about a member of the tenant in which they act. */
export function userLookupRoutes({ db }: RouteParts): Router {
  const router = createRouter();

  router.get('/internal/users/:id', requireIdentity('service'), async (req, res) => {
    const { serviceId, tenantId } = actingService(req);
    addToLog(res, { service_id: serviceId, tenant_id: tenantId });
    const id = String(req.params.id);
    const member = userIdPattern.test(id) ? await inTenant(db, tenantId, (trx) => findMember(trx, id)) : undefined;
    // Its own code: whoever calls must be able to tell this from a path that is not there.
    if (member === undefined) throw new AppError('unknown_user');
    // No more than the question needs: names and addresses stay here.
    res.set('cache-control', 'no-store').json({ id: member.user_id, role: member.role, status: member.status });
  });

  return router;
}

/** The tenant is the one of the user for whom it is asked; never one that the caller names. */
function actingService({ identity }: Request): Readonly<{ serviceId: string; tenantId: string }> {
  if (identity.kind !== 'service' || identity.user === undefined) throw new AppError('acting_user_required');
  return { serviceId: identity.serviceId, tenantId: identity.user.tenantId };
}
