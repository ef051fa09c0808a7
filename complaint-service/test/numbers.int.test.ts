import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@countersign/database';
import { databases, runAsSuperuser, tenants } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { applyMembershipUpdate } from '../src/flows/memberships.ts';
import { complaintsDatabase } from '../src/store/database.ts';
import { appRole } from '../src/store/roles.ts';
import type { ComplaintsSchema } from '../src/store/tables.ts';
import { complaintsWorld, directoryOf, people } from './world.ts';

const { complainant, neighbour, agent, admin, stranger } = people;
const year = new Date().getUTCFullYear();

describe.each(databases())('complaint numbers on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  const names = new Map<string, string>();
  beforeAll(async () => {
    world = await complaintsWorld(database, { ...directoryOf(), namesOf: async () => names });
  });
  afterAll(() => world.close());

  const file = async (who: typeof agent, body: object = {}) => {
    const complaint = { title: 'Lamp', description: 'Dark', category: 'light', ...body };
    return (await world.call(who, 'POST', '/v1/complaints', { body: complaint }).expect(201)).body;
  };
  const numberOf = async (who: typeof agent) => (await file(who)).number;
  const found = async (who: typeof agent, q: string) => {
    const { body } = await world.call(who, 'GET', `/v1/complaints?q=${encodeURIComponent(q)}`).expect(200);
    return body.items.map(({ number }: { number: string }) => number);
  };

  test('each tenant counts for itself and by year, and the short name comes with a membership', async () => {
    expect([await numberOf(complainant), await numberOf(agent)]).toEqual([`C-${year}-0001`, `C-${year}-0002`]);
    const member = { tenant_id: agent.tenantId, user_id: 'x', role: 'agent', status: 'active', sequence: 1 } as const;
    await applyMembershipUpdate(world.flows, { ...member, tenant: { slug: 'acme', name: 'Acme' } });
    expect([await numberOf(agent), await numberOf(stranger)]).toEqual([`ACME-${year}-0003`, `C-${year}-0001`]);
    world.moveClock(366 * 24 * 3600_000);
    expect(await numberOf(agent)).toBe(`ACME-${year + 1}-0001`);
    world.moveClock(-366 * 24 * 3600_000);
    expect(await numberOf(agent)).toBe(`ACME-${year}-0004`);
  });

  test('complaints that are filed at the same time have different numbers, and a count may exceed four digits', async () => {
    const numbers = await Promise.all([complainant, neighbour, agent, admin].flatMap((who) => [file(who), file(who)]));
    expect(new Set(numbers.map(({ number }) => number)).size).toBe(8);
    await runAsSuperuser(world.database, [`update complaint_numbers set last = 9999`]);
    expect(await numberOf(agent)).toBe(`ACME-${year}-10000`);
  });

  test('a search finds the number and the address, also after an edit', async () => {
    const { id, number } = await file(complainant, { location: { address: 'Lindenallee 7' } });
    expect(await found(complainant, number.toLowerCase())).toEqual([number]);
    expect(await found(agent, 'lindenallee')).toEqual([number]);
    await world.call(complainant, 'PATCH', `/v1/complaints/${id}`, { body: { location: null } }).expect(200);
    expect(await found(agent, 'lindenallee')).toEqual([]);
    expect(await found(agent, number)).toEqual([number]);
    expect(await found(neighbour, number)).toEqual([]);
  });

  test('agents find people, until they are erased; OAuth clients and other people do not', async () => {
    names.set(complainant.userId, 'Zoe Zimmer');
    const reporter = { name: 'Yves Yorck', email: 'yves@mail.test', phone: '+43 1 58858' };
    const own = await file(complainant);
    const { number } = await file(agent, { reporter });
    await world.call(complainant, 'PATCH', `/v1/complaints/${own.id}`, { body: { title: 'A lantern' } }).expect(200);
    for (const who of [agent, admin]) {
      expect(await found(who, 'zoe zimmer')).toEqual([own.number]);
      for (const q of ['yorck', 'yves@mail.test', '58858']) expect(await found(who, q)).toEqual([number]);
    }
    for (const title of ['Lantern of Zimmer', 'A lantern']) {
      await world.call(complainant, 'PATCH', `/v1/complaints/${own.id}`, { body: { title } }).expect(200);
    }
    expect([await found(agent, 'zimmer'), await found(agent, 'of')]).toEqual([[own.number], []]);
    for (const q of ['zoe', 'yorck']) {
      expect([await found(neighbour, q), await found({ ...stranger, role: 'agent' }, q)]).toEqual([[], []]);
      const target = `/v1/complaints?q=${q}`;
      const client = {
        kind: 'client',
        clientId: 'c',
        tenantId: agent.tenantId,
        context: { scope: ['complaints.read'] },
      };
      const { body } = await world.send('GET', target, world.sign({ method: 'GET', target, claims: client as never }));
      expect(body.items).toEqual([]);
    }
    expect(await found(agent, 'lantern zimmer')).toEqual([own.number]);
  });

  test('the export ends with the number', async () => {
    const { text } = await world.call(agent, 'GET', '/v1/complaints/export').expect(200);
    const [header = '', first] = text.split('\r\n');
    expect([header.endsWith(',"number"'), first]).toEqual([true, expect.stringMatching(/,"(ACME|C)-\d{4}-\d{4,}"$/)]);
  });
});

test.each(databases())('complaints from before the migration get numbers and words on %s', async (kind, database) => {
  const first = { ...complaintsDatabase, migrations: complaintsDatabase.migrations.slice(0, 1) };
  const directory = await mkdtemp(join(tmpdir(), 'complaint-numbers-'));
  const made = await database.open<ComplaintsSchema>(first);
  const place = { location: kind === 'pglite' ? { dataDir: join(directory, 'data') } : made.location, name: made.name };
  const old = { ...made, db: await openDatabase<ComplaintsSchema>({ ...first, ...place }) };
  const id = (n: number) => `0197c2a0-0000-7000-8000-00000000000${n}`;
  const row = (tenant: string, n: number, filedAt: string) => [
    `insert into complaints (tenant_id, id, title, description, category_id, status, created_by, reporter_name, address,
       clock_started_at, revision, created_at, updated_at) values ('${tenant}', '${id(n)}', 'x', '', '${id(0)}', 'open',
       'x', 'Max Muster', 'Am Markt 3', now(), '${id(0)}', '${filedAt}', now())`,
  ];
  const category = (tenant: string) =>
    `insert into categories values ('${tenant}', '${id(0)}', 'x', 'x', '', null, null, null, true, '${id(0)}', now(), now())`;
  await runAsSuperuser(old, [
    ...[tenants.acme, tenants.globex].map(category),
    ...row(tenants.acme, 1, '2025-12-31T23:59:59Z'),
    ...row(tenants.acme, 3, '2026-02-01T00:00:00Z'),
    ...row(tenants.acme, 2, '2026-01-01T00:00:00Z'),
    ...row(tenants.globex, 4, '2026-01-01T00:00:00Z'),
  ]);
  await old.db.close();
  const db = await openDatabase<ComplaintsSchema>({ ...complaintsDatabase, ...place });
  const scope = { role: appRole, tenantId: tenants.acme, userId: 'x', userRole: 'agent' };
  const { numbers, counters, terms } = await db.transaction(scope, async (trx) => ({
    numbers: await trx.selectFrom('complaints').select(['id', 'number']).orderBy('id').execute(),
    counters: (await sql`select year, last from complaint_numbers order by year`.execute(trx)).rows,
    terms: await trx.selectFrom('terms').select(['term', 'personal']).where('complaint_id', '=', id(2)).execute(),
  }));
  expect(numbers.map(({ number }) => number)).toEqual(['C-2025-0001', 'C-2026-0001', 'C-2026-0002']);
  expect(counters).toEqual([
    { year: 2025, last: 1 },
    { year: 2026, last: 2 },
  ]);
  const words = (wanted: boolean) => terms.filter(({ personal }) => personal === wanted).map(({ term }) => term);
  expect(words(false).toSorted()).toEqual(['0001', '2026', '3', 'am', 'c', 'markt']);
  expect(words(true).toSorted()).toEqual(['max', 'muster']);
  await db.close();
  await made.close();
  await rm(directory, { recursive: true });
});
