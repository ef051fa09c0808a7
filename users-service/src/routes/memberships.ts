import { addToLog, idField, roleField } from '@countersign/service-kit';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { inTenant, type Trx } from '../store/in-tenant.ts';
import { applyMembershipUpdate } from '../store/members.ts';
import { membershipRole } from '../store/schema.ts';
import { route } from './route.ts';

/** The only service that can change memberships. This check does not rely on gateway.yaml. */
const source = 'auth-service';

const membershipUpdate = z.strictObject({
  event_id: z.string().max(128),
  sequence: z.int().positive().describe('Increases with every change to the member.'),
  tenant_id: idField,
  user_id: idField,
  email: z.string().max(254),
  role: roleField,
  status: z.enum(['active', 'disabled']),
});

/** The request has no user identity, so the body names the tenant. */
export const membershipRoutes = [
  route({
    method: 'post',
    path: '/internal/memberships',
    operationId: 'takeMembershipNews',
    tag: 'Internal',
    summary: 'Update a membership (auth-service only)',
    callers: ['service'],
    body: membershipUpdate,
    responses: {
      200: z.object({
        applied: z.boolean().describe('False if the update is older than the stored one or a repetition.'),
      }),
    },
    errors: ['not_the_source'],
  }).handle(async ({ res, identity, body, reply }, { db }) => {
    if (identity.serviceId !== source) throw new AppError('not_the_source');
    const { event_id, status, ...known } = body;
    const update = { ...known, status: status === 'active' ? ('active' as const) : ('inactive' as const) };
    const apply = (trx: Trx) => applyMembershipUpdate(trx, update);
    const applied = await inTenant(db, update.tenant_id, apply, membershipRole);
    addToLog(res, { service_id: source, tenant_id: update.tenant_id, user_id: update.user_id, event_id, applied });
    reply(200, { applied });
  }),
];
