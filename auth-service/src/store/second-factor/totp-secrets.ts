import type { Trx } from '../scope.ts';

export type SealedTotp = Readonly<{ userId: string; sealedSecret: Buffer; kekId: string }>;

/**
 * Exchanges every secret that is not sealed under this master key.
 *
 * @returns How many.
 */
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
  for (const row of rows) {
    const { user_id: userId, secret_enc, kek_id } = row;
    const fresh = reseal({ userId, sealedSecret: Buffer.from(secret_enc), kekId: kek_id });
    await trx
      .updateTable('totp')
      .set({ secret_enc: fresh.sealedSecret, kek_id: fresh.kekId })
      .where('user_id', '=', userId)
      .execute();
  }
  return rows.length;
}
