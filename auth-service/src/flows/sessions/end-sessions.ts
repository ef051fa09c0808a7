import { type EndReason, revocationInForceSec } from '../../domain/sessions/session-rules.ts';
import { lockUser } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { enterTenant, type Trx } from '../../store/scope.ts';
import { appendRevocations, type NewRevocation } from '../../store/sessions/revocations.ts';
import { isOwnSession, lockOwnSessions, markRevoked, type OwnSession } from '../../store/sessions/sessions.ts';

/** Which of a person's sessions to end, relative to the current one. */
export type LogoutScope = 'this' | 'others' | 'all';

export type SessionOwner = Readonly<{ userId: string; sessionId: string }>;

/**
 * Ends a person's sessions, audits this, and revokes the access tokens, all in one transaction. Ignores sessions that
 * have already ended.
 */
export async function logOut(
  db: AuthDatabase,
  owner: SessionOwner,
  scope: LogoutScope,
  requestId: string,
): Promise<void> {
  const { userId, sessionId } = owner;
  await db.transaction({ role: roles.self, userId }, async (trx) => {
    // Locks the holder first: a session that is starting is then either found or waits.
    if (scope !== 'this') await lockUser(trx, userId);
    const open = await lockOwnSessions(trx, userId);
    const doomed = open.filter(({ id }) => scope === 'all' || (id === sessionId) === (scope === 'this'));
    const everything: NewRevocation[] = scope === 'all' ? [{ kind: 'user', user_id: userId }] : [];
    await endSessions(trx, userId, doomed, { requestId, reason: 'logout', revocations: everything });
  });
}

/** @returns Whether the session belongs to this user. A session that has already ended does not change. */
export async function endOwnSession(db: AuthDatabase, owner: SessionOwner, requestId: string): Promise<boolean> {
  const { userId, sessionId } = owner;
  return db.transaction({ role: roles.self, userId }, async (trx) => {
    if (!(await isOwnSession(trx, userId, sessionId))) return false;
    const doomed = (await lockOwnSessions(trx, userId)).filter(({ id }) => id === sessionId);
    await endSessions(trx, userId, doomed, { requestId, reason: 'logout', revocations: [] });
    return true;
  });
}

/**
 * Ends locked sessions of one user. Must be the last step of a transaction, which stays in the last session's tenant.
 *
 * @param how.revocations Additional revocations to write.
 */
export async function endSessions(
  trx: Trx,
  userId: string,
  doomed: readonly OwnSession[],
  { requestId, reason, revocations }: Readonly<{ requestId: string; reason: EndReason; revocations: NewRevocation[] }>,
): Promise<void> {
  const ids = doomed.map(({ id }) => id);
  await markRevoked(trx, ids, reason);
  // Sorts by tenant: each tenant's audit chain stays locked, and two transactions must not deadlock.
  const byTenant = [...doomed].sort((a, b) => (a.tenantId < b.tenantId ? -1 : 1));
  for (const { id, tenantId } of byTenant) {
    await enterTenant(trx, tenantId);
    const event = { tenantId, userId, sessionId: id, requestId };
    await appendAudit(trx, { ...event, action: 'session.ended', detail: { reason } });
  }
  const sessions = doomed.map(
    ({ id, tenantId }) => ({ kind: 'session', sid: id, user_id: userId, tenant_id: tenantId }) as const,
  );
  await appendRevocations(trx, [...sessions, ...revocations], revocationInForceSec);
}
