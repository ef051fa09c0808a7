import type { ServiceIdentity } from '@countersign/identity';
import { addToLog } from '@countersign/process-kit';
import { idField, roleField } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { applyMembershipUpdate, findAddresses, findMember, findNames } from '../store/members.ts';
import { inTenant, membershipRole, type Trx } from '../store/schema.ts';
import { route } from './route.ts';

/** A list of a hundred complaints names up to three people for each. */
const maxNames = 300;

/** The only service that can read addresses. This check does not rely on gateway.yaml. */
const mailingService = 'complaint-service';

/** Returns and logs the tenant of the user for whom the service acts. The caller cannot choose another tenant. */
function actingTenant(res: Response, { serviceId, user }: ServiceIdentity): string {
  if (user === undefined) throw new AppError('acting_user_required');
  addToLog(res, { service_id: serviceId, tenant_id: user.tenantId });
  return user.tenantId;
}

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

export const internalRoutes = [
  route('GET /internal/users/:id', {
    operationId: 'lookUpUser',
    tag: 'Internal',
    summary: "Look up a member of the user's tenant",
    callers: ['service'],
    // Returns only what the lookup needs, without names and addresses.
    responses: { 200: z.object({ id: z.string(), role: z.string(), status: z.enum(['active', 'inactive']) }) },
    // A separate code, so that the calling service can distinguish an unknown user from an unknown path.
    errors: ['unknown_user', 'acting_user_required'],
  }).handle(async ({ req, res, identity, reply }, { db }) => {
    const tenantId = actingTenant(res, identity);
    const id = String(req.params.id);
    const member = idField.safeParse(id).success
      ? await inTenant(db, tenantId, (trx) => findMember(trx, id))
      : undefined;
    if (member === undefined) throw new AppError('unknown_user');
    reply(200, { id: member.user_id, role: member.role, status: member.status });
  }),

  route('POST /internal/users/names', {
    operationId: 'readNames',
    tag: 'Internal',
    summary: "Read display names of members of the user's tenant",
    callers: ['service'],
    body: z.strictObject({ ids: z.array(idField).max(maxNames) }),
    responses: {
      200: z.object({
        names: z
          .record(z.string(), z.string())
          .describe('Display names by id. Unknown people and people without a name are omitted.'),
      }),
    },
    errors: ['acting_user_required'],
  }).handle(async ({ res, identity, body, reply }, { db }) => {
    const tenantId = actingTenant(res, identity);
    const found = await inTenant(db, tenantId, (trx) => findNames(trx, body.ids));
    reply(200, { names: Object.fromEntries(found.map((member) => [member.user_id, member.display_name])) });
  }),

  // Emails are sent after the request has ended, so there is no user identity, and the body names the tenant.
  route('POST /internal/users/addresses', {
    operationId: 'readAddresses',
    tag: 'Internal',
    summary: 'Read the email addresses of active members of a tenant (complaint-service only)',
    callers: ['service'],
    body: z.strictObject({ tenant_id: idField, ids: z.array(idField).max(maxNames) }),
    responses: {
      200: z.object({
        members: z
          .array(z.object({ id: z.string(), role: z.string(), status: z.literal('active'), email: z.string() }))
          .describe('Unknown and disabled people, and people without an address, are omitted.'),
      }),
    },
    errors: ['not_a_mailer'],
  }).handle(async ({ res, identity, body, reply }, { db }) => {
    if (identity.serviceId !== mailingService) throw new AppError('not_a_mailer');
    addToLog(res, { service_id: identity.serviceId, tenant_id: body.tenant_id });
    const found = await inTenant(db, body.tenant_id, (trx) => findAddresses(trx, body.ids));
    const members = found.map(({ user_id: id, role, email }) => ({ id, role, status: 'active', email }) as const);
    reply(200, { members });
  }),
  // The request has no user identity, so the body names the tenant.
  route('POST /internal/memberships', {
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
