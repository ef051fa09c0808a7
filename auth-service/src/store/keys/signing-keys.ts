import { notify } from '@countersign/database';
import type { Row } from '../schema.ts';
import { type AuthDatabase, databaseNow, holdLock, now, roles, type Trx } from '../transaction.ts';

export type StoredKey = Row<'signing_keys'>;

export type KeysNow = Readonly<{ keys: readonly StoredKey[]; now: Date }>;

export async function readSigningKeys(db: AuthDatabase): Promise<KeysNow> {
  return db.transaction({ role: roles.keys }, readKeys);
}

export const signingKeysChannel = 'countersign_signing_keys';

/** Locks the keys until the transaction ends, and notifies every instance after the commit. */
export async function changeKeys<T>(db: AuthDatabase, change: (trx: Trx, existing: KeysNow) => Promise<T>): Promise<T> {
  return db.transaction({ role: roles.keys }, async (trx) => {
    await holdLock(trx, 'signingKeys');
    await notify(trx, signingKeysChannel);
    return change(trx, await readKeys(trx));
  });
}

async function readKeys(trx: Trx): Promise<KeysNow> {
  const kept = trx.selectFrom('signing_keys').selectAll().where('remove_at', '>', now);
  return { keys: await kept.orderBy('activate_at').execute(), now: await databaseNow(trx) };
}
