import { addToLog, createRouter, idField, roleField, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { applyMembershipUpdate } from '../../flows/members/apply-membership-update.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { endpoint } from '../endpoint.ts';

/** The only service that may change memberships. This check holds even if gateway.yaml lets other services through. */
const source = 'auth-service';

export const updateMembershipEndpoint = endpoint({
  method: 'post',
  path: '/internal/complaints/memberships',
  operationId: 'takeMemberNews',
  tag: 'Internal',
  summary: 'Update a membership; called by the auth-service',
  description: 'If the person is not an active agent any more, their complaints return to the queue.',
  callers: ['service'],
  body: z.strictObject({
    event_id: z.string().max(128),
    sequence: z.int().positive().describe('Grows with every change of a member.'),
    tenant_id: idField,
    user_id: idField,
    role: roleField,
    status: z.enum(['active', 'disabled']),
  }),
  responses: { 200: z.object({ applied: z.boolean().describe('False for an older update.') }) },
  errors: ['not_the_source'],
});

/** The route for membership updates. The request has no user, so the body names the tenant. */
export function membershipRoutes(parts: FlowParts): Router {
  const router = createRouter();
  serve(router, updateMembershipEndpoint, async ({ res, identity, body, reply }) => {
    if (identity.serviceId !== source) throw new AppError('not_the_source');
    const { event_id, ...update } = body;
    const applied = await applyMembershipUpdate(parts, update);
    addToLog(res, { service_id: source, tenant_id: update.tenant_id, user_id: update.user_id, event_id, applied });
    res.set('cache-control', 'no-store');
    reply(200, { applied });
  });
  return router;
}
