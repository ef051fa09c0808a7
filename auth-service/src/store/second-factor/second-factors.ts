import { countRows, insert, remove, rowsWith, update } from '@countersign/database';
import type { SealedTotp } from '../../domain/second-factor/totp.ts';
import { now, type Trx } from '../transaction.ts';

export async function hasSecondFactor(trx: Trx, userId: string): Promise<boolean> {
  const confirmed = rowsWith(trx, 'totp', { user_id: userId }).where('confirmed_at', 'is not', null);
  return (await confirmed.select('user_id').executeTakeFirst()) !== undefined;
}

/** Locks the secret, so that the second of two concurrent requests sees the step that the first one used. */
export const lockTotp = (trx: Trx, userId: string) =>
  rowsWith(trx, 'totp', { user_id: userId })
    .select(['user_id', 'secret_enc', 'kek_id', 'confirmed_at', 'last_step'])
    .forUpdate()
    .executeTakeFirst();

export type StoredTotp = NonNullable<Awaited<ReturnType<typeof lockTotp>>>;

/** Stores an unconfirmed secret. Replaces an earlier unconfirmed secret. */
export async function savePendingTotp(trx: Trx, sealed: SealedTotp): Promise<void> {
  await remove(trx, 'totp', { user_id: sealed.user_id, confirmed_at: null });
  await insert(trx, 'totp', sealed);
}

export const confirmTotp = (trx: Trx, userId: string) =>
  update(trx, 'totp', { user_id: userId }, { confirmed_at: now });

/** Call this with the row locked, after checking that the step is later than the stored one. */
export const rememberStep = (trx: Trx, userId: string, step: number) =>
  update(trx, 'totp', { user_id: userId }, { last_step: step });

export async function removeSecondFactor(trx: Trx, userId: string): Promise<void> {
  await remove(trx, 'totp', { user_id: userId });
  await remove(trx, 'recovery_codes', { user_id: userId });
}

export async function replaceRecoveryCodes(trx: Trx, userId: string, hashes: readonly Buffer[]): Promise<void> {
  await remove(trx, 'recovery_codes', { user_id: userId });
  const rows = hashes.map((hash) => ({ hash, user_id: userId }));
  await insert(trx, 'recovery_codes', rows);
}

/** Uses a recovery code. Of two concurrent calls, one succeeds. @returns Whether the code was valid. */
export const takeRecoveryCode = (trx: Trx, userId: string, hash: Buffer): Promise<boolean> =>
  remove(trx, 'recovery_codes', { hash, user_id: userId });

export async function countRecoveryCodes(trx: Trx, userId: string): Promise<number> {
  const own = rowsWith(trx, 'recovery_codes', { user_id: userId });
  return (await own.select(countRows).executeTakeFirstOrThrow()).count;
}

/** Re-encrypts every secret that a different master key encrypts. @returns The number of changed secrets. */
export async function resealTotp(trx: Trx, kekId: string, reseal: (sealed: SealedTotp) => SealedTotp): Promise<number> {
  const old = trx.selectFrom('totp').where('kek_id', '!=', kekId).forUpdate();
  const rows = await old.select(['user_id', 'secret_enc', 'kek_id']).execute();
  for (const row of rows) {
    const { secret_enc, kek_id } = reseal(row);
    await update(trx, 'totp', { user_id: row.user_id }, { secret_enc, kek_id });
  }
  return rows.length;
}
