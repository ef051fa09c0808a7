import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { databases, people, type ThrowAway, tenants } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { createAttachmentStore } from '../src/files/attachment-store.ts';
import { createRandom } from '../src/seed/random.ts';
import { seedTenant } from '../src/seed/seed-complaints.ts';
import { seedImages } from '../src/seed/seed-images.ts';
import { complaintsDatabase } from '../src/store/database.ts';
import type { ComplaintsSchema } from '../src/store/schema/schema.ts';
import { asUser, type Trx } from '../src/store/scope.ts';
import { rebuildStatistics } from './scale/rebuild-statistics.ts';

const members = Object.values(people).map(({ userId: user_id, role, tenantId }) => ({ user_id, role, tenantId }));
const acme = { id: tenants.acme, members: members.filter(({ tenantId }) => tenantId === tenants.acme) };
const wanted = { now: new Date('2026-06-01T00:00:00Z'), seed: 7, complaints: 60 };

describe.each(databases())('the seed of a demo tenant on %s', (_kind, database) => {
  let made: ThrowAway<ComplaintsSchema>;
  let stories: Awaited<ReturnType<typeof seedTenant>>;
  beforeAll(async () => {
    made = await database.open<ComplaintsSchema>(complaintsDatabase);
    stories = await seedTenant(made.db, acme, wanted);
  });
  afterAll(async () => {
    await made.close();
  });
  const read = <T>(work: (trx: Trx) => Promise<T>) => asUser(made.db, people.admin, work);

  test('the seed contains a month of complaints, each with a history that explains its status', async () => {
    const rows = await read((trx) =>
      trx.selectFrom('complaints').select(['id', 'status', 'created_at']).orderBy('created_at').execute(),
    );
    expect(rows).toHaveLength(60);
    expect(new Set(rows.map(({ status }) => status)).size).toBeGreaterThan(4);
    const [first] = rows;
    expect(wanted.now.getTime() - Number(first?.created_at)).toBeGreaterThan(28 * 86_400_000);
    const history = await read((trx) => trx.selectFrom('history').selectAll().orderBy('seq').execute());
    for (const { id, status } of rows) {
      const own = history.filter((entry) => entry.complaint_id === id);
      const times = own.map((entry) => entry.created_at.getTime());
      expect(times).toEqual(times.toSorted((a, b) => a - b));
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
      const kept = await trx.selectFrom('statistics_by_status').selectAll().execute();
      const { rows } = await sql.raw<object>(rebuildStatistics[0]?.replace(/^insert into \w+/, '') ?? '').execute(trx);
      const values = (from: readonly object[]) => from.map((row) => JSON.stringify(Object.values(row))).sort();
      expect(values(kept)).toEqual(values(rows));
      expect((await trx.selectFrom('statistics_times').selectAll().execute()).length).toBeGreaterThan(5);
    });
  });

  test('the seed has pictures that are stored like uploads', async () => {
    const files = mkdtempSync(join(tmpdir(), 'countersign-seed-'));
    const parts = { db: made.db, newId: uuidv7, now: () => wanted.now, files: createAttachmentStore(files) };
    await seedImages({ ...parts, attachmentSpace: { ofTenant: 1e8, ofUserPerDay: 1e8 } }, createRandom(1), {
      stories,
      images: 2,
    });
    const attached = await read((trx) => trx.selectFrom('attachments').selectAll().execute());
    expect(attached).toHaveLength(2);
    expect(attached[0]).toMatchObject({ media_type: 'image/png', width: 320, height: 320 });
    rmSync(files, { recursive: true });
  });

  test('the same seed value gives the same complaints, which are written once', async () => {
    expect(await seedTenant(made.db, acme, wanted)).toEqual([]);
    const globex = { ...acme, id: tenants.globex };
    const again = await seedTenant(made.db, globex, wanted);
    const contentOf = (all: typeof stories) =>
      all.map(({ row, history, comments }) => [row.title, row.id, history, comments.map(({ body }) => body)]);
    expect(contentOf(again)).toEqual(contentOf(stories));
    const other = await seedTenant(made.db, { ...acme, id: 'third' }, { ...wanted, seed: 8 });
    expect(contentOf(other)).not.toEqual(contentOf(stories));
  });
});
