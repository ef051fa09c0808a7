import { StartupError } from '@countersign/process-kit';
import { type Kysely, sql } from 'kysely';
import { databaseName } from './migrate.ts';

/**
 * SQL expressions for policies: the transaction's tenant and user ({@link Scope}). Each is null if unset or empty, so
 * that it matches no row.
 */
export const currentTenant = `nullif(current_setting('app.tenant_id', true), '')`;
export const currentUser = `nullif(current_setting('app.user_id', true), '')`;

/** Returns statements that hide all rows of a table without a policy from every role, even its owner. */
export const rowSecurity = (table: string): readonly string[] => [
  `alter table ${table} enable row level security`,
  `alter table ${table} force row level security`,
];

/** Returns statements that restrict every role, even the owner, to the rows of the transaction's tenant. */
export const tenantTable = (table: string): readonly string[] => [
  ...rowSecurity(table),
  `create policy tenant on ${table}
     using (tenant_id = ${currentTenant})
     with check (tenant_id = ${currentTenant})`,
];

/**
 * Refuses to start if the session's role, a role that it can become, or a request role can bypass row-level security.
 *
 * PGlite's only session user is a superuser, so there only the role after SET ROLE is checked.
 */
export async function checkRoles(
  kysely: Kysely<unknown>,
  kind: 'pglite' | 'postgres',
  roles: readonly string[],
): Promise<void> {
  const name = await databaseName(kysely);
  if (kind === 'postgres') {
    const { rows } = await sql<{ rolname: string }>`
      select rolname from pg_roles
      where (rolsuper or rolbypassrls) and pg_has_role(session_user, oid, 'MEMBER') order by rolname`.execute(kysely);
    if (rows.length > 0) {
      throw new StartupError(
        `database ${name}: the connection could become ${rows.map((row) => row.rolname).join(', ')}, which bypasses row-level security; use a role that cannot`,
      );
    }
  }
  for (const role of roles) {
    const bypasses = await kysely.connection().execute(async (connection) => {
      await sql`set role ${sql.id(role)}`.execute(connection).catch((error: Error) => {
        throw new StartupError(
          `database ${name}: cannot act as ${role}: ${error.message}. A start with DATABASE_URL creates and grants all roles`,
          { cause: error },
        );
      });
      const { rows } = await sql<{ bypasses: boolean }>`
        select rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user`.execute(connection);
      await sql`reset role`.execute(connection);
      return rows[0]?.bypasses ?? true;
    });
    if (bypasses) throw new StartupError(`database ${name}: ${role} bypasses row-level security`);
  }
}

/** Refuses tables with a different owner, as after restoring a dump on a server without the roles. */
export async function checkOwner(kysely: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ owner: string }>`
    select pg_get_userbyid(relowner) as owner from pg_class
    where oid = to_regclass('kysely_migration_lock') and relowner <> current_user::regrole`.execute(kysely);
  if (rows[0] !== undefined) throw await restoredWithoutRoles(kysely, `its tables belong to ${rows[0].owner}`);
}

/**
 * Refuses a migrated database in which a role has no privileges. After a restore as the right owner, nothing else
 * reveals this.
 */
export async function checkPolicies(kysely: Kysely<unknown>, roles: readonly string[]): Promise<void> {
  const { rows } = await sql<{ role: string }>`
    select rolname as role from pg_roles where rolname = any(${[...roles]}) and not exists (
      select from pg_shdepend d join pg_database b on b.oid = d.dbid and b.datname = current_database()
      where d.refclassid = 'pg_authid'::regclass and d.refobjid = pg_roles.oid)`.execute(kysely);
  if (rows[0] !== undefined) throw await restoredWithoutRoles(kysely, `${rows[0].role} has no privileges in it`);
}

/** A restore reports failed grants and policies but keeps the tables, which no service can then use. */
async function restoredWithoutRoles(kysely: Kysely<unknown>, sign: string): Promise<StartupError> {
  return new StartupError(
    `database ${await databaseName(kysely)}: was restored where its roles did not exist, so ${sign}. They exist now: restore the dump again with pg_restore --clean --if-exists, then start`,
  );
}
