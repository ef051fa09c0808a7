import { databases, eventually } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { courierRole } from '../src/store/roles.ts';
import { deliveryFailed, deliveryTaken, nextDelivery } from '../src/store/webhooks/courier.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, admin } = people;

// PGlite runs one transaction at a time, so none of these races can happen there.
const servers = databases().filter(([kind]) => kind === 'postgres');

describe.each(servers)('the removal of a webhook on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let complaintId: string;
  let webhook: { tenant_id: string; id: string };
  beforeAll(async () => {
    world = await complaintsWorld(database);
    const body = { title: 'Lamp', description: 'Dark', category: 'light' };
    complaintId = (await world.call(complainant, 'POST', '/v1/complaints', { body }).expect(201)).body.id;
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    const body = { url: 'http://127.0.0.1:9/', events: ['comment.added'] };
    const { id } = (await world.call(admin, 'POST', '/v1/webhooks', { body }).expect(201)).body;
    webhook = { tenant_id: admin.tenantId, id };
  });

  const ping = () => world.call(admin, 'POST', `/v1/webhooks/${webhook.id}/ping`);
  const waiting = () =>
    world.as(admin, async (trx) => {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int from pg_locks where not granted
          and pid in (select pid from pg_stat_activity where datname = current_database())`.execute(trx);
      return rows[0]?.count;
    });

  /** Starts to remove the webhook, then starts `other`. Lets both continue once they wait. */
  async function duringRemoval<T>(other: () => PromiseLike<T>): Promise<T> {
    const held = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const holding = world.db.transaction({ role: courierRole }, async (trx) => {
      await sql`select from webhooks where id = ${webhook.id} for update`.execute(trx);
      held.resolve();
      await release.promise;
    });
    await held.promise;
    const removal = Promise.resolve(world.call(admin, 'DELETE', `/v1/webhooks/${webhook.id}`));
    await eventually(async () => expect(await waiting()).toBe(1));
    const running = Promise.resolve(other());
    await eventually(async () => expect(await waiting()).toBe(2));
    release.resolve();
    await holding;
    const [{ status }, result] = await Promise.all([removal, running]);
    expect(status).toBe(204);
    return result;
  }

  test('a change to a complaint during a webhook’s removal queues no delivery for it', async () => {
    const path = `/v1/complaints/${complaintId}/comments`;
    const { status } = await duringRemoval(() =>
      world.call(complainant, 'POST', path, { body: { body: 'Still dark' } }),
    );
    expect(status).toBe(201);
  });

  test('a test delivery during a webhook’s removal is refused', async () => {
    const { status, body } = await duringRemoval(ping);
    expect([status, body.code]).toEqual([404, 'not_found']);
  });

  test.each(['accepted', 'failed'])(
    'an attempt that was %s during a webhook’s removal is not recorded',
    async (outcome) => {
      await ping().expect(202);
      const due = await nextDelivery(world.db, webhook);
      if (due === undefined) throw new Error('nothing is due');
      const next = { delayMs: 0, pauseMs: undefined };
      const note = (): Promise<unknown> =>
        outcome === 'accepted'
          ? deliveryTaken(world.db, due, { result: { status: 204 }, durationMs: 1 })
          : deliveryFailed(world.db, due, { result: { status: 500 }, durationMs: 1 }, next);
      expect(await duringRemoval(note)).toBeUndefined();
    },
  );
});
