import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import pg from 'pg';
import type { Database } from './database.ts';
import type { Migration } from './migrate.ts';
import { type Location, openDatabase } from './open-database.ts';
import { loginPassword } from './provision.ts';

type Schema = { notes: { tenant_id: string; text: string } };

const app = 'countersign_dbtest_app';
const migrations: Migration[] = [
  {
    name: '0001-notes',
    statements: [
      `create table notes (tenant_id text not null, text text not null)`,
      `alter table notes enable row level security`,
      `alter table notes force row level security`,
      `create policy tenant on notes using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
         with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''))`,
      `grant select, insert, update, delete on notes to ${app}`,
    ],
  },
];

const serverUrl = process.env.DATABASE_URL;
const name = `countersign_dbtest_${process.pid}`;
const locations: [string, Location][] = [['pglite', { dataDir: undefined }]];
if (serverUrl !== undefined) locations.push(['postgres', { serverUrl }]);
const options = { name, login: 'countersign_dbtest', roles: [app], migrations };

describe.each(locations)('a database on %s', (kind, location) => {
  let db: Database<Schema>;
  beforeAll(async () => {
    db = await openDatabase<Schema>({ ...options, location });
  });
  afterAll(async () => {
    await db.close();
    if (kind === 'postgres') await dropDatabase();
  });
  const insert = (tenantId: string, text: string, rowTenant = tenantId) =>
    db.transaction({ role: app, tenantId }, (trx) =>
      trx.insertInto('notes').values({ tenant_id: rowTenant, text }).execute(),
    );
  const texts = (scope: { tenantId?: string }) =>
    db.transaction({ role: app, ...scope }, async (trx) =>
      (await trx.selectFrom('notes').select('text').execute()).map((row) => row.text),
    );

  test('shows a tenant its own rows, and no rows without a tenant', async () => {
    await insert('a', 'of a');
    await insert('b', 'of b');
    expect(await texts({ tenantId: 'a' })).toEqual(['of a']);
    expect(await texts({ tenantId: '' })).toEqual([]);
    expect(await texts({})).toEqual([]);
  });

  test('refuses a row of another tenant', async () => {
    await expect(insert('a', 'forged', 'b')).rejects.toThrow(/row-level security/);
  });

  test('resets the role and the tenant after an error in the transaction', async () => {
    await expect(db.transaction({ role: app, tenantId: 'a' }, (trx) => sql`select 1/0`.execute(trx))).rejects.toThrow(
      /zero/,
    );
    const after = await db.transaction({ role: app }, async (trx) => {
      const { rows } = await sql<{ tenant: string }>`select current_setting('app.tenant_id') as tenant`.execute(trx);
      return rows[0]?.tenant;
    });
    expect(after).toBe('');
    expect(await texts({ tenantId: 'b' })).toEqual(['of b']);
  });

  test('calls the listener for a notification', async () => {
    const woken = Promise.withResolvers<string | undefined>();
    const stop = await db.listen('wake', woken.resolve);
    await db.transaction({ role: app }, (trx) => sql`select pg_notify('wake', 'now')`.execute(trx));
    expect(await woken.promise).toBe('now');
    await stop();
  });

  test('a database is migrated once when it is opened several times', async () => {
    if (kind === 'pglite') return expect(await db.ping()).toBeUndefined();
    const again = await openDatabase<Schema>({ ...options, location });
    await again.close();
    expect(await texts({ tenantId: 'a' })).toContain('of a');
  });
});

test.each(locations)(
  'refuses tables from other migrations in one sentence, and writes nothing, on %s',
  async (kind, where) => {
    const home = mkdtempSync(join(tmpdir(), 'countersign-db-'));
    const dataDir = join(home, 'data');
    const earlier = `${name}_earlier`;
    const location = kind === 'pglite' ? { dataDir } : where;
    const open = (of: Partial<typeof options> = {}) =>
      openDatabase<Schema>({ ...options, ...of, name: earlier, location });
    await (await open()).close();
    const later: Migration[] = [{ name: '0001-schema', statements: ['create table others ()'] }];
    const sentence =
      kind === 'pglite'
        ? `data folder ${dataDir}: another development version made its tables (kysely_migration lists 0001-notes), and this version cannot read them; remove ${dataDir} to start with empty tables`
        : `database ${earlier}: another development version made its tables (kysely_migration lists 0001-notes), and this version cannot read them; drop and recreate the database to start with empty tables`;
    const roles = kind === 'pglite' ? [app, `${name}_unknown`] : [app];
    await expect(open({ migrations: later, roles })).rejects.toThrow(
      expect.objectContaining({ name: 'StartupError', message: sentence }),
    );
    const db = await open();
    const { rows } = await db.transaction({ role: app }, (trx) =>
      sql<object>`select to_regclass('others') as others,
      (select count(*)::int from pg_roles where rolname = ${`${name}_unknown`}) as roles`.execute(trx),
    );
    expect(rows).toEqual([{ others: null, roles: 0 }]);
    await db.close();

    const newer = [...migrations, { name: '0002-more', statements: [] }];
    await (await open({ migrations: newer })).close();
    const place = kind === 'pglite' ? `data folder ${dataDir}` : `database ${earlier}`;
    await expect(open()).rejects.toThrow(
      `${place}: a newer version changed its tables (kysely_migration lists 0002-more); start that version, or restore a backup from before the upgrade`,
    );
    if (kind === 'postgres') await dropDatabase(earlier);
    rmSync(home, { recursive: true });
  },
);

test('only one process at a time can use a PGlite directory, and the lock of a dead process is taken over', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-db-'));
  const dataDir = join(home, 'data');
  const db = await openDatabase<Schema>({ ...options, location: { dataDir } });
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  await expect(openDatabase<Schema>({ ...options, location: { dataDir } })).rejects.toThrow(
    /is held by the running process/,
  );
  await db.close();
  writeFileSync(`${dataDir}.lock`, '4194999');
  const again = await openDatabase<Schema>({ ...options, location: { dataDir } });
  await again.close();
  rmSync(home, { recursive: true });
});

if (serverUrl !== undefined) {
  test('survives a connection that is lost in a transaction on postgres, and answers 503', async () => {
    const lost: Error[] = [];
    const db = await openDatabase<Schema>({
      ...options,
      name: `${name}_lost`,
      location: { serverUrl },
      onError: (error) => lost.push(error),
    });
    const kill = sql`select pg_terminate_backend(pg_backend_pid())`;
    await expect(db.transaction({ role: options.login }, (trx) => kill.execute(trx))).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(await db.ping()).toBeUndefined();
    expect(lost.length).toBeGreaterThan(0);
    await db.close();
    await dropDatabase(`${name}_lost`);
  });

  test('answers 503 when a postgres connection stops responding, and continues on other connections', async () => {
    const { hostname, port } = new URL(serverUrl);
    const wires: [Socket, Socket][] = [];
    const between = createServer((near) => {
      const far = connect(Number(port || 5432), hostname);
      for (const socket of [near, far]) socket.on('error', () => {});
      near.pipe(far).pipe(near);
      wires.push([near, far]);
    });
    between.listen(0, '127.0.0.1');
    await once(between, 'listening');
    const own = `${name}_silent`;
    await (await openDatabase<Schema>({ ...options, name: own, location: { serverUrl } })).close();
    const through = new URL(serverUrl);
    Object.assign(through, { host: `127.0.0.1:${(between.address() as AddressInfo).port}`, pathname: `/${own}` });
    const login = { username: options.login, password: loginPassword(serverUrl, options.login) ?? '' };
    const databaseUrl = Object.assign(through, login).href;
    const db = await openDatabase<Schema>({ ...options, location: { databaseUrl } });
    for (const [near, far] of wires) far.unpipe(near);
    // The `begin` on the only idle connection is never answered.
    await expect(db.transaction({ role: app }, (trx) => sql`select 1`.execute(trx))).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(await db.ping()).toBeUndefined();
    await db.close();
    between.close();
    for (const socket of wires.flat()) socket.destroy();
    await dropDatabase(own);
  });

  test('refuses to run as a superuser on postgres, and creates nothing', async () => {
    const own = `${name}_super`;
    await (
      await openDatabase<Schema>({ ...options, roles: [], migrations: [], name: own, location: { serverUrl } })
    ).close();
    const databaseUrl = Object.assign(new URL(serverUrl), { pathname: `/${own}` }).href;
    await expect(openDatabase<Schema>({ ...options, location: { databaseUrl } })).rejects.toThrow(
      /bypasses row-level security/,
    );
    const { rows } = await onServer(`select to_regclass('notes') as notes`, databaseUrl);
    expect(rows).toEqual([{ notes: null }]);
    await dropDatabase(own);
  });

  describe('a dump restored on a postgres server without its roles', () => {
    const own = `${name}_restored`;
    const roles = { login: `${own}_login`, roles: [`${own}_app`] };
    const notes = ['create table notes (text text)', `grant select on notes to ${roles.roles}`];
    const open = () =>
      openDatabase<Schema>({
        ...roles,
        migrations: [{ name: '0001-notes', statements: notes }],
        name: own,
        location: { serverUrl },
      });
    const there = Object.assign(new URL(serverUrl), { pathname: `/${own}` }).href;
    /**
     * The state after pg_restore: the restoring user owns the tables, and statements that name an unknown role were
     * skipped.
     */
    const asSuperuser = (...statements: string[]) => onServer(statements.join(';'), there);
    beforeEach(async () => (await open()).close());
    afterEach(async () => {
      await dropDatabase(own);
      await onServer(`drop role ${roles.login}, ${roles.roles}`);
    });

    test('a dump without roles is refused with the database’s name and the next step, and the roles are created', async () => {
      await asSuperuser(
        `reassign owned by ${roles.login} to current_user`,
        `drop owned by ${roles.login}, ${roles.roles}`,
        `drop role ${roles.login}, ${roles.roles}`,
      );
      const sentence =
        /^database \w+_restored: was restored where its roles did not exist, so its tables belong to \w+\. They exist now: restore the dump again/;
      await expect(open()).rejects.toThrow(sentence);
      const { rows } = await onServer(
        `select rolcanlogin from pg_roles where starts_with(rolname, '${own}') order by 1`,
      );
      expect(rows).toEqual([{ rolcanlogin: false }, { rolcanlogin: true }]);
    });

    test('a dump with the right owner is refused if policies and grants are missing', async () => {
      await asSuperuser(`drop owned by ${roles.roles}`, `drop role ${roles.roles}`);
      await expect(open()).rejects.toThrow(/did not exist, so \w+_restored_app has no privileges in it/);
    });

    test('a restored database belongs to the login role, and no other role can connect', async () => {
      await asSuperuser(`alter database ${own} owner to current_user`, `grant connect on database ${own} to public`);
      await (await open()).close();
      const { rows } = await onServer(
        `select pg_get_userbyid(datdba) as owner, has_database_privilege('public', oid, 'connect') as public
         from pg_database where datname = '${own}'`,
      );
      expect(rows).toEqual([{ owner: roles.login, public: false }]);
    });
  });
}

test('reports an unreachable server in one sentence', async () => {
  const location = { serverUrl: 'postgres://unknown@127.0.0.1:1/postgres' };
  await expect(openDatabase<Schema>({ ...options, location })).rejects.toThrow(
    /^database: cannot prepare .*ECONNREFUSED/,
  );
});

async function onServer(statement: string, connectionString = serverUrl): Promise<pg.QueryResult> {
  const admin = new pg.Client({ connectionString });
  await admin.connect();
  try {
    return await admin.query(statement);
  } finally {
    await admin.end();
  }
}

const dropDatabase = (database = name) => onServer(`drop database if exists ${database} with (force)`);
