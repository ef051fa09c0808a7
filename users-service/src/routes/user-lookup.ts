import { requireIdentity } from '@countersign/identity/express';
import { addToLog, createRouter } from '@countersign/service-kit';
import type { Request, Router } from 'express';
import { AppError } from '../errors.ts';
import { inTenant } from '../store/in-tenant.ts';
import { findMember } from '../store/members.ts';
import { userIdPattern } from './fields.ts';
import type { RouteParts } from './route-parts.ts';

/** Routes on which other services look up a member of the tenant in which they act. */
export function userLookupRoutes({ db }: RouteParts): Router {
  const router = createRouter();

  router.get('/internal/users/:id', requireIdentity('service'), async (req, res) => {
    const { serviceId, tenantId } = actingService(req);
    addToLog(res, { service_id: serviceId, tenant_id: tenantId });
    const id = String(req.params.id);
    const member = userIdPattern.test(id) ? await inTenant(db, tenantId, (trx) => findMember(trx, id)) : undefined;
    // A code of its own lets the calling service distinguish an unknown user from an unknown path.
    if (member === undefined) throw new AppError('unknown_user');
    // Return only what the lookup needs, without names and addresses.
    res.set('cache-control', 'no-store').json({ id: member.user_id, role: member.role, status: member.status });
  });

  return router;
}

/** Returns the tenant of the user for whom the service acts. The caller cannot choose another tenant. */
function actingService({ identity }: Request): Readonly<{ serviceId: string; tenantId: string }> {
  if (identity.kind !== 'service' || identity.user === undefined) throw new AppError('acting_user_required');
  return { serviceId: identity.serviceId, tenantId: identity.user.tenantId };
}
