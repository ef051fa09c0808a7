import { sql } from 'kysely';
import type { StoredPassword } from './credentials.ts';
import type { Trx } from './scope.ts';

/** What an account will be made of, once somebody shows that the address is theirs. */
export type Registration = Readonly<{ id: string; email: string; password: StoredPassword }>;

export async function insertRegistration(
  trx: Trx,
  { id, email, password }: Registration,
  lifetimeSec: number,
): Promise<void> {
  await trx
    .insertInto('registrations')
    .values({
      id,
      email_ci: email,
      hash: password.hash,
      pepper_kid: password.pepperKid,
      expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${lifetimeSec}::int)`,
    })
    .execute();
}

export async function findRegistration(trx: Trx, id: string): Promise<Registration | undefined> {
  const row = await trx
    .selectFrom('registrations')
    .select(['id', 'email_ci as email', 'hash', 'pepper_kid as pepperKid'])
    .where('id', '=', id)
    .where('expires_at', '>', sql<Date>`clock_timestamp()`)
    .executeTakeFirst();
  return row && { id: row.id, email: row.email, password: { hash: row.hash, pepperKid: row.pepperKid } };
}

/** All attempts on an address, and with them the tokens that were mailed for them. */
export async function dropRegistrations(trx: Trx, email: string): Promise<void> {
  await trx.deleteFrom('registrations').where('email_ci', '=', email).execute();
}

/** For the courier, which may not see what the password is: the attempt itself, or the newest on an address. */
export async function findWaiting(
  trx: Trx,
  which: Readonly<{ id: string } | { email: string }>,
): Promise<Readonly<{ id: string; email: string }> | undefined> {
  return trx
    .selectFrom('registrations')
    .select(['id', 'email_ci as email'])
    .where((match) => ('id' in which ? match('id', '=', which.id) : match('email_ci', '=', which.email)))
    .where('expires_at', '>', sql<Date>`clock_timestamp()`)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
}

export async function dropWaiting(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom('registrations').where('id', '=', id).execute();
}
