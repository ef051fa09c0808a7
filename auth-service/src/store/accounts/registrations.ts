import { inSeconds, now } from '../clock.ts';
import type { Trx } from '../scope.ts';

/** A request for an account. The recipient of the emailed link chooses the password. */
export type Registration = Readonly<{ id: string; email: string }>;

export async function insertRegistration(trx: Trx, { id, email }: Registration, lifetimeSec: number): Promise<void> {
  await trx
    .insertInto('registrations')
    .values({ id, email_ci: email, expires_at: inSeconds(lifetimeSec) })
    .execute();
}

/** Deletes all registrations of an address, and their emailed tokens. */
export async function dropRegistrations(trx: Trx, email: string): Promise<void> {
  await trx.deleteFrom('registrations').where('email_ci', '=', email).execute();
}

/** Finds a registration by its id, or an address's newest registration. */
export async function findWaiting(
  trx: Trx,
  which: Readonly<{ id: string } | { email: string }>,
): Promise<Registration | undefined> {
  return trx
    .selectFrom('registrations')
    .select(['id', 'email_ci as email'])
    .where((match) => ('id' in which ? match('id', '=', which.id) : match('email_ci', '=', which.email)))
    .where('expires_at', '>', now)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
}

export async function dropWaiting(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom('registrations').where('id', '=', id).execute();
}
