import { type AuditEntry, auditHash, chainStart } from './audit-chain.ts';
import { databaseNow } from './clock.ts';
import { holdLock } from './locks.ts';
import type { Trx } from './scope.ts';

export type AuditEvent = Readonly<{
  tenantId: string;
  action:
    | 'session.started'
    | 'session.ended'
    | 'mfa.enabled'
    | 'mfa.removed'
    | 'mfa.codes_renewed'
    | 'mfa.recovery_code_used';
  userId: string;
  sessionId: string | null;
  requestId: string;
  /** Never a secret. */
  detail: Readonly<Record<string, unknown>>;
}>;

/** Adds the next link to the chain of the tenant that the transaction works in. */
export async function appendAudit(trx: Trx, event: AuditEvent): Promise<void> {
  await holdLock(trx, 'auditChain', event.tenantId);
  const head = await trx
    .selectFrom('audit_log')
    .select(['seq', 'hash'])
    .where('tenant_id', '=', event.tenantId)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  const previous = head === undefined ? chainStart : Buffer.from(head.hash);
  const entry: AuditEntry = {
    ...event,
    seq: (head?.seq ?? 0) + 1,
    at: await databaseNow(trx),
    detail: JSON.stringify(event.detail),
  };
  await trx
    .insertInto('audit_log')
    .values({
      tenant_id: entry.tenantId,
      seq: entry.seq,
      at: entry.at,
      action: entry.action,
      user_id: entry.userId,
      session_id: entry.sessionId,
      request_id: entry.requestId,
      detail: entry.detail,
      prev_hash: previous,
      hash: auditHash(previous, entry),
    })
    .execute();
}
