import { addToLog, createRouter, idField, roleField, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { inTenantOfUpdate } from '../store/in-tenant.ts';
import { applyMembershipUpdate } from '../store/members.ts';
import { endpoint } from './endpoint.ts';
import type { RouteParts } from './route-parts.ts';

/** The only service that may change memberships. This check holds even if gateway.yaml lets other services through. */
const source = 'auth-service';

const membershipUpdate = z.strictObject({
  event_id: z.string().max(128),
  sequence: z.int().positive().describe('Grows with every change of a member.'),
  tenant_id: idField,
  user_id: idField,
  email: z.string().max(254),
  role: roleField,
  status: z.enum(['active', 'disabled']),
});

export const updateMembershipEndpoint = endpoint({
  method: 'post',
  path: '/internal/memberships',
  operationId: 'takeMembershipNews',
  tag: 'Internal',
  summary: 'Update a membership; called by the auth-service',
  callers: ['service'],
  body: membershipUpdate,
  responses: { 200: z.object({ applied: z.boolean().describe('False for a known or older update.') }) },
  errors: ['not_the_source'],
});

/** The route for membership updates from the auth-service. The request has no user, so the body names the tenant. */
export function membershipRoutes({ db, stamp }: RouteParts): Router {
  const router = createRouter();

  serve(router, updateMembershipEndpoint, async ({ res, identity, body, reply }) => {
    if (identity.serviceId !== source) throw new AppError('not_the_source');
    const { event_id, status, ...known } = body;
    const update = { ...known, status: status === 'active' ? ('active' as const) : ('inactive' as const) };
    const applied = await inTenantOfUpdate(db, update.tenant_id, (trx) => applyMembershipUpdate(trx, update, stamp()));
    addToLog(res, { service_id: source, tenant_id: update.tenant_id, user_id: update.user_id, event_id, applied });
    res.set('cache-control', 'no-store');
    reply(200, { applied });
  });

  return router;
}
