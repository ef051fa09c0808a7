import { sql } from 'kysely';
import { databaseNow } from './clock.ts';
import type { AuthDatabase } from './database.ts';
import { holdLock } from './locks.ts';
import { roles } from './roles.ts';
import type { Trx } from './scope.ts';

export type StoredKey = Readonly<{
  kid: string;
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

/**
 * Adds the key that is due, if one is. Instances that start together wait for each other here, and all but the first
 * then find that none is due.
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
    await trx
      .insertInto('signing_keys')
      .values({
        kid: key.kid,
        alg: 'ES256',
        public_jwk: key.publicJwk,
        private_enc: key.sealedPrivate,
        kek_id: key.kekId,
        publish_at: key.publishAt,
        activate_at: key.activateAt,
        retire_at: key.retireAt,
        remove_at: key.removeAt,
      })
      .execute();
    return { keys: [...existing.keys, key], now: existing.now };
  });
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
