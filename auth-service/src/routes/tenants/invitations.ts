import { jsonOf, paginate, paginationFields } from '@countersign/service-kit';
import { z } from 'zod';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import { acceptInvitation } from '../../flows/tenants/accept-invitation.ts';
import { invite, openInvitations, withdrawInvitation } from '../../flows/tenants/invite.ts';
import { callerOf, inSessionOf } from '../caller.ts';
import { emailAddress, mailedToken, roleName, secretText, transport } from '../fields.ts';
import { route } from '../route.ts';
import { refuseForeignPage } from '../sessions/browser.ts';
import { answerAdmission, tokens } from '../sessions/token-answer.ts';
import { adminOf, pathId } from './tenant-admin.ts';

const invitation = z
  .object({
    id: z.uuid(),
    email: z.string(),
    role: z.string(),
    invited_by: z.string().nullable().describe('Null if an operator sent the invitation.'),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
  })
  .meta({ id: 'Invitation' });

const cursor = z.uuid();
const forAdmins = { tag: 'Tenants', description: 'Requires the `admin` role.', callers: ['user'] } as const;

export const invitationRoutes = [
  route({
    ...forAdmins,
    method: 'post',
    path: '/v1/auth/tenants/:id/invitations',
    operationId: 'invite',
    summary: 'Invite an address to your tenant',
    body: z.strictObject({ email: emailAddress, role: roleName }),
    responses: { 201: invitation },
    errors: ['insufficient_role', 'tenant_mismatch', 'already_member', 'already_invited', 'too_many_attempts'],
  }).handle(async ({ req, res, identity, body }, parts) => {
    const made = await invite(parts, adminOf(identity, res, pathId(req, 'id')), body);
    res.status(201).location(`${req.path}/${made.id}`).json(jsonOf(invitation, made));
  }),

  route({
    method: 'get',
    path: '/v1/auth/tenants/:id/invitations',
    operationId: 'listInvitations',
    tag: 'Tenants',
    summary: 'List open invitations',
    description: 'Lists the newest invitations first. Requires the `admin` role.',
    callers: ['user'],
    query: z.strictObject(paginationFields({ maxLength: 36, decode: (text) => cursor.safeParse(text).data })),
    responses: { 200: z.object({ items: z.array(invitation), next_cursor: z.string().nullable() }) },
    errors: ['insufficient_role', 'tenant_mismatch'],
  }).handle(async ({ req, res, identity, query, reply }, parts) => {
    const { tenantId } = adminOf(identity, res, pathId(req, 'id'));
    const { cursor: before, limit } = query;
    const found = await openInvitations(parts.db, tenantId, { before, limit: limit + 1 });
    const { rows, nextCursor } = paginate(found, limit, ({ id }) => id);
    reply(200, { items: rows.map((row) => jsonOf(invitation, row)), next_cursor: nextCursor });
  }),

  route({
    ...forAdmins,
    method: 'delete',
    path: '/v1/auth/tenants/:id/invitations/:invitationId',
    operationId: 'withdrawInvitation',
    summary: 'Withdraw an invitation',
    responses: { 204: null },
    errors: ['insufficient_role', 'tenant_mismatch', 'not_found'],
  }).handle(async ({ req, res, identity, reply }, parts) => {
    await withdrawInvitation(parts.db, adminOf(identity, res, pathId(req, 'id')), pathId(req, 'invitationId'));
    reply(204);
  }),

  route({
    method: 'post',
    path: '/v1/auth/invitations/accept',
    operationId: 'acceptInvitation',
    tag: 'Tenants',
    summary: 'Accept an invitation',
    description: 'Makes you a member and logs you in to the tenant. Send the token from the email.',
    callers: ['anonymous', 'user'],
    body: z.strictObject({
      token: mailedToken,
      password: secretText(maxPasswordLength)
        .optional()
        .meta({
          description:
            'New users choose a password. Users with an account enter their password, or omit it if they are logged in.',
          examples: ['correct horse battery staple'],
        }),
      transport,
    }),
    responses: { 200: tokens },
    errors: [
      'invalid_token',
      'invitation_gone',
      'invalid_credentials',
      'already_member',
      'mfa_required',
      'session_revoked',
      'cross_site_refused',
      'too_many_attempts',
      'login_busy',
    ],
  }).handle(async ({ req, res, identity, body }, parts) => {
    refuseForeignPage(parts, req, body.transport);
    const given = { ...body, session: inSessionOf(identity) };
    await answerAdmission(req, res, parts, await acceptInvitation(parts, given, callerOf(req, res, identity)));
  }),
];
