import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { asUser, databases, eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { announce } from '../src/flows/events/announce.ts';
import { eventsPath } from '../src/routes/events/event-stream.ts';
import { removeExpired } from '../src/store/upkeep.ts';
import { eventClients } from './event-clients.ts';
import { complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, admin, stranger, strangerComplainant } = people;

describe.each(databases())('events on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let clients: Awaited<ReturnType<typeof eventClients>>;
  beforeAll(async () => {
    world = await complaintsWorld(database);
    clients = await eventClients(world);
  });
  afterAll(async () => {
    clients.close();
    await world.close();
  });
  const stream: typeof clients.stream = (...given) => clients.stream(...given);
  const socket: typeof clients.socket = (...given) => clients.socket(...given);

  async function fileComplaint(who = complainant): Promise<string> {
    const body = { title: 'Secret title', description: 'Secret text', category: 'light' };
    return (await world.call(who, 'POST', '/v1/complaints', { body }).expect(201)).body.id;
  }
  const comment = (who: typeof agent, id: string, internal = false) =>
    world.call(who, 'POST', `/v1/complaints/${id}/comments`, { body: { body: 'Secret words', internal } }).expect(201);

  test('HEAD gets an immediate response, and does not count as a stream', async () => {
    for (let at = 0; at <= 10; at += 1) {
      const signed = world.sign({ method: 'HEAD', target: eventsPath, claims: asUser(neighbour) });
      const sent = request({
        method: 'HEAD',
        host: '127.0.0.1',
        port: clients.port,
        path: eventsPath,
        headers: signed,
      }).end();
      const [answer] = (await once(sent, 'response', { signal: AbortSignal.timeout(5_000) })) as [IncomingMessage];
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
      await once(answer.resume(), 'end');
    }
  });

  test('each user receives exactly the events that they can see, by stream and by socket', async () => {
    const watching = [agent, admin, complainant, neighbour, stranger, strangerComplainant];
    const streams = await Promise.all(watching.map((who) => stream(who)));
    const sockets = await Promise.all(watching.map((who) => socket(who)));
    const id = await fileComplaint();
    await comment(agent, id, true);
    await world.call(agent, 'POST', `/v1/complaints/${id}/assign`, { body: { assignee_id: agent.userId } }).expect(200);
    await comment(agent, id);
    await world.call(complainant, 'PATCH', `/v1/complaints/${id}`, { body: { title: 'Another' } }).expect(200);
    const other = await fileComplaint(strangerComplainant);
    const forStaff = ['complaint.filed', 'comment.added', 'complaint.assigned', 'comment.added', 'complaint.edited'];
    const forComplainant = ['complaint.filed', 'complaint.assigned', 'comment.added', 'complaint.edited'];
    const expected = [forStaff, forStaff, forComplainant, [], ['complaint.filed'], ['complaint.filed']];
    await eventually(() => {
      expect(streams.map((each) => each.types())).toEqual(expected);
      expect(sockets.map((each) => each.types())).toEqual(expected);
    });
    for (const each of [streams[2], streams[3]]) expect(each?.text()).not.toContain(other);
    expect(streams.map((each) => each.text()).join('')).not.toContain('Secret');
    expect(streams[0]?.text()).toContain(`"detail":{"to":"${agent.userId}","from":null}`);
    for (const each of streams) await each.end();
    for (const { ws, closed } of sockets) {
      ws.close();
      await closed;
    }
  });

  test('a client that was away continues without a gap, and gets a reset if it was away too long', async () => {
    const first = await stream(agent);
    const id = await fileComplaint();
    await eventually(() => expect(first.ids()).toHaveLength(1));
    await first.end();
    const last = first.ids().at(-1) ?? '';
    await world.as(agent, async (trx) => {
      for (let at = 0; at < 120; at += 1) {
        const announcement = {
          type: 'comment.added',
          detail: {},
          internal: at % 2 === 0,
          actor: agent,
          at: new Date(),
        } as const;
        await announce(trx, world.flows, { complaint: { tenant_id: agent.tenantId, id }, ...announcement });
      }
    });
    const again = await stream(agent, { 'last-event-id': last });
    await eventually(() => expect(again.types()).toEqual(Array(120).fill('comment.added')));
    expect(new Set(again.ids()).size).toBe(120);
    const bySocket = await socket(complainant, `?last_event_id=${last}`);
    await eventually(() => expect(bySocket.types()).toEqual(Array(60).fill('comment.added')));
    world.moveClock(-25 * 3600_000);
    await comment(agent, id);
    world.moveClock(25 * 3600_000);
    const old = await world.as(agent, (trx) =>
      trx.selectFrom('events').select('id').orderBy('seq', 'desc').limit(1).executeTakeFirstOrThrow(),
    );
    for (const lost of [old.id, 'nonsense', '1', '42-1795685240059', last.toUpperCase(), '', randomUUID()]) {
      const reset = await stream(agent, { 'last-event-id': lost });
      await eventually(() => expect(reset.types()).toEqual(['reset']));
      await reset.end();
    }
    await again.end();
    bySocket.ws.terminate();
    await bySocket.closed;
    await removeExpired(world.db, 'events');
  });

  test('event ids reveal neither internal notes nor other tenants, and can resume only streams that included the event', async () => {
    const mine = await stream(complainant);
    const theirs = await stream(stranger);
    const id = await fileComplaint();
    await eventually(() => expect(mine.ids()).toHaveLength(1));
    const [before = ''] = mine.ids();
    await comment(agent, id, true);
    const note = await world.as(agent, (trx) =>
      trx
        .selectFrom('events')
        .selectAll()
        .where('internal', '=', true)
        .orderBy('seq', 'desc')
        .executeTakeFirstOrThrow(),
    );
    await fileComplaint(strangerComplainant);
    await comment(agent, id);
    await eventually(() => expect(mine.ids()).toHaveLength(2));
    await eventually(() => expect(theirs.ids()).toHaveLength(1));
    for (const each of [...mine.ids(), ...theirs.ids()]) expect(each).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(mine.text()).not.toMatch(/"seq"/);
    await mine.end();
    await theirs.end();
    const again = await stream(complainant, { 'last-event-id': before });
    await eventually(() => expect(again.types()).toEqual(['comment.added']));
    await again.end();
    // The response for an event that the user may not see is the same as for an id that never existed.
    for (const unseen of [note.id, theirs.ids()[0] ?? '']) {
      const reset = await stream(complainant, { 'last-event-id': unseen });
      await eventually(() => expect(reset.types()).toEqual(['reset']));
      await reset.end();
    }
  });

  test('a quiet stream sends comments, and a quiet socket pings', async () => {
    const quiet = await stream(stranger);
    const silent = await socket(stranger);
    await eventually(() => {
      expect(quiet.text()).toMatch(/(:\n\n){2}/);
      expect(silent.pings()).toBeGreaterThan(1);
    });
    await quiet.end();
    silent.ws.terminate();
    await silent.closed;
  });

  test('a socket closes when the client sends a message', async () => {
    const { ws, closed } = await socket(agent);
    ws.send('hello');
    expect((await closed)[0]).toBe(1008);
  });

  test('a user can have up to ten streams, and other users are not affected', async () => {
    const open = await Promise.all(Array.from({ length: 10 }, () => stream(neighbour)));
    const refused = await stream(neighbour);
    expect(refused.status).toBe(429);
    const { closed } = await socket(neighbour);
    expect((await closed)[0]).toBe(1013);
    await (await stream(complainant)).end();
    for (const each of open) await each.end();
    await eventually(async () => {
      const next = await stream(neighbour);
      await next.end();
      expect(next.status).toBe(200);
    });
  });

  test('an upgrade is refused if it is unsigned, or has another role, path or query', async () => {
    const tries = [
      { who: agent, target: eventsPath, sign: false },
      { who: { ...agent, role: 'auditor' }, target: eventsPath, sign: true },
      { who: agent, target: '/v1/complaints/other', sign: true },
      { who: agent, target: `${eventsPath}?last_event=x`, sign: true },
    ];
    const statuses = tries.map(async ({ who, target, sign }) => {
      const ws = new WebSocket(`ws://127.0.0.1:${clients.port}${target}`, {
        finishRequest(req) {
          const webSocketKey = String(req.getHeader('sec-websocket-key'));
          const signed = sign ? world.sign({ method: 'GET', target, claims: asUser(who), webSocketKey }) : {};
          for (const [name, value] of Object.entries(signed)) req.setHeader(name, value);
          req.end();
        },
      });
      ws.on('error', () => {});
      const [, answer] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage];
      answer.destroy();
      return answer.statusCode;
    });
    expect(await Promise.all(statuses)).toEqual([401, 403, 404, 422]);
  });

  test('an event commits with the change that it describes, or not at all', async () => {
    const id = await fileComplaint();
    const { body } = await world.call(agent, 'GET', `/v1/complaints/${id}/history`).expect(200);
    const watching = await stream(agent);
    world.nextIds(body.items[0].id); // The id is taken, so the history row fails.
    await world
      .call(agent, 'POST', `/v1/complaints/${id}/transition`, { body: { to: 'rejected', reason: 'x' } })
      .expect(500);
    world.nextIds(undefined);
    await comment(agent, id);
    await eventually(() => expect(watching.types()).toEqual(['comment.added']));
    await watching.end();
  });

  test('upkeep removes events after a day, and not before', async () => {
    const id = await fileComplaint();
    world.moveClock(-25 * 3600_000);
    await comment(agent, id);
    world.moveClock(25 * 3600_000);
    const count = () => world.as(agent, (trx) => trx.selectFrom('events').selectAll().execute());
    const before = (await count()).length;
    expect(await removeExpired(world.db, 'events')).toBe(1);
    expect((await count()).length).toBe(before - 1);
  });

  test('streams and sockets end when the service stops', async () => {
    const open = await stream(agent);
    const { closed } = await socket(agent);
    await world.feed.end();
    await open.ended;
    expect((await closed)[0]).toBe(1001);
  });
});
