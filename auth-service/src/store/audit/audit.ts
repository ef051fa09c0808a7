import { createHash } from 'node:crypto';
import { insert, rowsWith } from '@countersign/database';
import type { Row } from '../schema.ts';
import { databaseNow, holdLock, type Trx } from '../transaction.ts';

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
  | `invitation.${'created' | 'resent' | 'revoked' | 'accepted'}`
  | `member.${'joined' | 'changed' | 'sessions_ended'}`
  | `client.${'created' | 'changed' | 'secret_rotated' | 'secret_ended' | 'deleted' | 'token_issued'}`
  | `delegation.${'granted' | 'used' | 'withdrawn'}`;

export type AuditEvent = Readonly<{
  tenantId: string;
  action: AuditAction;
  /** The user whom the entry is about, if any. */
  userId?: string | null;
  sessionId?: string | null;
  requestId: string;
  /** Must not contain secrets. */
  detail?: Readonly<Record<string, unknown>>;
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

/** Locks chains in a fixed order. Call this before writing to several in a different order. */
export async function holdChains(trx: Trx, tenantIds: readonly string[]): Promise<void> {
  for (const tenantId of [...new Set(tenantIds)].sort()) await holdLock(trx, 'auditChain', tenantId);
}

/** Appends an entry to the chain of the transaction's tenant. */
export async function appendAudit(trx: Trx, event: AuditEvent): Promise<void> {
  await holdLock(trx, 'auditChain', event.tenantId);
  const [head] = await readNewest(trx, event.tenantId, { before: undefined, limit: 1 });
  const previous = head?.hash ?? chainStart;
  const entry: AuditEntry = {
    tenant_id: event.tenantId,
    seq: (head?.seq ?? 0) + 1,
    at: await databaseNow(trx),
    action: event.action,
    user_id: event.userId ?? null,
    session_id: event.sessionId ?? null,
    request_id: event.requestId,
    detail: JSON.stringify(event.detail ?? {}),
  };
  const hashes = { prev_hash: Buffer.from(previous), hash: auditHash(previous, entry) };
  await insert(trx, 'audit_log', { ...entry, ...hashes });
}

/** Lists the tenants that have a chain, and the operator. */
export async function listChains(trx: Trx): Promise<string[]> {
  const rows = await trx.selectFrom('audit_log').select('tenant_id').distinct().orderBy('tenant_id').execute();
  return rows.map(({ tenant_id }) => tenant_id);
}

/** Reads up to a thousand entries of a chain, from its start or after this number. */
export async function readChain(trx: Trx, tenantId: string, after: number | undefined): Promise<StoredEntry[]> {
  let query = rowsWith(trx, 'audit_log', { tenant_id: tenantId });
  if (after !== undefined) query = query.where('seq', '>', after);
  return query.selectAll().orderBy('seq').limit(1_000).execute();
}

export type AuditQuery = Readonly<{
  before: number | undefined;
  limit: number;
  /** Only entries about this action and this person, if set. */
  filter?: Readonly<{ action?: string | undefined; user_id?: string | undefined }>;
}>;

/** Lists entries of a chain before this number, newest first. */
export async function readNewest(
  trx: Trx,
  tenantId: string,
  { before, limit, filter = {} }: AuditQuery,
): Promise<StoredEntry[]> {
  const wanted = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  let query = rowsWith(trx, 'audit_log', { ...wanted, tenant_id: tenantId });
  if (before !== undefined) query = query.where('seq', '<', before);
  return query.selectAll().orderBy('seq', 'desc').limit(limit).execute();
}
