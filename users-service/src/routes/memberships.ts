import { addToLog, createRouter, idField, roleField, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { inTenantOfNews } from '../store/in-tenant.ts';
import { applyNews } from '../store/members.ts';
import { endpoint } from './endpoint.ts';
import type { RouteParts } from './route-parts.ts';

/** The only service that may change memberships. This check holds even if gateway.yaml lets other services through. */
const source = 'auth-service';

const membershipNews = z.strictObject({
  event_id: z.string().max(128),
  sequence: z.int().positive().describe('Grows with every change of a member.'),
  tenant_id: idField,
  user_id: idField,
  email: z.string().max(254),
  role: roleField,
  status: z.enum(['active', 'disabled']),
});

export const takeMembershipNewsEndpoint = endpoint({
  method: 'post',
  path: '/internal/memberships',
  operationId: 'takeMembershipNews',
  tag: 'Internal',
  summary: 'Take news of a membership; for the auth-service',
  callers: ['service'],
  body: membershipNews,
  responses: { 200: z.object({ applied: z.boolean().describe('False for known or older news.') }) },
  errors: ['not_the_source'],
});

/** Routes for membership news from the auth-service. The request has no user, so the body names the tenant. */
export function membershipRoutes({ db, stamp }: RouteParts): Router {
  const router = createRouter();

  serve(router, takeMembershipNewsEndpoint, async ({ res, identity, body, reply }) => {
    if (identity.serviceId !== source) throw new AppError('not_the_source');
    const { event_id, status, ...known } = body;
    const news = { ...known, status: status === 'active' ? ('active' as const) : ('inactive' as const) };
    const applied = await inTenantOfNews(db, news.tenant_id, (trx) => applyNews(trx, news, stamp()));
    addToLog(res, { service_id: source, tenant_id: news.tenant_id, user_id: news.user_id, event_id, applied });
    res.set('cache-control', 'no-store');
    reply(200, { applied });
  });

  return router;
}
