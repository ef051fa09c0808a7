import { databases, eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { announce } from '../src/flows/events/announce.ts';
import { asUser } from '../src/store/schema.ts';
import { eventClients } from './event-clients.ts';
import { complaintsWorld, people } from './world.ts';

const { agent, complainant } = people;

describe.each(databases())('events without a free connection to %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let clients: Awaited<ReturnType<typeof eventClients>>;
  beforeAll(async () => {
    world = await complaintsWorld(database, undefined, { feedConnections: 1 });
    clients = await eventClients(world);
  });
  afterAll(async () => {
    clients.close();
    await world.close();
  });

  test('streams and sockets wait, even newly opened ones, and continue without a gap', async () => {
    const body = { title: 'Lamp', description: 'Dark', category: 'light' };
    const open = await clients.stream(agent);
    const socket = await clients.socket(agent);
    const { body: filed } = await world.call(complainant, 'POST', '/v1/complaints', { body }).expect(201);
    await eventually(() => expect([open.types(), socket.types()]).toEqual(Array(2).fill(['complaint.filed'])));

    const held = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const holding = asUser(world.feedDb, agent, async (trx) => {
      held.resolve();
      await release.promise;
      const complaint = { tenant_id: agent.tenantId, id: filed.id };
      const announcement = {
        type: 'comment.added',
        detail: {},
        internal: false,
        actor: agent,
        at: new Date(),
      } as const;
      await announce(trx, world.flows, { complaint, ...announcement });
    });
    await held.promise;
    const before = { comments: open.comments(), pings: socket.pings() };
    // A read waits 2.5 s for a pooled connection. In this test, a quiet stream sends a comment every 300 ms.
    await eventually(() => {
      expect(open.comments()).toBeGreaterThan(before.comments + 14);
      expect(socket.pings()).toBeGreaterThan(before.pings + 14);
    });
    const late = await Promise.all([
      clients.stream(agent),
      clients.stream(agent, { 'last-event-id': open.ids()[0] ?? '' }),
    ]);
    expect(late.map(({ status }) => status)).toEqual([200, 200]);
    release.resolve();
    await holding;

    await eventually(() => {
      expect([open.types(), socket.types()]).toEqual(Array(2).fill(['complaint.filed', 'comment.added']));
      // One of them has never received an event, so it gets a reset.
      expect(late.map((each) => each.types())).toEqual([['reset'], ['comment.added']]);
    });
    await world
      .call(agent, 'POST', `/v1/complaints/${filed.id}/comments`, { body: { body: 'On our way' } })
      .expect(201);
    await eventually(() => {
      for (const each of [open, socket, ...late]) expect(each.types().at(-1)).toBe('comment.added');
      expect(late.map((each) => each.types().length)).toEqual([2, 2]);
    });
    for (const each of [open, ...late]) await each.end();
    socket.ws.terminate();
    await socket.closed;
  });
});
