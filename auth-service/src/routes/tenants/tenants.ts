import { jsonOf, namedObject, paginate, paginationFields, wholeNumberField } from '@countersign/service-kit';
import { z } from 'zod';
import { maxPasswordLength } from '../../domain/accounts/passwords.ts';
import { acceptInvitation, invite, readInvitations, withdrawInvitation } from '../../flows/tenants/invitations.ts';
import { changeMember, readAuditLog } from '../../flows/tenants/members.ts';
import type { StoredEntry } from '../../store/audit/audit.ts';
import { emailAddress, mailedToken, personName, roleName, secretText, transport } from '../fields.ts';
import { adminOf, inSessionOf, route } from '../route.ts';
import { answerLogin, passwordLoginErrors, tokens } from '../sessions/token-answer.ts';

const invitation = namedObject('Invitation', {
  id: z.uuid(),
  email: z.string(),
  role: z.string(),
  invited_by: z.string().nullable().describe('Null if an operator sent the invitation.'),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
});

const cursor = z.uuid();
const forAdmins = { tag: 'Tenants', description: 'Requires the `admin` role.', callers: ['user'] } as const;

const status = z.enum(['active', 'disabled']);

const auditEntry = namedObject('AuditEntry', {
  seq: z.int().describe('Counts up from 1 in each tenant, without gaps.'),
  at: z.iso.datetime(),
  action: z.string(),
  user_id: z.string().nullable().describe('The user whom the entry is about.'),
  session_id: z.string().nullable(),
  request_id: z.string(),
  detail: z.record(z.string(), z.unknown()),
  hash: z.string().describe('SHA-256 hash of the previous hash and this entry, in hex.'),
});

/** A value of the `seq` column. */
const place = wholeNumberField({ min: 1, max: 2 ** 31 - 1 });

export const tenantRoutes = [
  route('POST /v1/auth/tenants/:id/invitations', {
    ...forAdmins,
    operationId: 'invite',
    summary: 'Invite an address to your tenant',
    body: z.strictObject({ email: emailAddress, role: roleName }),
    responses: { 201: invitation },
    errors: ['insufficient_role', 'tenant_mismatch', 'already_member', 'already_invited', 'too_many_attempts'],
  }).handle(async (call, parts) => {
    const made = await invite(parts, adminOf(call), call.body);
    const { req, res } = call;
    res.status(201).location(`${req.path}/${made.id}`).json(jsonOf(invitation, made));
  }),

  route('GET /v1/auth/tenants/:id/invitations', {
    ...forAdmins,
    operationId: 'listInvitations',
    summary: 'List open invitations',
    description: 'Lists the newest invitations first. Requires the `admin` role.',
    query: z.strictObject(paginationFields({ maxLength: 36, decode: (text) => cursor.safeParse(text).data })),
    responses: { 200: z.object({ items: z.array(invitation), next_cursor: z.string().nullable() }) },
    errors: ['insufficient_role', 'tenant_mismatch'],
  }).handle(async (call, parts) => {
    const { cursor: before, limit } = call.query;
    const found = await readInvitations(parts.db, adminOf(call), { before, limit: limit + 1 });
    const { rows, nextCursor } = paginate(found, limit, ({ id }) => id);
    call.reply(200, { items: rows.map((row) => jsonOf(invitation, row)), next_cursor: nextCursor });
  }),

  route('DELETE /v1/auth/tenants/:id/invitations/:invitationId', {
    ...forAdmins,
    operationId: 'withdrawInvitation',
    summary: 'Withdraw an invitation',
    params: z.object({ id: z.string(), invitationId: z.string() }),
    responses: { 204: null },
    errors: ['insufficient_role', 'tenant_mismatch'],
  }).handle(async (call, parts) => {
    await withdrawInvitation(parts.db, adminOf(call), call.params.invitationId);
    call.reply(204);
  }),

  route('POST /v1/auth/invitations/accept', {
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
      name: personName.optional(),
      transport,
    }),
    responses: { 200: tokens },
    errors: ['invalid_token', 'invitation_gone', 'already_member', 'session_revoked', ...passwordLoginErrors],
  }).handle((call, parts) =>
    answerLogin(call, parts, (caller, mayUse) => {
      mayUse(call.body.transport);
      return acceptInvitation(parts, { ...call.body, session: inSessionOf(call.identity) }, caller);
    }),
  ),

  route('PATCH /v1/auth/tenants/:id/members/:userId', {
    ...forAdmins,
    operationId: 'changeMember',
    summary: "Change a member's role or status",
    description: "Ends the member's sessions in the tenant. Requires the `admin` role.",
    params: z.object({ id: z.string(), userId: z.string() }),
    body: z
      .strictObject({ role: roleName.optional(), status: status.optional() })
      .refine(
        ({ role, status: state }) => role !== undefined || state !== undefined,
        'must contain a role or a status',
      ),
    responses: {
      200: z.object({ tenant_id: z.string(), user_id: z.string(), email: z.string(), role: z.string(), status }),
    },
    errors: ['insufficient_role', 'tenant_mismatch', 'last_admin'],
  }).handle(async (call, { db }) => {
    const admin = adminOf(call);
    const member = await changeMember(db, admin, { userId: call.params.userId, wanted: call.body });
    const { userId: user_id, email, role, status: state } = member;
    call.reply(200, { tenant_id: admin.tenantId, user_id, email, role, status: state });
  }),

  route('GET /v1/auth/audit', {
    ...forAdmins,
    operationId: 'readAudit',
    summary: "Read your tenant's audit log",
    description: 'Lists the newest entries first. Requires the `admin` role.',
    query: z.strictObject(paginationFields({ maxLength: 10, decode: (text) => place.safeParse(text).data })),
    responses: { 200: z.object({ items: z.array(auditEntry), next_cursor: z.string().nullable() }) },
    errors: ['insufficient_role'],
  }).handle(async (call, { db }) => {
    const { cursor: before, limit } = call.query;
    const found = await readAuditLog(db, adminOf(call), { before, limit: limit + 1 });
    const { rows, nextCursor } = paginate(found, limit, ({ seq }) => String(seq));
    call.reply(200, { items: rows.map(auditJson), next_cursor: nextCursor });
  }),
];

/** An entry as the API and the export show it. */
export const auditJson = (entry: StoredEntry) =>
  jsonOf(auditEntry, { ...entry, detail: JSON.parse(entry.detail), hash: Buffer.from(entry.hash).toString('hex') });
