import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { appRole, membershipRole, readerRole } from '../src/store/roles.ts';
import type { Trx } from '../src/store/schema.ts';
import { complaintsWorld, directoryOf, people } from './world.ts';

const { complainant, neighbour, agent, secondAgent, admin, stranger } = people;
const acme = agent.tenantId;

/** Tables that every member of the tenant may read. In all others, a complainant sees at most their own rows. */
const shared = [
  'categories',
  'complaint_numbers',
  'members',
  'organizations',
  'settings',
  'statistics_by_age',
  'statistics_by_status',
  'statistics_times',
  'teams',
];

type Scope = Readonly<{ role: string; tenantId?: string; userId?: string; userRole?: string }>;

const staff = { role: appRole, userId: agent.userId, userRole: 'agent' };
const outsiders: [what: string, scope: Scope][] = [
  ['no tenant', staff],
  ['an empty tenant', { ...staff, tenantId: '' }],
  ['another tenant', { ...staff, tenantId: stranger.tenantId }],
  ['a malformed tenant', { ...staff, tenantId: `${acme}' or true --` }],
  ['no user', { role: appRole, tenantId: acme, userRole: 'agent' }],
  ['an empty user', { role: appRole, tenantId: acme, userId: '', userRole: 'agent' }],
  ['neither user nor role', { role: appRole, tenantId: acme }],
  ['no tenant, as the role of OAuth clients', { role: readerRole }],
  ['another tenant, as the role of OAuth clients', { role: readerRole, tenantId: stranger.tenantId }],
  ['no tenant, as the role for membership updates', { role: membershipRole }],
  ['another tenant, as the role for membership updates', { role: membershipRole, tenantId: stranger.tenantId }],
];

describe.each(databases())('row-level policies on %s, with one connection', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  /** For each table: a copy of one of the tenant's rows, if it has any, and updates without effect, by role. */
  const statements = new Map<string, Readonly<{ insert: string | undefined; updates: ReadonlyMap<string, string> }>>();
  beforeAll(async () => {
    world = await complaintsWorld(database, directoryOf(), { maxConnections: 1, categories: [] });
    await fill();
    for (const table of await world.as(admin, tenantTables)) {
      const row = (await firstRow(admin, table)) ?? (await firstRow(complainant, table));
      statements.set(table, { insert: row && (await copyOf(table, row)), updates: await updatesOf(table) });
    }
  });
  afterAll(() => world.close());

  const within = <T>(scope: Scope, work: (trx: Trx) => Promise<T>) => world.db.transaction(scope, work);

  /** Sends requests that write a row to each table. */
  async function fill() {
    const post = (who: typeof agent, path: string, body: unknown, headers = {}) =>
      world.call(who, 'POST', path, { body, headers });
    const { body: team } = await post(admin, '/v1/teams', { name: 'Lights', members: [agent.userId] }).expect(201);
    await post(admin, '/v1/categories', { name: 'Light', team_id: team.id }).expect(201);
    await world.call(admin, 'PATCH', '/v1/complaint-settings', { body: { open_catalogue: true } }).expect(200);
    const text = { title: 'Lamp', description: 'Dark', category: 'Light' };
    const { body } = await post(complainant, '/v1/complaints', text, { 'idempotency-key': 'k' }).expect(201);
    await post(agent, `/v1/complaints/${body.id}/comments`, { body: 'A note', internal: true }).expect(201);
    await post(agent, `/v1/complaints/${body.id}/comments`, { body: 'An answer' }).expect(201);
    const [target, claims] = [
      '/internal/complaints/memberships',
      { kind: 'service', serviceId: 'auth-service' } as const,
    ];
    const about = { tenant_id: acme, user_id: secondAgent.userId, role: 'agent', status: 'active' };
    const tenant = { slug: 'acme', name: 'Acme' };
    const update = JSON.stringify({ event_id: 'e', sequence: 1, tenant, ...about });
    const signed = world.sign({ method: 'POST', target, body: update, claims, contentType: 'application/json' });
    await world.send('POST', target, { ...signed, 'content-type': 'application/json' }, update).expect(200);
  }

  /** All tables with a tenant column, read from the catalogue, so that a new table is tested too. */
  async function tenantTables(trx: Trx): Promise<string[]> {
    const { rows: found } = await sql<{ table: string }>`
      select c.relname as table from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      order by 1`.execute(trx);
    return found.map(({ table }) => table);
  }

  /** Returns how many rows a statement affected. Undefined if the database refused it. */
  async function touched(scope: Scope, statement: string): Promise<number | undefined> {
    try {
      return await within(scope, async (trx) => (await sql.raw(statement).execute(trx)).rows.length);
    } catch (error) {
      // Row-level security and missing grants have the same code: 42501, insufficient privilege.
      if ((error as { code?: string }).code === '42501') return undefined;
      throw error;
    }
  }

  const firstRow = (who: typeof agent, table: string) =>
    world.as(who, async (trx) => {
      const { rows } = await sql<{ row: string }>`
        select row_to_json(kept)::text as row from ${sql.table(table)} kept limit 1`.execute(trx);
      return rows[0]?.row;
    });

  /** Updates a column that the role may change, or else the tenant. */
  const updatesOf = (table: string) =>
    world.as(admin, async (trx) => {
      const updates = new Map<string, string>();
      for (const role of [appRole, readerRole, membershipRole]) {
        const { rows } = await sql<{ column: string }>`
          select attname as column from pg_attribute
          where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
            and has_column_privilege(${role}, attrelid, attnum, 'UPDATE')
          limit 1`.execute(trx);
        const column = rows[0]?.column ?? 'tenant_id';
        updates.set(role, `update ${table} set ${column} = ${column} returning 1`);
      }
      return updates;
    });

  /** Copies a row of the tenant. Omits columns that the database computes. */
  const copyOf = (table: string, row: string) =>
    world.as(admin, async (trx) => {
      const { rows: found } = await sql<{ columns: string }>`
        select string_agg(quote_ident(attname), ', ' order by attnum) as columns from pg_attribute
        where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
          and attgenerated = '' and attidentity = ''`.execute(trx);
      const { columns } = found[0] ?? { columns: '' };
      const quoted = `'${row.replaceAll("'", "''")}'`;
      return `insert into ${table} (${columns}) select ${columns} from json_populate_record(null::${table}, ${quoted}) returning 1`;
    });

  test('the requests above fill every core table', () => {
    const empty = [...statements].filter(([, { insert }]) => insert === undefined).map(([table]) => table);
    const core = [
      'comments',
      'complaints',
      'history',
      'idempotency_keys',
      'team_members',
      'terms',
      'watchers',
      ...shared,
    ];
    expect(empty.filter((table) => core.includes(table))).toEqual([]);
    expect([...statements.keys()]).toEqual(expect.arrayContaining(core));
  });

  async function verbs(scope: Scope, table: string) {
    const { insert, updates } = statements.get(table) ?? {};
    return {
      select: (await touched(scope, `select 1 from ${table}`)) ?? 0,
      update: (await touched(scope, updates?.get(scope.role) ?? '')) ?? 0,
      delete: (await touched(scope, `delete from ${table} returning 1`)) ?? 0,
      insert: insert === undefined ? undefined : await touched(scope, insert),
    };
  }
  const nothing = { select: 0, update: 0, delete: 0, insert: undefined };

  test.each(outsiders)('with %s, no table shows or accepts a row', async (_what, scope) => {
    const before = await world.rows();
    for (const table of statements.keys()) {
      const visible = await verbs(scope, table);
      expect({ table, ...visible }).toEqual({ table, ...nothing });
    }
    expect(await world.rows()).toEqual(before);
  });

  test('another complainant of the tenant sees and writes no row that is not shared', async () => {
    const scope = { role: appRole, tenantId: acme, userId: neighbour.userId, userRole: 'complainant' };
    for (const table of statements.keys()) {
      if (shared.includes(table)) continue;
      expect({ table, ...(await verbs(scope, table)) }).toEqual({ table, ...nothing });
    }
  });

  test('a complainant sees their own complaint, without internal comments, and writes only as themselves', async () => {
    const scope = { role: appRole, tenantId: acme, userId: complainant.userId, userRole: 'complainant' };
    const bodies = await within(scope, (trx) => trx.selectFrom('comments').select('body').execute());
    expect(bodies).toEqual([{ body: 'An answer' }]);
    for (const table of ['complaints', 'history', 'watchers', 'idempotency_keys']) {
      expect([table, await touched(scope, `select 1 from ${table}`)]).toEqual([table, 1]);
    }
    const [written] = await within(scope, (trx) => trx.selectFrom('complaints').select('id').execute());
    const comment = (author: string, internal: boolean) =>
      touched(
        scope,
        `insert into comments (tenant_id, id, complaint_id, author_id, author_role, body, internal, created_at)
         values ('${acme}', gen_random_uuid(), '${written?.id}', '${author}', 'agent', 'x', ${internal}, now()) returning 1`,
      );
    expect(await comment(agent.userId, false)).toBeUndefined();
    expect(await comment(complainant.userId, true)).toBeUndefined();
    expect(await comment(complainant.userId, false)).toBe(1);
    const history = (actor: string) =>
      touched(
        scope,
        `insert into history (tenant_id, id, complaint_id, actor_id, actor_role, action, detail, created_at)
         values ('${acme}', gen_random_uuid(), '${written?.id}', '${actor}', 'agent', 'filed', '{}', now()) returning 1`,
      );
    expect(await history(agent.userId)).toBeUndefined();
  });

  test('an OAuth client sees complaints, categories and search words of its tenant, and writes nothing', async () => {
    const seen: string[] = [];
    for (const table of statements.keys()) {
      const { select, ...written } = await verbs({ role: readerRole, tenantId: acme }, table);
      if (select > 0) seen.push(table);
      expect({ table, ...written }).toEqual({ table, update: 0, delete: 0, insert: undefined });
    }
    expect(seen.toSorted()).toEqual(['categories', 'complaints', 'terms']);
  });

  test('only an admin can change the catalogue, the teams and the settings', async () => {
    for (const [userId, userRole] of [
      [complainant.userId, 'complainant'],
      [agent.userId, 'agent'],
    ] as const) {
      const scope = { role: appRole, tenantId: acme, userId, userRole };
      for (const table of ['categories', 'teams', 'settings']) {
        const changed = await touched(scope, statements.get(table)?.updates.get(appRole) ?? '');
        expect([table, changed ?? 0]).toEqual([table, 0]);
      }
      expect(await touched(scope, 'delete from team_members returning 1')).toBe(0);
    }
  });

  test('no tenant, user or role remains on the connection', async () => {
    await expect(
      within({ ...staff, tenantId: acme }, async (trx) => {
        await sql`select 1/0`.execute(trx);
      }),
    ).rejects.toThrow(/division by zero/);
    const { rows: left } = await within({ role: appRole }, (trx) =>
      sql<object>`select current_setting('app.tenant_id') as tenant, current_setting('app.user_id') as user,
        current_setting('app.role') as role`.execute(trx),
    );
    expect(left).toEqual([{ tenant: '', user: '', role: '' }]);
  });
});
