import { sql } from 'kysely';
import type { Trx } from '../scope.ts';

/** A request for an account. It holds no password: the recipient of the emailed link chooses it. */
export type Registration = Readonly<{ id: string; email: string }>;

export async function insertRegistration(trx: Trx, { id, email }: Registration, lifetimeSec: number): Promise<void> {
  await trx
    .insertInto('registrations')
    .values({
      id,
      email_ci: email,
      expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${lifetimeSec}::int)`,
    })
    .execute();
}

/** Deletes all registrations of an address, and with them the emailed tokens. */
export async function dropRegistrations(trx: Trx, email: string): Promise<void> {
  await trx.deleteFrom('registrations').where('email_ci', '=', email).execute();
}

/** Finds a registration by its id, or the newest one of an address. */
export async function findWaiting(
  trx: Trx,
  which: Readonly<{ id: string } | { email: string }>,
): Promise<Registration | undefined> {
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
