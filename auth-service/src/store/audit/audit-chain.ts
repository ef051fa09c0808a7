import { createHash } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { AuditLogTable } from '../schema.ts';

export type AuditEntry = Omit<Selectable<AuditLogTable>, 'prev_hash' | 'hash'>;

/** `prev_hash` in a tenant's first entry. */
export const chainStart = Buffer.alloc(32);

/** Each entry's hash covers the previous hash, so that changed, removed and inserted entries are detected. */
export function auditHash(previous: Uint8Array, entry: AuditEntry): Buffer {
  const { tenant_id, seq, at, action, user_id, session_id, request_id, detail } = entry;
  const fields = JSON.stringify([tenant_id, seq, at.toISOString(), action, user_id, session_id, request_id, detail]);
  return createHash('sha256').update(previous).update(fields).digest();
}
