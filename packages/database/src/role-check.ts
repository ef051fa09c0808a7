import { StartupError } from '@countersign/service-kit';
import { type Kysely, sql } from 'kysely';

/**
 * Refuses to start where row-level security would not hold: a session that is, or could become, a role that bypasses it,
 * or a request role that does.
 *
 * PGlite's only session user is a superuser, so there the check is of the role after SET ROLE.
 */
export async function checkRoles(
  kysely: Kysely<unknown>,
  kind: 'pglite' | 'postgres',
  roles: readonly string[],
): Promise<void> {
  if (kind === 'postgres') {
    const { rows } = await sql<{ rolname: string }>`
      select rolname from pg_roles
      where (rolsuper or rolbypassrls) and pg_has_role(session_user, oid, 'MEMBER') order by rolname`.execute(kysely);
    if (rows.length > 0) {
      throw new StartupError(
        `database: the connection could become ${rows.map((row) => row.rolname).join(', ')}, which bypasses row-level security; use a role that cannot`,
      );
    }
  }
  for (const role of roles) {
    const bypasses = await kysely.connection().execute(async (connection) => {
      await sql`set role ${sql.id(role)}`.execute(connection).catch((error: Error) => {
        throw new StartupError(`database: cannot act as ${role}: ${error.message}`, { cause: error });
      });
      const { rows } = await sql<{ bypasses: boolean }>`
        select rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user`.execute(connection);
      await sql`reset role`.execute(connection);
      return rows[0]?.bypasses ?? true;
    });
    if (bypasses) throw new StartupError(`database: ${role} bypasses row-level security`);
  }
}
