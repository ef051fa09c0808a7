import { databases, eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { applyMembershipUpdate } from '../src/flows/memberships.ts';
import { holdEvents } from '../src/store/events.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, agent, secondAgent } = people;

// PGlite runs one transaction at a time, so this race cannot happen there.
const servers = databases().filter(([kind]) => kind === 'postgres');

describe.each(servers)('reopening on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());

  const waiting = () =>
    world.as(agent, async (trx) => {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int from pg_locks where not granted
          and pid in (select pid from pg_stat_activity where datname = current_database())`.execute(trx);
      return rows[0]?.count;
    });

  test('a complaint returns to the queue when its assignee is disabled at the same time', async () => {
    const text = { title: 'Lamp', description: 'Dark', category: 'light' };
    const { id } = (await world.call(complainant, 'POST', '/v1/complaints', { body: text }).expect(201)).body;
    const assign = { assignee_id: secondAgent.userId };
    await world.call(agent, 'POST', `/v1/complaints/${id}/assign`, { body: assign }).expect(200);
    const move = (to: string, reason?: string) =>
      world.call(agent, 'POST', `/v1/complaints/${id}/transition`, { body: { to, reason } });
    for (const to of ['in_progress', 'resolved']) await move(to, 'Repaired').expect(200);

    const held = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const holding = world.as(agent, async (trx) => {
      await holdEvents(trx, agent.tenantId);
      held.resolve();
      await release.promise;
    });
    await held.promise;
    const reopening = Promise.resolve(move('reopened', 'Dark again'));
    await eventually(async () => expect(await waiting()).toBe(1));
    let isTold = false;
    const member = { tenant_id: agent.tenantId, user_id: secondAgent.userId };
    const update = { ...member, role: 'agent', status: 'disabled', sequence: 1 } as const;
    const telling = applyMembershipUpdate(world.flows, update).then(() => {
      isTold = true;
    });
    await eventually(async () => expect(isTold || (await waiting()) === 2).toBe(true));
    release.resolve();
    const [{ status }] = await Promise.all([reopening, telling, holding]);
    expect(status).toBe(200);
    const { body } = await world.call(agent, 'GET', `/v1/complaints/${id}`).expect(200);
    expect(body).toMatchObject({ assignee_id: null });
  });
});
