import { notify } from '@countersign/database';
import { sql } from 'kysely';
import { databaseNow } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { holdLock } from '../locks.ts';
import { roles } from '../roles.ts';
import type { Trx } from '../scope.ts';

export type StoredKey = Readonly<{
  kid: string;
  /** The JOSE name of the algorithm. */
  alg: string;
  publicJwk: string;
  sealedPrivate: Buffer;
  kekId: string;
  publishAt: Date;
  activateAt: Date;
  retireAt: Date;
  removeAt: Date;
  revokedAt: Date | null;
}>;

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

/**
 * Adds the key that is due, if any. Instances that start together wait for each other here, and all but the first find
 * that no key is due.
 */
export async function addDueKey(
  db: AuthDatabase,
  due: (existing: KeysNow) => Promise<StoredKey | undefined>,
): Promise<KeysNow> {
  return db.transaction({ role: roles.keys }, async (trx) => {
    await holdLock(trx, 'signingKeys');
    const existing = await readKeys(trx);
    const key = await due(existing);
    if (key === undefined) return existing;
    await insertKey(trx, key);
    return { keys: [...existing.keys, key], now: existing.now };
  });
}

export async function insertKey(trx: Trx, key: StoredKey): Promise<void> {
  await trx
    .insertInto('signing_keys')
    .values({
      kid: key.kid,
      alg: key.alg,
      public_jwk: key.publicJwk,
      private_enc: key.sealedPrivate,
      kek_id: key.kekId,
      publish_at: key.publishAt,
      activate_at: key.activateAt,
      retire_at: key.retireAt,
      remove_at: key.removeAt,
    })
    .execute();
}

export type KeyChange = Partial<Pick<StoredKey, 'activateAt' | 'retireAt' | 'removeAt' | 'sealedPrivate' | 'kekId'>>;

export async function updateKey(trx: Trx, kid: string, change: KeyChange): Promise<void> {
  const { activateAt, retireAt, removeAt, sealedPrivate, kekId } = change;
  await trx
    .updateTable('signing_keys')
    .set({
      ...(activateAt && { activate_at: activateAt }),
      ...(retireAt && { retire_at: retireAt }),
      ...(removeAt && { remove_at: removeAt }),
      ...(sealedPrivate && { private_enc: sealedPrivate }),
      ...(kekId !== undefined && { kek_id: kekId }),
    })
    .where('kid', '=', kid)
    .execute();
}

export async function markKeyRevoked(trx: Trx, kid: string): Promise<void> {
  await trx
    .updateTable('signing_keys')
    .set({ revoked_at: sql<Date>`clock_timestamp()` })
    .where('kid', '=', kid)
    .execute();
}

async function readKeys(trx: Trx): Promise<KeysNow> {
  const rows = await trx
    .selectFrom('signing_keys')
    .selectAll()
    .where('remove_at', '>', sql<Date>`clock_timestamp()`)
    .orderBy('activate_at')
    .execute();
  const keys = rows.map((row) => ({
    kid: row.kid,
    alg: row.alg,
    publicJwk: row.public_jwk,
    sealedPrivate: Buffer.from(row.private_enc),
    kekId: row.kek_id,
    publishAt: row.publish_at,
    activateAt: row.activate_at,
    retireAt: row.retire_at,
    removeAt: row.remove_at,
    revokedAt: row.revoked_at,
  }));
  return { keys, now: await databaseNow(trx) };
}
