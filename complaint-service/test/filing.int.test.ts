import { databases, eventually, silentLogger } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startUpkeep } from '../src/background.ts';
import { complaintsWorld, directoryOf, people } from './world.ts';

const { complainant, neighbour, agent, admin, stranger, strangerComplainant } = people;
const text = { title: 'Lamp broken', description: 'Dark since Monday', category: 'light' };

describe.each(databases())('filing a complaint on %s', (_kind, database) => {
  const names = new Map([
    [complainant.userId, 'Chris'],
    [agent.userId, 'Alex'],
  ]);
  let isDown = false;
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database, {
      ...directoryOf(),
      namesOf: async (_caller, ids) => new Map(isDown ? [] : [...names].filter(([id]) => ids.includes(id))),
    });
  });
  afterAll(() => world.close());
  const file = (who: typeof agent, more: object = {}, headers: Record<string, string> = {}) =>
    world.call(who, 'POST', '/v1/complaints', { body: { ...text, ...more }, headers });

  describe('on behalf of someone', () => {
    test('an agent names a member, and the complaint shows both names', async () => {
      const { body } = await file(agent, { complainant_id: complainant.userId, priority: 'high' }).expect(201);
      expect(body).toMatchObject({
        complainant_id: complainant.userId,
        complainant_name: 'Chris',
        created_by: agent.userId,
        created_by_name: 'Alex',
        priority: 'high',
        reporter: null,
      });
      await world.call(complainant, 'GET', `/v1/complaints/${body.id}`).expect(200);
      await world.call(neighbour, 'GET', `/v1/complaints/${body.id}`).expect(404);
    });

    test('an agent describes a person without an account, whom only agents and admins see', async () => {
      const reporter = { name: 'Kim Caller', phone: '+43 1 234' };
      const { body } = await file(agent, { reporter }).expect(201);
      expect(body).toMatchObject({ complainant_id: null, complainant_name: null, created_by: agent.userId });
      expect(body.reporter).toEqual({ ...reporter, email: null });
      await world.call(complainant, 'GET', `/v1/complaints/${body.id}`).expect(404);
      await world.call(admin, 'GET', `/v1/complaints/${body.id}`).expect(200);
    });

    test.each([
      ['someone of another tenant', { complainant_id: 'unknown' }, 422, 'unknown_complainant'],
      ['two people', { complainant_id: complainant.userId, reporter: { name: 'x' } }, 422, 'validation_failed'],
      [
        'a person without an account in a named tenant',
        { reporter: { name: 'x', tenant_id: 'y' } },
        422,
        'validation_failed',
      ],
    ])('an agent cannot file for %s', async (_whom, more, status, code) => {
      const before = await world.rows();
      expect((await file(agent, more).expect(status)).body.code).toBe(code);
      expect(await world.rows()).toEqual(before);
    });

    test.each([
      ['another complainant', { complainant_id: neighbour.userId }],
      ['themselves by their id', { complainant_id: complainant.userId }],
      ['a person without an account', { reporter: { name: 'x' } }],
    ])('a complainant cannot file for %s', async (_whom, more) => {
      expect((await file(complainant, more).expect(403)).body.code).toBe('insufficient_role');
    });

    test('a complainant cannot choose the priority', async () => {
      expect((await file(complainant, { priority: 'urgent' }).expect(403)).body.code).toBe('insufficient_role');
      const { body } = await file(complainant).expect(201);
      const patch = { body: { priority: 'urgent' } };
      await world.call(complainant, 'PATCH', `/v1/complaints/${body.id}`, patch).expect(403);
      const raised = await world.call(agent, 'PATCH', `/v1/complaints/${body.id}`, patch).expect(200);
      expect(raised.body.priority).toBe('urgent');
    });
  });

  test('stores the location and the preferred contact, and an edit can remove the location', async () => {
    const place = { latitude: 48.2082, longitude: 16.3738, address: 'Mill Lane 3' };
    const { body } = await file(complainant, { location: place, contact_preference: 'phone' }).expect(201);
    expect(body).toMatchObject({ location: place, contact_preference: 'phone' });
    const path = `/v1/complaints/${body.id}`;
    const edited = await world.call(complainant, 'PATCH', path, { body: { location: null } }).expect(200);
    expect(edited.body).toMatchObject({ location: null, contact_preference: 'phone' });
    const { body: history } = await world.call(complainant, 'GET', `${path}/history`).expect(200);
    expect(history.items.at(-1)).toMatchObject({
      fields: ['location'],
      changes: { location: { from: place, to: null } },
    });
  });

  test.each([
    ['a latitude without a longitude', { latitude: 1 }],
    ['a latitude beyond 90 degrees', { latitude: 91, longitude: 0 }],
    ['coordinates as text', { latitude: '1', longitude: '2' }],
    ['no field', {}],
    ['an unknown field', { address: 'x', tenant_id: 'y' }],
  ])('refuses a location with %s', async (_what, location) => {
    await file(complainant, { location }).expect(422);
  });

  describe('with an Idempotency-Key', () => {
    const once = (who: typeof agent, key: string, more: object = {}) => file(who, more, { 'idempotency-key': key });
    const count = async (who = agent) => {
      const { body } = await world.call(who, 'GET', '/v1/complaints?limit=100&q=lamp').expect(200);
      return body.items.length as number;
    };

    test('a repeated request gets the first response, and files nothing', async () => {
      const before = await count();
      const first = await once(complainant, 'a-1').expect(201);
      isDown = true; // The stored response does not depend on the users-service.
      const again = await once(complainant, '"a-1"').expect(201);
      isDown = false;
      expect(again.body).toEqual(first.body);
      expect([again.headers.etag, again.headers.location]).toEqual([first.headers.etag, first.headers.location]);
      expect(await count()).toBe(before + 1);
    });

    test('refuses a different request with the same key', async () => {
      await once(complainant, 'b-1').expect(201);
      const before = await world.rows();
      const { body } = await once(complainant, 'b-1', { title: 'Lamp stolen' }).expect(422);
      expect(body.code).toBe('idempotency_key_reused');
      expect(await world.rows()).toEqual(before);
    });

    test('a key belongs to one user in one tenant', async () => {
      const ids = new Set<string>();
      for (const who of [complainant, neighbour, stranger, strangerComplainant]) {
        ids.add((await once(who, 'c-1').expect(201)).body.id);
      }
      expect(ids.size).toBe(4);
    });

    test('only one of several concurrent requests files the complaint, and all get its response', async () => {
      const before = await count();
      const answers = await Promise.all(Array.from({ length: 5 }, () => once(complainant, 'd-1')));
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
      expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
      expect(await count()).toBe(before + 1);
    });

    test('a refused request stores no key', async () => {
      await once(complainant, 'e-1', { title: '' }).expect(422);
      await once(complainant, 'e-1', { priority: 'high' }).expect(403);
      await once(complainant, 'e-1').expect(201);
    });

    test('a key expires after 24 hours', async () => {
      const first = await once(agent, 'f-1').expect(201);
      world.moveClock(24 * 3_600_000 - 60_000);
      expect((await once(agent, 'f-1').expect(201)).body.id).toBe(first.body.id);
      world.moveClock(120_000);
      expect((await once(agent, 'f-1').expect(201)).body.id).not.toBe(first.body.id);
      world.moveClock(-24 * 3_600_000 - 60_000);
    });

    test('upkeep removes expired responses in every tenant', async () => {
      const keys = async () => {
        const read = [agent, stranger].map((who) =>
          world.as(who, (trx) =>
            trx.selectFrom('idempotency_keys').select('key').where('key', 'like', 'h-%').execute(),
          ),
        );
        return (await Promise.all(read))
          .flat()
          .map(({ key }) => key)
          .sort();
      };
      world.moveClock(-26 * 3_600_000);
      for (const who of [agent, stranger]) await once(who, 'h-old').expect(201);
      world.moveClock(26 * 3_600_000);
      await once(agent, 'h-new').expect(201);
      expect(await keys()).toEqual(['h-new', 'h-old', 'h-old']);
      const stop = await startUpkeep(world.flows, silentLogger());
      await eventually(async () => expect(await keys()).toEqual(['h-new']));
      await stop();
    });

    test.each(['', ' ', '"', 'a b', 'ä', 'x'.repeat(256), 'a"b'])('refuses the key %j', async (key) => {
      await once(complainant, key).expect(422);
    });

    test('a comment is also added only once', async () => {
      const { body } = await file(complainant).expect(201);
      const comment = (key: string, said: string) =>
        world.call(agent, 'POST', `/v1/complaints/${body.id}/comments`, {
          body: { body: said },
          headers: { 'idempotency-key': key },
        });
      const first = await comment('g-1', 'On our way').expect(201);
      expect((await comment('g-1', 'On our way').expect(201)).body).toEqual(first.body);
      await comment('g-1', 'Done').expect(422);
      const { body: list } = await world.call(agent, 'GET', `/v1/complaints/${body.id}/comments`).expect(200);
      expect(list.items).toHaveLength(1);
    });
  });
});
