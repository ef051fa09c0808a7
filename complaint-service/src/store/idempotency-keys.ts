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
  await trx
    .deleteFrom('idempotency_keys')
    .where('tenant_id', '=', tenantId)
    .where('user_id', '=', userId)
    .where('key', '=', key)
    .where('created_at', '<=', oldest)
    .execute();
  const claimed = await trx
    .insertInto('idempotency_keys')
    .values({ tenant_id: tenantId, user_id: userId, key, fingerprint, created_at: now })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'user_id', 'key']).doNothing())
    .returning('key')
    .executeTakeFirst();
  if (claimed !== undefined) return { isNew: true };
  const known = await trx
    .selectFrom('idempotency_keys')
    .select(['fingerprint', 'answer'])
    .where('key', '=', key)
    .executeTakeFirstOrThrow();
  return { isNew: false, fingerprint: Buffer.from(known.fingerprint), answer: known.answer };
}

/** Whether the transaction's user has already claimed a key. The result can be outdated. */
export async function isClaimed(trx: Trx, key: string): Promise<boolean> {
  const found = await trx.selectFrom('idempotency_keys').select('key').where('key', '=', key).executeTakeFirst();
  return found !== undefined;
}

/** Stores the response for a claimed key. It is deleted with its complaint. */
export async function keepAnswer(
  trx: Trx,
  { key }: Repeatable,
  { complaintId, answer }: Readonly<{ complaintId: string; answer: unknown }>,
): Promise<void> {
  await trx
    .updateTable('idempotency_keys')
    .set({ complaint_id: complaintId, answer: JSON.stringify(answer) })
    .where('key', '=', key)
    .execute();
}
