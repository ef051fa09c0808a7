import { createHmac } from 'node:crypto';
import { StartupError } from '@countersign/process-kit';
import pg from 'pg';

type Provisioned = Readonly<{ name: string; login: string; roles: readonly string[] }>;

/**
 * Creates a service's database, login role and request roles where they are missing. The login role owns the database.
 * It is not a superuser and cannot bypass row-level security.
 *
 * @param serverUrl The URL of a user who can create databases and roles.
 * @returns The URL for the service's own connections.
 * @throws StartupError if the server cannot be reached or the user cannot create what is missing.
 */
export async function provision(serverUrl: string, wanted: Provisioned): Promise<string> {
  const admin = new pg.Client({ connectionString: serverUrl, connectionTimeoutMillis: 5_000 });
  const password = loginPassword(serverUrl, wanted.login);
  try {
    await admin.connect();
    // Services and instances may start together, and Postgres has no CREATE … IF NOT EXISTS for roles and databases.
    await admin.query(`select pg_advisory_lock(hashtext('countersign provision'))`);
    await createRole(
      admin,
      wanted.login,
      `LOGIN${password === undefined ? '' : ` PASSWORD ${pg.escapeLiteral(password)}`}`,
    );
    for (const role of wanted.roles) {
      await createRole(admin, role, 'NOLOGIN');
      await admin.query(`grant ${pg.escapeIdentifier(role)} to ${pg.escapeIdentifier(wanted.login)}`);
    }
    const { rows } = await admin.query<{ owner: string }>(
      'select pg_get_userbyid(datdba) as owner from pg_database where datname = $1',
      [wanted.name],
    );
    if (rows[0]?.owner !== wanted.login) {
      const [database, login] = [wanted.name, wanted.login].map(pg.escapeIdentifier);
      // Without superuser rights, the creator must be a member of the owner role.
      await admin.query(`grant ${login} to current_user`).catch(ignoreSelfGrant);
      // The user who restores a dump may have created the database for it.
      await admin.query(
        rows.length === 0
          ? `create database ${database} owner ${login}`
          : `alter database ${database} owner to ${login}`,
      );
      await admin.query(`revoke all on database ${database} from public`);
    }
  } catch (error) {
    throw new StartupError(
      `database: cannot prepare ${wanted.name} on the server in DATABASE_URL: ${describe(error)}`,
      { cause: error },
    );
  } finally {
    await admin.end();
  }
  const url = new URL(serverUrl);
  url.username = wanted.login;
  url.password = password ?? '';
  url.pathname = `/${wanted.name}`;
  return url.href;
}

async function createRole(admin: pg.Client, role: string, attributes: string): Promise<void> {
  const { rowCount } = await admin.query('select 1 from pg_roles where rolname = $1', [role]);
  const verb = rowCount === 0 ? 'create' : 'alter';
  if (verb === 'alter' && attributes === 'NOLOGIN') return;
  await admin.query(`${verb} role ${pg.escapeIdentifier(role)} ${attributes}`);
}

/** Derives a login role's password, so that every instance can compute it. Undefined if the server has no password. */
export function loginPassword(serverUrl: string, login: string): string | undefined {
  const { password } = new URL(serverUrl);
  if (password === '') return undefined;
  return createHmac('sha256', decodeURIComponent(password)).update(`countersign login ${login}`).digest('base64url');
}

// Ignores 0LP01, with which Postgres refuses to make a role a member of itself.
function ignoreSelfGrant(error: unknown): void {
  const { code } = error as { code?: string };
  if (code !== '0LP01') throw error;
}

export function describe(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return message !== undefined && message !== '' ? message : (code ?? 'unknown error');
}
