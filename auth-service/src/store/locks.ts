import { sql } from 'kysely';
import type { Trx } from './scope.ts';

/*
 * The order in which all locks are taken, so that no two transactions deadlock: user → membership → tenant → session →
 * OAuth client → a person's delegations → delegation → invitation → audit chain → revocation log. The operator's audit
 * chain is first, then the tenants' chains in the order of their ids.
 */
const names = { auditChain: 1, revocationLog: 2, signingKeys: 3, upkeep: 4, delegations: 5 } as const;

/** Takes a named lock until the transaction ends. `of` narrows it, for example to one tenant. */
export async function holdLock(trx: Trx, name: keyof typeof names, of = ''): Promise<void> {
  await sql`select pg_advisory_xact_lock(${names[name]}::int, hashtext(${of}))`.execute(trx);
}

/** Tries to take a named lock until the transaction ends. Does not wait. @returns Whether the lock was free. */
export async function tryLock(trx: Trx, name: keyof typeof names): Promise<boolean> {
  const { rows } = await sql<{ taken: boolean }>`
    select pg_try_advisory_xact_lock(${names[name]}::int, hashtext('')) as taken`.execute(trx);
  return rows[0]?.taken === true;
}
