import { v7 as uuidv7 } from 'uuid';
import { adminRole } from '../../domain/accounts/account-rules.ts';
import { canonicalEmail } from '../../domain/accounts/email.ts';
import { type EndReason, revocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { actAs, enterTenant, type Trx } from '../../store/scope.ts';
import { appendRevocations } from '../../store/sessions/revocations.ts';
import { endEverySession } from '../../store/sessions/sessions.ts';
import { revokeInvitationsTo } from '../../store/tenants/invitations.ts';
import { findTenant } from '../../store/tenants/members.ts';
import { insertTenant, listTenants, lockTenantBySlug, setTenantStatus } from '../../store/tenants/tenants.ts';
import { recordForOperator } from '../audit/record.ts';
import { placeInvitation, recordInvitation } from '../tenants/invite.ts';

export const everyTenant = (db: AuthDatabase) => db.transaction({ role: roles.operator }, listTenants);

/** Creates a tenant without members. @throws AppError `validation_failed` if the slug is taken. */
export async function createTenant(
  db: AuthDatabase,
  { slug, name }: Readonly<{ slug: string; name: string }>,
  requestId: string,
): Promise<{ id: string }> {
  const id = uuidv7();
  await db.transaction({ role: roles.accounts, tenantId: id }, async (trx) => {
    if (!(await insertTenant(trx, { id, slug, name }))) {
      throw new AppError('validation_failed', { errors: [{ path: 'SLUG', message: 'is already taken' }] });
    }
    await actAs(trx, roles.operator);
    await recordForOperator(trx, { action: 'tenant.created', requestId, detail: { tenant_id: id, slug, name } });
  });
  return { id };
}

/**
 * Invites an administrator: the first of a tenant, or a replacement if no administrator can log in. Replaces a pending
 * invitation to the address, so that an operator can repeat the command after a lost email.
 *
 * @throws AppError `not_found`, `already_member`.
 */
export async function inviteAdministrator(
  db: AuthDatabase,
  given: Readonly<{ slug: string; email: string }>,
  requestId: string,
): Promise<void> {
  const email = canonicalEmail(given.email);
  await db.transaction({ role: roles.accounts }, async (trx) => {
    const tenantId = await findTenant(trx, given.slug);
    if (tenantId === undefined) throw noSuchTenant();
    await enterTenant(trx, tenantId);
    await revokeInvitationsTo(trx, tenantId, email);
    const by = { tenantId, userId: null, sessionId: null, requestId };
    const invitation = await placeInvitation(trx, { email, role: adminRole }, by);
    await actAs(trx, roles.operator);
    await recordForOperator(trx, { action: 'tenant.admin_invited', requestId, detail: { tenant_id: tenantId, email } });
    await recordInvitation(trx, invitation, by);
  });
}

/** Blocks logins to this tenant and ends every session in it. @throws AppError `not_found` */
export async function disableTenant(db: AuthDatabase, slug: string, requestId: string): Promise<{ ended: number }> {
  return db.transaction({ role: roles.operator }, async (trx) => {
    const tenantId = await lockTenant(trx, slug);
    await setTenantStatus(trx, tenantId, 'disabled');
    const reason: EndReason = 'tenant_disabled';
    const ended = (await endEverySession(trx, reason, tenantId)).get(tenantId) ?? 0;
    await recordForOperator(trx, { action: 'tenant.disabled', requestId, detail: { tenant_id: tenantId, ended } });
    const event = { tenantId, userId: null, sessionId: null, requestId, detail: { reason, ended } };
    await appendAudit(trx, { ...event, action: 'tenant.sessions_ended' });
    await appendRevocations(trx, [{ kind: 'tenant', tenant_id: tenantId }], revocationInForceSec);
    return { ended };
  });
}

/** @throws AppError `not_found` */
export async function enableTenant(db: AuthDatabase, slug: string, requestId: string): Promise<void> {
  await db.transaction({ role: roles.operator }, async (trx) => {
    const tenantId = await lockTenant(trx, slug);
    await setTenantStatus(trx, tenantId, 'active');
    await recordForOperator(trx, { action: 'tenant.enabled', requestId, detail: { tenant_id: tenantId } });
  });
}

async function lockTenant(trx: Trx, slug: string): Promise<string> {
  const tenantId = await lockTenantBySlug(trx, slug);
  if (tenantId === undefined) throw noSuchTenant();
  return tenantId;
}

const noSuchTenant = () =>
  new AppError('not_found', {
    errors: [
      { path: 'SLUG', message: 'the tenant does not exist or is disabled; run tenants list to see all tenants' },
    ],
  });
