import { createHash } from 'node:crypto';
import { databaseNow } from '../clock.ts';
import { holdLock } from '../locks.ts';
import type { Row } from '../schema.ts';
import type { Trx } from '../scope.ts';

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
  /** The user whom the entry is about. */
  userId: string | null;
  sessionId: string | null;
  requestId: string;
  /** Must not contain secrets. */
  detail: Readonly<Record<string, unknown>>;
}>;

/** The chain for entries without a tenant: operator commands, and events of people without a tenant. */
export const operatorChain = 'operator';

export type StoredEntry = Row<'audit_log'>;
export type AuditEntry = Omit<StoredEntry, 'prev_hash' | 'hash'>;

/** `prev_hash` in a tenant's first entry. */
export const chainStart = Buffer.alloc(32);

/** Each entry's hash covers the previous hash, so that changed, removed and inserted entries are detected. */
export function auditHash(previous: Uint8Array, entry: AuditEntry): Buffer {
  const { tenant_id, seq, at, action, user_id, session_id, request_id, detail } = entry;
  const fields = JSON.stringify([tenant_id, seq, at.toISOString(), action, user_id, session_id, request_id, detail]);
  return createHash('sha256').update(previous).update(fields).digest();
}

/**
 * Locks several tenants' chains in a fixed order. Call this before writing to them in a different order.
 */
export async function holdChains(trx: Trx, tenantIds: readonly string[]): Promise<void> {
  for (const tenantId of [...new Set(tenantIds)].sort()) await holdLock(trx, 'auditChain', tenantId);
}

/** Appends an entry to the chain of the transaction's tenant. */
export async function appendAudit(trx: Trx, event: AuditEvent): Promise<void> {
  await holdLock(trx, 'auditChain', event.tenantId);
  const head = await trx
    .selectFrom('audit_log')
    .select(['seq', 'hash'])
    .where('tenant_id', '=', event.tenantId)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  const previous = head?.hash ?? chainStart;
  const entry: AuditEntry = {
    tenant_id: event.tenantId,
    seq: (head?.seq ?? 0) + 1,
    at: await databaseNow(trx),
    action: event.action,
    user_id: event.userId,
    session_id: event.sessionId,
    request_id: event.requestId,
    detail: JSON.stringify(event.detail),
  };
  const hashes = { prev_hash: Buffer.from(previous), hash: auditHash(previous, entry) };
  await trx
    .insertInto('audit_log')
    .values({ ...entry, ...hashes })
    .execute();
}

const auditPage = 1_000;

/** Lists the tenants that have a chain, and the operator. */
export async function listChains(trx: Trx): Promise<string[]> {
  const rows = await trx.selectFrom('audit_log').select('tenant_id').distinct().orderBy('tenant_id').execute();
  return rows.map(({ tenant_id }) => tenant_id);
}

/** Reads up to a thousand entries of a chain, from its start or after this number. */
export async function readChain(trx: Trx, tenantId: string, after: number | undefined): Promise<StoredEntry[]> {
  let query = entries(trx, tenantId);
  if (after !== undefined) query = query.where('seq', '>', after);
  return query.orderBy('seq').limit(auditPage).execute();
}

/** Lists entries of a chain before this number, newest first. */
export async function readNewest(
  trx: Trx,
  tenantId: string,
  { before, limit }: Readonly<{ before: number | undefined; limit: number }>,
): Promise<StoredEntry[]> {
  let query = entries(trx, tenantId);
  if (before !== undefined) query = query.where('seq', '<', before);
  return query.orderBy('seq', 'desc').limit(limit).execute();
}

const entries = (trx: Trx, tenantId: string) =>
  trx.selectFrom('audit_log').selectAll().where('tenant_id', '=', tenantId);
