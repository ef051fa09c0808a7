import { insertNew, rowsWith, update } from '@countersign/database';
import { sql } from 'kysely';
import type { Trx } from './schema.ts';

type Repeatable = Readonly<{
  tenantId: string;
  userId: string;
  key: string;
  fingerprint: Buffer;
}>;

export type Claim = Readonly<{ isNew: true }> | Readonly<{ isNew: false; fingerprint: Buffer; answer: unknown }>;

/** Claims a key for this transaction. Waits if another transaction has claimed it. An expired key counts as new. */
export async function claimKey(
  trx: Trx,
  request: Repeatable,
  { now, keptMs }: Readonly<{ now: Date; keptMs: number }>,
): Promise<Claim> {
  const { tenantId, userId, key, fingerprint } = request;
  const oldest = new Date(now.getTime() - keptMs);
  const claim = { tenant_id: tenantId, user_id: userId, key };
  const expired = sql`delete from idempotency_keys
    where tenant_id = ${tenantId} and user_id = ${userId} and key = ${key} and created_at <= ${oldest}`;
  await expired.execute(trx);
  if (await insertNew(trx, 'idempotency_keys', { ...claim, fingerprint, created_at: now })) return { isNew: true };
  const stored = rowsWith(trx, 'idempotency_keys', claim).select(['fingerprint', 'answer']);
  const known = await stored.executeTakeFirstOrThrow();
  return { isNew: false, fingerprint: Buffer.from(known.fingerprint), answer: known.answer };
}

/** Whether the transaction's user has already claimed a key. The result can be outdated. */
export async function isClaimed(trx: Trx, key: string): Promise<boolean> {
  return (await rowsWith(trx, 'idempotency_keys', { key }).select('key').executeTakeFirst()) !== undefined;
}

/** Stores the response for a claimed key. It is deleted with its complaint. */
export async function keepAnswer(
  trx: Trx,
  { key }: Repeatable,
  { complaintId, answer }: Readonly<{ complaintId: string; answer: unknown }>,
): Promise<void> {
  await update(trx, 'idempotency_keys', { key }, { complaint_id: complaintId, answer: JSON.stringify(answer) });
}
