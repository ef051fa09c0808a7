import { databases, tenants } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { seed } from '../src/seed/seed.ts';
import { asUser, type Trx } from '../src/store/schema.ts';
import { rebuildStatistics } from './scale/rebuild-statistics.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent, admin } = people;
const members = [complainant, agent, admin].map(({ userId: user_id, role }) => ({ user_id, role }));
const now = new Date('2026-06-01T00:00:00Z');

describe.each(databases())('the seed of a demo tenant on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  const seedBoth = () =>
    seed(
      { ...world.flows, now: () => now, attachmentSpace: { ofTenant: 1e8, ofUserPerDay: 1e8 } },
      Object.values(tenants).map((id) => ({ id, slug: 'acme', name: 'Acme', members })),
    );
  beforeAll(async () => {
    world = await complaintsWorld(database, undefined, { categories: [] });
    await seedBoth();
  });
  afterAll(() => world.close());
  const read = <T>(work: (trx: Trx) => Promise<T>, tenantId: string = tenants.acme) =>
    asUser(world.flows.db, { ...admin, tenantId }, work);

  test('the seed contains a month of complaints, each with a history that explains its status', async () => {
    const rows = await read((trx) =>
      trx.selectFrom('complaints').select(['id', 'status', 'created_at']).orderBy('created_at').execute(),
    );
    expect(rows).toHaveLength(12);
    expect(new Set(rows.map(({ status }) => status)).size).toBeGreaterThan(4);
    const [first] = rows;
    expect(now.getTime() - Number(first?.created_at)).toBeGreaterThan(28 * 86_400_000);
    const history = await read((trx) => trx.selectFrom('history').selectAll().orderBy('seq').execute());
    for (const { id, status } of rows) {
      const own = history.filter((entry) => entry.complaint_id === id);
      const times = own.map((entry) => entry.created_at.getTime());
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(Math.max(...times)).toBeLessThanOrEqual(now.getTime());
      const last = own
        .map(({ action, detail }) => {
          const { to, status: followed } = detail as { to?: string; status?: { to: string } };
          return action === 'moved' ? to : followed?.to;
        })
        .findLast((to) => to !== undefined);
      expect(last ?? 'open').toBe(status);
    }
  });

  test('the seed has statistics that match its complaints', async () => {
    await read(async (trx) => {
      const kept = await trx.selectFrom('statistics_by_status').selectAll().where('complaints', '>', 0).execute();
      const { rows } = await sql.raw<object>(rebuildStatistics[0]?.replace(/^insert into \w+/, '') ?? '').execute(trx);
      const values = (from: readonly object[]) => from.map((row) => JSON.stringify(Object.values(row))).sort();
      expect(values(kept)).toEqual(values(rows));
      expect((await trx.selectFrom('statistics_times').selectAll().execute()).length).toBeGreaterThan(5);
    });
  });

  test('the seed has pictures that are stored like uploads', async () => {
    const attached = await read((trx) => trx.selectFrom('attachments').selectAll().execute());
    expect(attached).toHaveLength(2);
    expect(attached[0]).toMatchObject({ media_type: 'image/png', width: 320, height: 320 });
  });

  test('the seed sends no emails', async () => {
    expect(await read((trx) => trx.selectFrom('mails').selectAll().execute())).toEqual([]);
  });

  test('every tenant gets the same complaints, which are written once', async () => {
    const contentOf = (tenantId: string) =>
      read(async (trx) => {
        const { rows } = await sql`
          select title, description, status, c.created_at, c.updated_at, team_id is not null,
            (select json_agg(json_build_array(action, detail, actor_id, created_at) order by seq) from history
              where complaint_id = c.id) as history,
            (select json_agg(json_build_array(body, internal, author_id, created_at) order by seq) from comments
              where complaint_id = c.id) as comments
          from complaints c order by c.created_at`.execute(trx);
        return rows;
      }, tenantId);
    const [acme, globex] = [await contentOf(tenants.acme), await contentOf(tenants.globex)];
    expect(acme).toHaveLength(12);
    expect(globex).toEqual(acme);
    await seedBoth();
    expect(await contentOf(tenants.acme)).toEqual(acme);
  });
});
