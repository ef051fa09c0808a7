import { countRows } from '@countersign/database';
import { now } from '../clock.ts';
import type { Trx } from '../scope.ts';

/** Whether this user must enter a second factor. */
export async function hasSecondFactor(trx: Trx, userId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('totp')
    .select('user_id')
    .where('user_id', '=', userId)
    .where('confirmed_at', 'is not', null)
    .executeTakeFirst();
  return row !== undefined;
}

export type StoredTotp = Readonly<{
  sealedSecret: Buffer;
  kekId: string;
  confirmed: boolean;
  lastStep: number | null;
}>;

/** Locks the secret, so that the second of two concurrent requests sees the step that the first one used. */
export async function lockTotp(trx: Trx, userId: string): Promise<StoredTotp | undefined> {
  const row = await trx
    .selectFrom('totp')
    .select(['secret_enc', 'kek_id', 'confirmed_at', 'last_step'])
    .where('user_id', '=', userId)
    .forUpdate()
    .executeTakeFirst();
  return (
    row && {
      sealedSecret: Buffer.from(row.secret_enc),
      kekId: row.kek_id,
      confirmed: row.confirmed_at !== null,
      lastStep: row.last_step,
    }
  );
}

/** Stores an unconfirmed secret. Replaces an earlier unconfirmed secret. */
export async function savePendingTotp(
  trx: Trx,
  userId: string,
  { sealedSecret, kekId }: Pick<StoredTotp, 'sealedSecret' | 'kekId'>,
): Promise<void> {
  await trx.deleteFrom('totp').where('user_id', '=', userId).where('confirmed_at', 'is', null).execute();
  await trx.insertInto('totp').values({ user_id: userId, secret_enc: sealedSecret, kek_id: kekId }).execute();
}

export async function confirmTotp(trx: Trx, userId: string): Promise<void> {
  await trx.updateTable('totp').set({ confirmed_at: now }).where('user_id', '=', userId).execute();
}

/** Call this with the row locked, after checking that the step is later than the stored one. */
export async function rememberStep(trx: Trx, userId: string, step: number): Promise<void> {
  await trx.updateTable('totp').set({ last_step: step }).where('user_id', '=', userId).execute();
}

/** Removes the secret and the recovery codes. */
export async function removeSecondFactor(trx: Trx, userId: string): Promise<void> {
  await trx.deleteFrom('totp').where('user_id', '=', userId).execute();
  await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute();
}

export async function replaceRecoveryCodes(trx: Trx, userId: string, hashes: readonly Buffer[]): Promise<void> {
  await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute();
  await trx
    .insertInto('recovery_codes')
    .values(hashes.map((hash) => ({ hash, user_id: userId })))
    .execute();
}

/** Uses a recovery code. Of two concurrent calls, one succeeds. @returns Whether the code was valid. */
export async function takeRecoveryCode(trx: Trx, userId: string, hash: Buffer): Promise<boolean> {
  const row = await trx
    .deleteFrom('recovery_codes')
    .where('hash', '=', hash)
    .where('user_id', '=', userId)
    .returning('hash')
    .executeTakeFirst();
  return row !== undefined;
}

export async function countRecoveryCodes(trx: Trx, userId: string): Promise<number> {
  const own = trx.selectFrom('recovery_codes').where('user_id', '=', userId);
  return (await own.select(countRows).executeTakeFirstOrThrow()).count;
}

export type SealedTotp = Readonly<{ userId: string; sealedSecret: Buffer; kekId: string }>;

/** Re-encrypts every secret that a different master key encrypts. @returns The number of changed secrets. */
export async function resealTotp(
  trx: Trx,
  kekId: string,
  reseal: (secret: SealedTotp) => Pick<SealedTotp, 'sealedSecret' | 'kekId'>,
): Promise<number> {
  const rows = await trx
    .selectFrom('totp')
    .select(['user_id', 'secret_enc', 'kek_id'])
    .where('kek_id', '!=', kekId)
    .forUpdate()
    .execute();
  for (const { user_id: userId, secret_enc, kek_id } of rows) {
    const fresh = reseal({ userId, sealedSecret: Buffer.from(secret_enc), kekId: kek_id });
    await trx
      .updateTable('totp')
      .set({ secret_enc: fresh.sealedSecret, kek_id: fresh.kekId })
      .where('user_id', '=', userId)
      .execute();
  }
  return rows.length;
}
