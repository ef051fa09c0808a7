import { rowsWith } from '@countersign/database';
import type { EndReason } from '../../domain/sessions/session-rules.ts';
import { lockUser } from '../../store/accounts/accounts.ts';
import { appendAudit } from '../../store/audit/audit.ts';
import { appendRevocations, type NewRevocation } from '../../store/sessions/revocations.ts';
import { lockOwnSessions, markRevoked, type OwnSession } from '../../store/sessions/sessions.ts';
import { type AuthDatabase, enterTenant, roles, type Trx } from '../../store/transaction.ts';

/** Which of a person's sessions to end, relative to the current one. */
type LogoutScope = 'this' | 'others' | 'all';

export type SessionOwner = Readonly<{ userId: string; sessionId: string }>;

/**
 * Ends a person's sessions, audits this, and revokes the access tokens, all in one transaction. Ignores sessions that
 * have already ended.
 *
 * @returns Whether the session belongs to this user, even if it had already ended.
 */
export async function logOut(
  db: AuthDatabase,
  { userId, sessionId }: SessionOwner,
  scope: LogoutScope,
  requestId: string,
): Promise<boolean> {
  return db.transaction({ role: roles.self, userId }, async (trx) => {
    // Locks the holder first: a session that is starting is then either found or waits.
    if (scope !== 'this') await lockUser(trx, userId);
    const open = await lockOwnSessions(trx, userId);
    const own = await rowsWith(trx, 'sessions', { user_id: userId, id: sessionId }).select('id').executeTakeFirst();
    const doomed = open.filter(({ id }) => scope === 'all' || (id === sessionId) === (scope === 'this'));
    const also = scope === 'all' ? ({ kind: 'user', user_id: userId } as const) : undefined;
    await endSessions(trx, userId, doomed, { requestId, reason: 'logout', also });
    return own !== undefined;
  });
}

/**
 * Ends locked sessions of one user. Must be the last step of a transaction, which stays in the last session's tenant.
 *
 * @param how.also Another revocation to write.
 */
export async function endSessions(
  trx: Trx,
  userId: string,
  doomed: readonly OwnSession[],
  { requestId, reason, also }: Readonly<{ requestId: string; reason: EndReason; also?: NewRevocation | undefined }>,
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
  await appendRevocations(trx, [...sessions, ...(also ? [also] : [])]);
}
