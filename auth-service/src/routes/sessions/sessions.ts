import { jsonOf, requestIdOf } from '@countersign/service-kit';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { endOwnSession } from '../../flows/sessions/end-sessions.ts';
import { switchTenant } from '../../flows/sessions/switch-tenant.ts';
import { listOwnSessions } from '../../store/sessions/sessions.ts';
import { callerOf, sessionOf } from '../caller.ts';
import { tenantIdField, transport } from '../fields.ts';
import { route } from '../route.ts';
import { refuseForeignPage } from './browser.ts';
import { answerAdmission, tokens } from './token-answer.ts';

const session = z
  .object({
    id: z.uuid(),
    current: z.boolean(),
    ip: z.string().nullable(),
    user_agent: z.string().nullable(),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime(),
  })
  .meta({ id: 'Session' });

const sessionId = z.uuid();

export const sessionRoutes = [
  route({
    method: 'get',
    path: '/v1/auth/sessions',
    operationId: 'listSessions',
    tag: 'Sessions',
    summary: 'List your sessions',
    description: 'Includes your sessions in all tenants.',
    callers: ['user'],
    responses: { 200: z.object({ items: z.array(session) }) },
    errors: [],
  }).handle(async ({ identity, reply }, { db }) => {
    const sessions = await listOwnSessions(db, identity.userId);
    const items = sessions.map((row) => jsonOf(session, { ...row, current: row.id === identity.context.sid }));
    reply(200, { items });
  }),

  route({
    method: 'delete',
    path: '/v1/auth/sessions/:id',
    operationId: 'endSession',
    tag: 'Sessions',
    summary: 'End one of your sessions',
    callers: ['user'],
    responses: { 204: null },
    errors: ['not_found'],
  }).handle(async ({ req, res, identity, reply }, { db }) => {
    const id = sessionId.safeParse(req.params.id);
    const owned =
      id.success && (await endOwnSession(db, { userId: identity.userId, sessionId: id.data }, requestIdOf(res)));
    if (!owned) throw new AppError('not_found');
    reply(204);
  }),
  route({
    method: 'post',
    path: '/v1/auth/sessions/switch-tenant',
    operationId: 'switchTenant',
    tag: 'Sessions',
    summary: 'Switch to another of your tenants',
    description: 'Starts a session in that tenant without a new login.',
    callers: ['user'],
    body: z.strictObject({ tenant_id: tenantIdField, transport }),
    responses: { 200: tokens },
    errors: ['not_a_member', 'mfa_required', 'session_revoked', 'cross_site_refused', 'too_many_attempts'],
  }).handle(async ({ req, res, identity, body }, parts) => {
    refuseForeignPage(parts, req, body.transport);
    const given = { tenantId: body.tenant_id, transport: body.transport };
    const admission = await switchTenant(parts, sessionOf(identity), given, callerOf(req, res, identity));
    await answerAdmission(req, res, parts, admission);
  }),
];
