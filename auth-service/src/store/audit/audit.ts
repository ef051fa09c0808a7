import type { Selectable } from 'kysely';
import { databaseNow } from '../clock.ts';
import { holdLock } from '../locks.ts';
import type { AuditLogTable } from '../schema.ts';
import type { Trx } from '../scope.ts';
import { type AuditEntry, auditHash, chainStart } from './audit-chain.ts';

export type AuditAction =
  | `login.${'failed' | 'throttled'}`
  | `session.${'started' | 'ended'}`
  | `mfa.${'enabled' | 'removed' | 'codes_renewed' | 'recovery_code_used' | 'reset'}`
  | `user.${'disabled' | 'enabled'}`
  | `tenant.${'sessions_ended' | 'created' | 'admin_invited' | 'disabled' | 'enabled'}`
  | `key.${'rotated' | 'revoked'}`
  | 'keys.rewrapped'
  | 'account.created'
  | `password.${'reset_mailed' | 'reset' | 'changed'}`
  | `invitation.${'created' | 'revoked' | 'accepted'}`
  | `member.${'joined' | 'changed'}`
  | `client.${'created' | 'changed' | 'secret_rotated' | 'secret_ended' | 'deleted' | 'token_issued'}`
  | `delegation.${'granted' | 'used' | 'withdrawn'}`;

export type AuditEvent = Readonly<{
  tenantId: string;
  action: AuditAction;
  /** The user that the entry is about. */
  userId: string | null;
  sessionId: string | null;
  requestId: string;
  /** Never a secret. */
  detail: Readonly<Record<string, unknown>>;
}>;

/** The chain of entries without a tenant: operator commands, and events of people without a tenant. */
export const operatorChain = 'operator';

/**
 * Locks the chains of several tenants in a fixed order. A transaction that writes to them in another order must call
 * this first.
 */
export async function holdChains(trx: Trx, tenantIds: readonly string[]): Promise<void> {
  for (const tenantId of [...new Set(tenantIds)].sort()) await holdLock(trx, 'auditChain', tenantId);
}

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

const auditPage = 1_000;

/** Every tenant that has a chain, and the operator. */
export async function listChains(trx: Trx): Promise<string[]> {
  const rows = await trx.selectFrom('audit_log').select('tenant_id').distinct().orderBy('tenant_id').execute();
  return rows.map(({ tenant_id }) => tenant_id);
}

export type StoredEntry = Readonly<{ entry: AuditEntry; previous: Buffer; hash: Buffer }>;

/** Up to a thousand entries of a chain after this number, or from its start. */
export async function readChain(trx: Trx, tenantId: string, after: number | undefined): Promise<StoredEntry[]> {
  let query = entries(trx, tenantId);
  if (after !== undefined) query = query.where('seq', '>', after);
  const rows = await query.orderBy('seq').limit(auditPage).execute();
  return rows.map(storedEntry);
}

/** Lists entries of a chain, newest first. @param before Lists entries before this number. */
export async function readNewest(
  trx: Trx,
  tenantId: string,
  { before, limit }: Readonly<{ before: number | undefined; limit: number }>,
): Promise<StoredEntry[]> {
  let query = entries(trx, tenantId);
  if (before !== undefined) query = query.where('seq', '<', before);
  const rows = await query.orderBy('seq', 'desc').limit(limit).execute();
  return rows.map(storedEntry);
}

const entries = (trx: Trx, tenantId: string) =>
  trx.selectFrom('audit_log').selectAll().where('tenant_id', '=', tenantId);

function storedEntry(row: Selectable<AuditLogTable>): StoredEntry {
  return {
    entry: {
      tenantId: row.tenant_id,
      seq: row.seq,
      at: row.at,
      action: row.action,
      userId: row.user_id,
      sessionId: row.session_id,
      requestId: row.request_id,
      detail: row.detail,
    },
    previous: Buffer.from(row.prev_hash),
    hash: Buffer.from(row.hash),
  };
}
