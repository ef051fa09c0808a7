import { insertRow } from '@countersign/database';
import { databases, eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { lockComplaint } from '../src/store/complaints/complaints.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent } = people;

describe.each(databases())('concurrent comments on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());

  test('concurrent comments become visible in list order, so that a reader misses none', async () => {
    const text = { title: 'Lamp', description: 'Dark', category: 'light' };
    const { body: complaint } = await world.call(complainant, 'POST', '/v1/complaints', { body: text }).expect(201);
    const path = `/v1/complaints/${complaint.id}/comments`;
    const write = Promise.withResolvers<void>();
    const commit = Promise.withResolvers<void>();
    const slow = world.as(agent, async (trx) => {
      await lockComplaint(trx, complaint.id);
      await insertRow(trx, 'comments', {
        tenant_id: agent.tenantId,
        id: '0197c2a0-0000-7000-8000-000000000001',
        complaint_id: complaint.id,
        author_id: agent.userId,
        author_role: 'agent',
        body: 'slow',
        internal: false,
        created_at: new Date(),
      });
      write.resolve();
      await commit.promise;
    });
    await write.promise;
    let answered = false;
    const quick = world.call(agent, 'POST', path, { body: { body: 'quick' } }).then((answer) => {
      answered = true;
      return answer;
    });
    await eventually(async () => {
      const { waiting } = await world.as(agent, (trx) =>
        sql<{ waiting: boolean }>`
          select exists (select from pg_locks where not granted
            and pid in (select pid from pg_stat_activity where datname = current_database())) as waiting`
          .execute(trx)
          .then(({ rows }) => rows[0] ?? { waiting: false }),
      );
      expect(waiting || answered).toBe(true);
    });
    const bodies = async () => {
      const { body } = await world.call(complainant, 'GET', path).expect(200);
      return (body.items as { body: string }[]).map((comment) => comment.body);
    };
    expect(await bodies()).toEqual([]);
    commit.resolve();
    await slow;
    expect((await quick).status).toBe(201);
    expect(await bodies()).toEqual(['slow', 'quick']);
  });
});
