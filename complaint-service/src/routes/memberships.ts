import { addToLog } from '@countersign/process-kit';
import { idField, roleField } from '@countersign/service-kit';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { applyMembershipUpdate } from '../flows/memberships.ts';
import { route } from './route.ts';

/** The only service that can change memberships. This check does not rely on gateway.yaml. */
const source = 'auth-service';

/** The request has no user identity, so the body names the tenant. */
export const membershipRoutes = [
  route('POST /internal/complaints/memberships', {
    operationId: 'takeMemberNews',
    tag: 'Internal',
    summary: 'Update a membership (auth-service only)',
    description: 'If the person is no longer an active agent, their complaints return to the queue.',
    callers: ['service'],
    body: z.strictObject({
      event_id: z.string().max(128),
      sequence: z.int().positive().describe('Increases with every change to the member.'),
      tenant_id: idField,
      user_id: idField,
      role: roleField,
      status: z.enum(['active', 'disabled']),
      tenant: z
        .strictObject({ slug: z.string().max(64), name: z.string() })
        .optional()
        .describe('Absent in older updates.'),
    }),
    responses: {
      200: z.object({ applied: z.boolean().describe('False if the update is older than the stored one.') }),
    },
    errors: ['not_the_source'],
  }).handle(async ({ res, identity, body, reply }, parts) => {
    if (identity.serviceId !== source) throw new AppError('not_the_source');
    const { event_id, ...update } = body;
    const applied = await applyMembershipUpdate(parts, update);
    addToLog(res, { service_id: source, tenant_id: update.tenant_id, user_id: update.user_id, event_id, applied });
    res.set('cache-control', 'no-store');
    reply(200, { applied });
  }),
];
