import { canonicalEmail } from '../../domain/accounts/email.ts';
import { type EndReason, revocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { lockTenants, lockUserByEmail, setUserStatus } from '../../store/accounts/accounts.ts';
import { appendAudit, holdChains } from '../../store/audit/audit.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import { removeSecondFactor } from '../../store/second-factor/second-factors.ts';
import { appendRevocations, renewLog } from '../../store/sessions/revocations.ts';
import { endEverySession, lockOwnSessions } from '../../store/sessions/sessions.ts';
import { revokeInvitationsBy } from '../../store/tenants/invitations.ts';
import { renumberMemberships } from '../../store/tenants/members.ts';
import { recordForOperator, recordWithdrawn } from '../audit/record.ts';
import { queueMembership } from '../mail/outbox-messages.ts';
import { endSessions } from '../sessions/end-sessions.ts';

/**
 * Ends every session in every tenant, and starts a new revocation log. Use this after restoring a backup: browsers and
 * gateways may have sessions and revocations that are newer than the backup.
 */
export async function endAllSessions(db: AuthDatabase, requestId: string): Promise<{ ended: number; tenants: number }> {
  return db.transaction({ role: roles.operator }, async (trx) => {
    const tenants = await lockTenants(trx);
    const ended = await endEverySession(trx, 'operator');
    for (const tenantId of tenants) {
      const detail = { reason: 'operator', ended: ended.get(tenantId) ?? 0 };
      const event = { tenantId, userId: null, sessionId: null, requestId, detail };
      await appendAudit(trx, { ...event, action: 'tenant.sessions_ended' });
    }
    await renewLog(trx);
    const all = tenants.map((tenantId) => ({ kind: 'tenant', tenant_id: tenantId }) as const);
    await appendRevocations(trx, all, revocationInForceSec);
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
    await setUserStatus(trx, userId, 'disabled');
    await queueMemberships(trx, userId, { email, status: 'disabled' });
    const open = await lockOwnSessions(trx, userId);
    const withdrawn = await revokeInvitationsBy(trx, userId);
    await recordForOperator(trx, { action: 'user.disabled', userId, requestId });
    const tenantIds = [...open, ...withdrawn].map(({ tenantId }) => tenantId);
    await holdChains(trx, tenantIds);
    await recordWithdrawn(trx, withdrawn, { userId: null, sessionId: null, requestId, inviter: userId, reason });
    const revocations = [{ kind: 'user', user_id: userId } as const];
    await endSessions(trx, userId, open, { requestId, reason, revocations });
    return { ended: open.length };
  });
}

/**
 * Lets this user log in again, and sends the change to other services for each of their tenants.
 *
 * @throws AppError `not_found`
 */
export async function enableUser(db: AuthDatabase, email: string, requestId: string): Promise<void> {
  await changeUser(db, email, async (trx, userId) => {
    await setUserStatus(trx, userId, 'active');
    await queueMemberships(trx, userId, { email, status: 'active' });
    await recordForOperator(trx, { action: 'user.enabled', userId, requestId });
  });
}

/**
 * Removes the second factor of a person who lost their device and recovery codes. The operator must check the person's
 * identity first.
 *
 * @throws AppError `not_found`
 */
export async function resetSecondFactor(db: AuthDatabase, email: string, requestId: string): Promise<void> {
  await changeUser(db, email, async (trx, userId) => {
    await removeSecondFactor(trx, userId);
    await recordForOperator(trx, { action: 'mfa.reset', userId, requestId });
  });
}

/** Queues an update of each of the account's memberships for other services. */
async function queueMemberships(
  trx: Trx,
  userId: string,
  account: Readonly<{ email: string; status: 'active' | 'disabled' }>,
): Promise<void> {
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

async function changeUser<T>(
  db: AuthDatabase,
  email: string,
  change: (trx: Trx, userId: string) => Promise<T>,
): Promise<T> {
  return db.transaction({ role: roles.operator }, async (trx) => {
    const userId = await lockUserByEmail(trx, canonicalEmail(email));
    if (userId === undefined)
      throw new AppError('not_found', { errors: [{ path: 'EMAIL', message: 'no account has this address' }] });
    return change(trx, userId);
  });
}
