import { notify } from '@countersign/database';
import type { Updateable } from 'kysely';
import { databaseNow, now } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { holdLock } from '../locks.ts';
import { roles } from '../roles.ts';
import type { AuthSchema, Row } from '../schema.ts';
import type { Trx } from '../scope.ts';

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

export async function insertKey(trx: Trx, key: StoredKey): Promise<void> {
  await trx.insertInto('signing_keys').values(key).execute();
}

export async function updateKey(trx: Trx, kid: string, change: Updateable<AuthSchema['signing_keys']>): Promise<void> {
  await trx.updateTable('signing_keys').set(change).where('kid', '=', kid).execute();
}

async function readKeys(trx: Trx): Promise<KeysNow> {
  const kept = trx.selectFrom('signing_keys').selectAll().where('remove_at', '>', now);
  return { keys: await kept.orderBy('activate_at').execute(), now: await databaseNow(trx) };
}
