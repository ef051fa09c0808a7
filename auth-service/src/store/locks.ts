import { sql } from 'kysely';
import type { Trx } from './scope.ts';

/*
 * The order of all locks, so that no two transactions deadlock: user → membership → tenant → session → client → a
 * person's delegations → delegation → invitation → audit chain → revocation log. Of several audit chains, the
 * operator's is first and the tenants' follow in the order of their ids.
 */
const names = { auditChain: 1, revocationLog: 2, signingKeys: 3, upkeep: 4, delegations: 5 } as const;

/** Takes a named lock until the transaction ends. `of` is part of the name, such as a tenant. */
export async function holdLock(trx: Trx, name: keyof typeof names, of = ''): Promise<void> {
  await sql`select pg_advisory_xact_lock(${names[name]}::int, hashtext(${of}))`.execute(trx);
}

/** Tries to take a named lock until the transaction ends, without waiting. @returns Whether it was free. */
export async function tryLock(trx: Trx, name: keyof typeof names): Promise<boolean> {
  const { rows } = await sql<{ taken: boolean }>`
    select pg_try_advisory_xact_lock(${names[name]}::int, hashtext('')) as taken`.execute(trx);
  return rows[0]?.taken === true;
}
