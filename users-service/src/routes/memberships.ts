import { requireIdentity } from '@countersign/identity/express';
import { addToLog, createRouter, jsonBody } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { inTenantOfNews } from '../store/in-tenant.ts';
import { applyNews } from '../store/members.ts';
import { userIdPattern } from './fields.ts';
import type { RouteParts } from './route-parts.ts';

/** The only service that may change memberships. This check holds even if gateway.yaml lets other services through. */
const source = 'auth-service';

const id = z.string().regex(userIdPattern, 'is not a valid id');

const membershipNews = z.object({
  event_id: z.string().max(128),
  /** Grows with every change of a member. */
  sequence: z.int().positive(),
  tenant_id: id,
  user_id: id,
  email: z.string().max(254),
  role: z.string().regex(/^[a-z0-9_-]{1,64}$/, 'must be the name of a role'),
  status: z.enum(['active', 'disabled']),
});

/** Routes for membership news from the auth-service. The request has no user, so the body names the tenant. */
export function membershipRoutes({ db, stamp }: RouteParts): Router {
  const router = createRouter();

  router.post('/internal/memberships', requireIdentity('service'), async (req, res) => {
    const { identity } = req;
    if (identity.kind !== 'service' || identity.serviceId !== source) throw new AppError('not_the_source');
    const { event_id, status, ...known } = membershipNews.parse(jsonBody(req));
    const news = { ...known, status: status === 'active' ? ('active' as const) : ('inactive' as const) };
    const applied = await inTenantOfNews(db, news.tenant_id, (trx) => applyNews(trx, news, stamp()));
    addToLog(res, { service_id: source, tenant_id: news.tenant_id, user_id: news.user_id, event_id, applied });
    res.set('cache-control', 'no-store').json({ applied });
  });

  return router;
}
