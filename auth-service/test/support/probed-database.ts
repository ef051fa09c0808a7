import { type Database, type Migration, openDatabase } from '@countersign/database';
import type { TestDatabase, ThrowAway } from '@countersign/testing';
import type { Transaction } from 'kysely';
import { authDatabase } from '../../src/store/database.ts';
import type { AuthSchema } from '../../src/store/schema.ts';

const probe = 'countersign_auth_probe';
/** All tables. A role of the tests may do everything in them. */
export const probedTables = [
  ...['tenants', 'users', 'credentials', 'memberships', 'sessions', 'one_time_tokens', 'login_attempts'],
  ...['totp', 'recovery_codes'],
  ...[
    'signing_keys',
    'revocations',
    'revocation_log',
    'audit_log',
    'outbox',
    'registrations',
    'invitations',
    'mailed_tokens',
    'clients',
    'client_secrets',
    'client_assertions',
    'delegations',
  ],
];

/** A role for tests that sees and changes everything, like a superuser. */
const probeMigration: Migration = {
  name: '9999-probe',
  statements: probedTables.flatMap((table) => [
    `grant all on ${table} to ${probe}`,
    `create policy ${probe} on ${table} to ${probe} using (true) with check (true)`,
  ]),
};

/** The service's own migrations, and the test role. */
export const probedDatabase = {
  ...authDatabase,
  roles: [...authDatabase.roles, probe],
  migrations: [...authDatabase.migrations, probeMigration],
};

export const openProbed = (database: TestDatabase) => database.open<AuthSchema>(probedDatabase);

/** A second connection to the same database, as another instance would have. */
export const openAgain = (store: ThrowAway<AuthSchema>) =>
  openDatabase<AuthSchema>({ ...probedDatabase, location: store.location, name: store.name });

/** Reads or changes rows, bypassing every policy. */
export function probing<T>(db: Database<AuthSchema>, work: (trx: Transaction<AuthSchema>) => Promise<T>): Promise<T> {
  return db.transaction({ role: probe }, work);
}
