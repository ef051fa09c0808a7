import { insertNew, rowsWith, update } from '@countersign/database';
import { v7 as uuidv7 } from 'uuid';
import { adminRole, canonicalEmail } from '../../domain/accounts/account-rules.ts';
import type { EndReason } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { appendAudit, holdChains } from '../../store/audit/audit.ts';
import { removeSecondFactor } from '../../store/second-factor/second-factors.ts';
import { appendRevocations, renewLog } from '../../store/sessions/revocations.ts';
import { endEverySession, lockOwnSessions } from '../../store/sessions/sessions.ts';
import { revokeInvitationsBy, revokeInvitationsTo } from '../../store/tenants/invitations.ts';
import { findTenant, renumberMemberships } from '../../store/tenants/tenants.ts';
import { type AuthDatabase, actAs, enterTenant, roles, type Trx } from '../../store/transaction.ts';
import { recordForOperator, recordWithdrawn } from '../audit/record.ts';
import { queueMembership } from '../mail/deliver.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { placeInvitation, recordInvitation } from '../tenants/invitations.ts';

/**
 * Ends every session in every tenant, and starts a new revocation log. Use this after restoring a backup: browsers and
 * gateways may have sessions and revocations that are newer than the backup.
 */
export async function endAllSessions(db: AuthDatabase, requestId: string): Promise<{ ended: number; tenants: number }> {
  return db.transaction({ role: roles.operator }, async (trx) => {
    // Locked in the order of their ids, so that no tokens are issued until the transaction ends.
    const tenants = await trx.selectFrom('tenants').select('id').orderBy('id').forUpdate().execute();
    const ended = await endEverySession(trx, 'operator');
    for (const { id: tenantId } of tenants) {
      const detail = { reason: 'operator', ended: ended.get(tenantId) ?? 0 };
      await appendAudit(trx, { tenantId, action: 'tenant.sessions_ended', requestId, detail });
    }
    await renewLog(trx);
    const all = tenants.map(({ id }) => ({ kind: 'tenant', tenant_id: id }) as const);
    await appendRevocations(trx, all);
    return { ended: [...ended.values()].reduce((sum, count) => sum + count, 0), tenants: tenants.length };
  });
}

/**
 * Blocks this person's logins, ends their sessions and withdraws invitations that they sent. Other services receive the
 * change for each of their tenants.
 *
 * @throws AppError `not_found`
 */
export async function disableUser(db: AuthDatabase, email: string, requestId: string): Promise<{ ended: number }> {
  const reason: EndReason = 'user_disabled';
  return changeUser(db, email, async (trx, userId) => {
    await setStatus(trx, userId, { email, status: 'disabled' });
    const open = await lockOwnSessions(trx, userId);
    const withdrawn = await revokeInvitationsBy(trx, userId);
    await recordForOperator(trx, { action: 'user.disabled', userId, requestId });
    const tenantIds = [...open, ...withdrawn].map(({ tenantId }) => tenantId);
    await holdChains(trx, tenantIds);
    await recordWithdrawn(trx, withdrawn, { requestId, inviter: userId, reason });
    await endSessions(trx, userId, open, { requestId, reason, also: { kind: 'user', user_id: userId } });
    return { ended: open.length };
  });
}

/** Lets this user log in again, and tells the other services. @throws AppError `not_found` */
export const enableUser = (db: AuthDatabase, email: string, requestId: string): Promise<void> =>
  changeUser(db, email, async (trx, userId) => {
    await setStatus(trx, userId, { email, status: 'active' });
    await recordForOperator(trx, { action: 'user.enabled', userId, requestId });
  });

/** For a person who lost device and codes. Operators must check their identity first. @throws AppError `not_found` */
export const resetSecondFactor = (db: AuthDatabase, email: string, requestId: string): Promise<void> =>
  changeUser(db, email, async (trx, userId) => {
    await removeSecondFactor(trx, userId);
    await recordForOperator(trx, { action: 'mfa.reset', userId, requestId });
  });

/** Also queues an update of each of the account's memberships for other services. */
async function setStatus(
  trx: Trx,
  userId: string,
  account: Readonly<{ email: string; status: 'active' | 'disabled' }>,
): Promise<void> {
  await update(trx, 'users', { id: userId }, { status: account.status });
  for (const { tenantId, role, version, status } of await renumberMemberships(trx, userId)) {
    await queueMembership(trx, {
      sequence: version,
      tenant_id: tenantId,
      user_id: userId,
      email: canonicalEmail(account.email),
      role,
      status: account.status === 'disabled' ? 'disabled' : status,
    });
  }
}

const changeUser = <T>(db: AuthDatabase, email: string, change: (trx: Trx, userId: string) => Promise<T>): Promise<T> =>
  db.transaction({ role: roles.operator }, async (trx) => {
    const account = rowsWith(trx, 'users', { email_ci: canonicalEmail(email) });
    const user = await account.select('id').forUpdate().executeTakeFirst();
    if (user !== undefined) return change(trx, user.id);
    throw new AppError('not_found', { errors: [{ path: 'EMAIL', message: 'no account has this address' }] });
  });

export const everyTenant = (db: AuthDatabase) =>
  db.transaction({ role: roles.operator }, (trx) =>
    trx.selectFrom('tenants').select(['id', 'slug', 'name', 'status']).orderBy('slug').execute(),
  );

/** Creates a tenant without members. @throws AppError `validation_failed` if the slug is taken. */
export async function createTenant(
  db: AuthDatabase,
  { slug, name }: Readonly<{ slug: string; name: string }>,
  requestId: string,
): Promise<{ id: string }> {
  const id = uuidv7();
  await db.transaction({ role: roles.accounts, tenantId: id }, async (trx) => {
    if (!(await insertNew(trx, 'tenants', { id, slug, name }))) {
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
  return changeTenant(db, slug, async (trx, tenantId) => {
    await update(trx, 'tenants', { id: tenantId }, { status: 'disabled' });
    const reason: EndReason = 'tenant_disabled';
    const ended = (await endEverySession(trx, reason, tenantId)).get(tenantId) ?? 0;
    await recordForOperator(trx, { action: 'tenant.disabled', requestId, detail: { tenant_id: tenantId, ended } });
    await appendAudit(trx, { tenantId, action: 'tenant.sessions_ended', requestId, detail: { reason, ended } });
    await appendRevocations(trx, [{ kind: 'tenant', tenant_id: tenantId }]);
    return { ended };
  });
}

/** @throws AppError `not_found` */
export const enableTenant = (db: AuthDatabase, slug: string, requestId: string): Promise<void> =>
  changeTenant(db, slug, async (trx, tenantId) => {
    await update(trx, 'tenants', { id: tenantId }, { status: 'active' });
    await recordForOperator(trx, { action: 'tenant.enabled', requestId, detail: { tenant_id: tenantId } });
  });

/** Locks the tenant, so that no tokens are issued in it until the transaction ends. */
const changeTenant = <T>(
  db: AuthDatabase,
  slug: string,
  change: (trx: Trx, tenantId: string) => Promise<T>,
): Promise<T> =>
  db.transaction({ role: roles.operator }, async (trx) => {
    const tenant = await rowsWith(trx, 'tenants', { slug }).select('id').forUpdate().executeTakeFirst();
    if (tenant === undefined) throw noSuchTenant();
    return change(trx, tenant.id);
  });

const noSuchTenant = () =>
  new AppError('not_found', {
    errors: [
      { path: 'SLUG', message: 'the tenant does not exist or is disabled; run tenants list to see all tenants' },
    ],
  });
