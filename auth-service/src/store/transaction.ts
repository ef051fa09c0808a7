import type { Database } from '@countersign/database';
import { sql, type Transaction } from 'kysely';
import type { AuthSchema } from './schema.ts';

/** Migrations grant each role only the privileges for its work. Policies decide which rows it sees. */
export const roles = {
  /** Finds a person by email address before a tenant is known. Reads that person's credential and memberships. */
  login: 'countersign_auth_login',
  /** Starts, continues and ends sessions in one tenant. */
  app: 'countersign_auth_app',
  /** Sees one person's own sessions in all tenants. */
  self: 'countersign_auth_self',
  /** Handles one person's second factor: the secret, the recovery codes, and login steps that need a code. */
  factors: 'countersign_auth_factors',
  /** Creates and changes tenants, people, passwords, memberships and invitations. */
  accounts: 'countersign_auth_accounts',
  /** Authenticates an OAuth client before its tenant is known, and stores used assertions. */
  clients: 'countersign_auth_clients',
  /** Delivers the outbox of all tenants, and creates the tokens in emails. */
  courier: 'countersign_auth_courier',
  /** Handles signing keys, their revocations, and all values that the master key encrypts. */
  keys: 'countersign_auth_keys',
  /** Runs operator commands in all tenants. */
  operator: 'countersign_auth_operator',
  /** Reads the revocation log of all tenants. */
  feed: 'countersign_auth_feed',
  /** Sees and deletes only expired rows. */
  upkeep: 'countersign_auth_upkeep',
} as const;

export type AuthDatabase = Database<AuthSchema>;
export type Trx = Transaction<AuthSchema>;

const setting = (name: string) => async (trx: Trx, value: string) => {
  await sql`select set_config(${name}, ${value}, true)`.execute(trx);
};

/** Gives the transaction access to this user's rows. Call this only after identifying the user. */
export const becomeUser = setting('app.user_id');

/** Gives access to this tenant's rows, also one tenant after another for a person's sessions in several. */
export const enterTenant = setting('app.tenant_id');

/** Switches the transaction to this role and its privileges. */
export const actAs = setting('role');

/** Gives the transaction access to this OAuth client's row, to authenticate it. */
export const becomeOAuthClient = setting('app.client_id');

/** The current time on the database's clock, which all instances share. */
export const now = sql<Date>`clock_timestamp()`;

/** The time this many seconds after {@link now}, or before it if negative. */
export const inSeconds = (seconds: number) => sql<Date>`clock_timestamp() + make_interval(secs => ${seconds}::int)`;

/** Reads the database's clock, in whole milliseconds like a Date. */
export async function databaseNow(trx: Trx): Promise<Date> {
  const wholeMs = sql<Date>`date_trunc('milliseconds', clock_timestamp())`.as('now');
  return (await trx.selectNoFrom(wholeMs).executeTakeFirstOrThrow()).now;
}

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
