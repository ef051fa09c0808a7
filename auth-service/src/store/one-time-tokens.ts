import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { AuthDatabase } from './database.ts';
import { roles } from './roles.ts';

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** @param provenAt When the password was read that proved who this is. */
export async function saveSelectionToken(
  db: AuthDatabase,
  token: string,
  holder: Readonly<{ userId: string; provenAt: Date; lifetimeSec: number }>,
): Promise<void> {
  await db.transaction({ role: roles.login, userId: holder.userId }, (trx) =>
    trx
      .insertInto('one_time_tokens')
      .values({
        hash: hashOf(token),
        purpose: 'tenant_selection',
        user_id: holder.userId,
        created_at: holder.provenAt,
        expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${holder.lifetimeSec}::int)`,
      })
      .execute(),
  );
}

/** Uses it up: of two at once, one gets it. @returns undefined for one that is unknown, used or expired. */
export async function takeSelectionToken(
  db: AuthDatabase,
  token: string,
): Promise<Readonly<{ userId: string; provenAt: Date }> | undefined> {
  return db.transaction({ role: roles.login }, (trx) =>
    trx
      .deleteFrom('one_time_tokens')
      .where('hash', '=', hashOf(token))
      .where('purpose', '=', 'tenant_selection')
      .where('expires_at', '>', sql<Date>`clock_timestamp()`)
      .returning(['user_id as userId', 'created_at as provenAt'])
      .executeTakeFirst(),
  );
}
