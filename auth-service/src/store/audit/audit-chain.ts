import { createHash } from 'node:crypto';

export type AuditEntry = Readonly<{
  tenantId: string;
  seq: number;
  at: Date;
  action: string;
  userId: string | null;
  sessionId: string | null;
  requestId: string;
  /** JSON. */
  detail: string;
}>;

/** The "previous hash" of a tenant's first entry. */
export const chainStart = Buffer.alloc(32);

/** The hash of each entry covers the previous one, so that changed, removed and inserted entries are detected. */
export function auditHash(previous: Uint8Array, entry: AuditEntry): Buffer {
  const { tenantId, seq, at, action, userId, sessionId, requestId, detail } = entry;
  const fields = JSON.stringify([tenantId, seq, at.toISOString(), action, userId, sessionId, requestId, detail]);
  return createHash('sha256').update(previous).update(fields).digest();
}
