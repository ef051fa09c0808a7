import { addToLog, createRouter, idField, roleField, serve } from '@countersign/service-kit';
import type { Router } from 'express';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { takeMemberNews } from '../../flows/members/take-member-news.ts';
import type { FlowParts } from '../../flows/parts.ts';
import { endpoint } from '../endpoint.ts';

/** The only service that may change memberships. This check holds even if gateway.yaml lets other services through. */
const source = 'auth-service';

export const takeMemberNewsEndpoint = endpoint({
  method: 'post',
  path: '/internal/complaints/memberships',
  operationId: 'takeMemberNews',
  tag: 'Internal',
  summary: 'Take news of a membership; for the auth-service',
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
  responses: { 200: z.object({ applied: z.boolean().describe('False for older news.') }) },
  errors: ['not_the_source'],
});

/** The route for membership news. The request has no user, so the body names the tenant. */
export function membershipRoutes(parts: FlowParts): Router {
  const router = createRouter();
  serve(router, takeMemberNewsEndpoint, async ({ res, identity, body, reply }) => {
    if (identity.serviceId !== source) throw new AppError('not_the_source');
    const { event_id, ...news } = body;
    const applied = await takeMemberNews(parts, news);
    addToLog(res, { service_id: source, tenant_id: news.tenant_id, user_id: news.user_id, event_id, applied });
    res.set('cache-control', 'no-store');
    reply(200, { applied });
  });
  return router;
}
