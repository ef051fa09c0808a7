import { sql } from 'kysely';
import type { AuthDatabase } from './database.ts';
import { roles } from './roles.ts';

/** Deletes what has expired. The role's policies decide what that is; these statements cannot reach anything else. */
export async function removeExpired(db: AuthDatabase): Promise<void> {
  await db.transaction({ role: roles.upkeep }, async (trx) => {
    await sql`update sessions set sealed_successor = null
      where sealed_successor is not null and rotated_at < clock_timestamp() - interval '30 seconds'`.execute(trx);
    await sql`delete from sessions where absolute_expires_at < clock_timestamp()`.execute(trx);
    await trx.deleteFrom('one_time_tokens').execute();
    await trx.deleteFrom('login_attempts').execute();
    await trx.deleteFrom('mailed_tokens').execute();
    await trx.deleteFrom('registrations').execute();
    await trx.deleteFrom('invitations').execute();
    await trx.deleteFrom('outbox').execute();
    await trx.deleteFrom('signing_keys').execute();
    // The newest entry stays: it says how far the log has come, and a cursor beyond it would look foreign.
    await sql`delete from revocations
      where expires_at < clock_timestamp() and seq < (select max(seq) from revocations)`.execute(trx);
  });
}
