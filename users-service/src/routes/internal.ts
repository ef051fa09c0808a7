import type { ServiceIdentity } from '@countersign/identity';
import { addToLog } from '@countersign/process-kit';
import { idField, lineField, roleField } from '@countersign/service-kit';
import type { Response } from 'express';
import { z } from 'zod';
import { directoryRoles, foldName } from '../domain/profile.ts';
import { AppError } from '../errors.ts';
import { applyMembershipUpdate, changeMember, findAddresses, findMember, findNames } from '../store/members.ts';
import { actAs, appRole, inTenant, membershipRole } from '../store/schema.ts';
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
  display_name: lineField(100).optional().describe('The name that the person gave when they joined.'),
});

function assertSource({ serviceId }: ServiceIdentity): void {
  if (serviceId !== source) throw new AppError('not_the_source');
}

const namesById = z.record(z.string(), z.string());

type Named = Awaited<ReturnType<typeof findNames>>[number];

const namesOf = (found: readonly Named[], nameOf: (of: Named) => string | null): z.infer<typeof namesById> =>
  Object.fromEntries(found.map((each) => [each.user_id, nameOf(each) ?? '']).filter(([, name]) => name !== ''));

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
    description: 'For agents and administrators, the email address replaces a missing name.',
    callers: ['service'],
    body: z.strictObject({ ids: z.array(idField).max(maxNames) }),
    responses: {
      200: z.object({
        names: namesById.describe('Display names by id. Unknown people and people without a name are omitted.'),
      }),
    },
    errors: ['acting_user_required'],
  }).handle(async ({ res, identity, body, reply }, { db }) => {
    const tenantId = actingTenant(res, identity);
    const seesAddresses = directoryRoles.includes(identity.user?.role ?? '');
    const found = await inTenant(db, tenantId, (trx) => findNames(trx, body.ids));
    reply(200, { names: namesOf(found, ({ display_name, email }) => display_name ?? (seesAddresses ? email : null)) });
  }),

  // For the account pages, whose requests have no access token: the tenant is in the body.
  route('POST /internal/members/names', {
    operationId: 'readMemberNames',
    tag: 'Internal',
    summary: 'Read display names of members of a tenant (auth-service only)',
    callers: ['service'],
    body: z.strictObject({ tenant_id: idField, ids: z.array(idField).max(maxNames) }),
    responses: { 200: z.object({ names: namesById }) },
    errors: ['not_the_source'],
  }).handle(async ({ res, identity, body, reply }, { db }) => {
    assertSource(identity);
    addToLog(res, { service_id: source, tenant_id: body.tenant_id });
    const found = await inTenant(db, body.tenant_id, (trx) => findNames(trx, body.ids));
    reply(200, { names: namesOf(found, ({ display_name }) => display_name) });
  }),

  route('POST /internal/members/name', {
    operationId: 'renameMember',
    tag: 'Internal',
    summary: "Change a member's display name (auth-service only)",
    callers: ['service'],
    body: z.strictObject({ tenant_id: idField, user_id: idField, display_name: lineField(100) }),
    responses: { 204: null },
    errors: ['not_the_source', 'unknown_user'],
  }).handle(async ({ res, identity, body, reply }, { db }) => {
    assertSource(identity);
    const { tenant_id, user_id, display_name } = body;
    addToLog(res, { service_id: source, tenant_id, user_id });
    await inTenant(db, tenant_id, async (trx) => {
      if ((await findMember(trx, user_id)) === undefined) throw new AppError('unknown_user');
      await changeMember(trx, user_id, { display_name, folded_name: foldName(display_name) });
    });
    reply(204);
  }),

  // Emails are sent after the request has ended, so there is no user identity, and the body names the tenant.
  route('POST /internal/users/addresses', {
    operationId: 'readAddresses',
    tag: 'Internal',
    summary: 'Read the addresses, names and languages of active members of a tenant (complaint-service only)',
    callers: ['service'],
    body: z.strictObject({ tenant_id: idField, ids: z.array(idField).max(maxNames) }),
    responses: {
      200: z.object({
        members: z
          .array(
            z.object({
              id: z.string(),
              role: z.string(),
              status: z.literal('active'),
              email: z.string(),
              display_name: z.string().nullable(),
              locale: z.string().nullable(),
            }),
          )
          .describe('Unknown and disabled people, and people without an address, are omitted.'),
      }),
    },
    errors: ['not_a_mailer'],
  }).handle(async ({ res, identity, body, reply }, { db }) => {
    if (identity.serviceId !== mailingService) throw new AppError('not_a_mailer');
    addToLog(res, { service_id: identity.serviceId, tenant_id: body.tenant_id });
    const found = await inTenant(db, body.tenant_id, (trx) => findAddresses(trx, body.ids));
    const members = found.map(({ user_id: id, ...member }) => ({ id, status: 'active', ...member }) as const);
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
    assertSource(identity);
    const { event_id, status, display_name, ...known } = body;
    const update = { ...known, status: status === 'active' ? ('active' as const) : ('inactive' as const) };
    const applied = await inTenant(
      db,
      update.tenant_id,
      async (trx) => {
        if (!(await applyMembershipUpdate(trx, update))) return false;
        if (display_name === undefined) return true;
        await actAs(trx, appRole);
        await changeMember(trx, update.user_id, { display_name, folded_name: foldName(display_name) });
        return true;
      },
      membershipRole,
    );
    addToLog(res, { service_id: source, tenant_id: update.tenant_id, user_id: update.user_id, event_id, applied });
    reply(200, { applied });
  }),
];
