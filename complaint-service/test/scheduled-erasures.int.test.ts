import { databases, eventually, silentLogger } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { startUpkeep } from '../src/background.ts';
import { upkeepChannel } from '../src/store/erasure/erase.ts';
import { dayMs, erasureWorld } from './erasure-world.ts';
import { people } from './world.ts';

const { complainant, neighbour, agent, admin, stranger, strangerComplainant } = people;

describe.each(databases())('erasure of a person on %s', (_kind, database) => {
  const place = erasureWorld(database);
  const { disabled, fresh, moveClock, schedule, erase, run, fileComplaint, keep, erasures, everything } = place;
  let world: ReturnType<typeof place.world>;
  beforeAll(() => {
    world = place.world();
  });

  const { userId } = people.secondAgent;
  const newest = async () => (await erasures())[0];
  beforeAll(() => void disabled.add(userId));
  afterAll(() => void disabled.delete(userId));
  /** Creates data of a person, so that their id occurs in complaints. */
  const work = async () => {
    const id = await fileComplaint();
    const as = (path: string, body: object) =>
      world.call(people.secondAgent, 'POST', `/v1/complaints/${id}/${path}`, { body });
    disabled.delete(userId);
    await as('assign', { assignee_id: userId }).expect(200);
    disabled.add(userId);
    await as('comments', { body: 'A note', internal: true }).expect(201);
  };

  test.each<[string, { authTime?: number }]>([
    ['a token from an old login', { authTime: Math.floor(Date.now() / 1000) - 301 }],
    ['a token without a login time', {}],
  ])('an erasure is refused with %s, and the response says what to do', async (_what, context) => {
    const before = await everything();
    world.moveClock(-place.ahead());
    const { body, headers } = await schedule(userId, context).expect(401);
    const policy = { closed_days: 1, action: 'delete', texts: 'remove' };
    await world.call(admin, 'PUT', '/v1/complaints/retention', { body: policy, context }).expect(401);
    world.moveClock(place.ahead());
    expect(body).toMatchObject({ code: 'fresh_login_required', title: expect.stringMatching(/^Log in again/) });
    expect(headers['www-authenticate']).toBe('Bearer error="insufficient_user_authentication", max_age=300');
    expect(await everything()).toBe(before);
  });

  test('the erasure of an active member is refused', async () => {
    const before = await everything();
    const { body } = await schedule(neighbour.userId).expect(409);
    expect(body).toMatchObject({
      code: 'member_active',
      title: expect.stringContaining('Disable the account first'),
    });
    expect(await everything()).toBe(before);
  });

  test('an unknown id is not found, neither to erase nor to preview', async () => {
    const before = await everything();
    await schedule('unknown').expect(404);
    await world.call(admin, 'GET', '/v1/complaints/erasures/preview?user_id=unknown').expect(404);
    expect(await everything()).toBe(before);
  });

  test('a person without an account can be erased if complaints contain the id', async () => {
    const id = await fileComplaint();
    await world.as({ ...agent, userId: 'long-gone' }, async (trx) => {
      const row = { tenant_id: agent.tenantId, id: world.flows.newId(), complaint_id: id, internal: true };
      const said = { author_id: 'long-gone', author_role: 'agent', body: 'Bye', created_at: new Date() };
      await trx
        .insertInto('comments')
        .values({ ...row, ...said })
        .execute();
    });
    const { body } = await world.call(admin, 'GET', '/v1/complaints/erasures/preview?user_id=long-gone').expect(200);
    expect(body).toMatchObject({ member: null, complaints: 0, comments: 1 });
    await erase('long-gone');
    expect(await newest()).toMatchObject({ user_id: 'long-gone', comments: 1, finished_at: expect.any(String) });
  });

  test.each(['keep', 'remove'] as const)(
    'an erasure removes what the preview counted, with texts: %s',
    async (texts) => {
      await keep(admin, { texts });
      const own = await fileComplaint(people.secondAgent);
      await world.call(agent, 'POST', `/v1/complaints/${own}/comments`, { body: { body: 'An answer' } }).expect(201);
      await work();
      const before = await everything();
      const preview = await world.call(admin, 'GET', `/v1/complaints/erasures/preview?user_id=${userId}`).expect(200);
      expect(await everything()).toBe(before);
      expect(preview.body).toMatchObject({
        user_id: userId,
        member: 'inactive',
        texts,
        complaints: 1,
        active_complaints: 1,
        assigned_complaints: 1,
        comments: texts === 'keep' ? 2 : 3,
        attachments: 1,
      });
      await erase(userId);
      disabled.add(userId);
      const { complaints, comments, attachments } = preview.body;
      expect(await newest()).toMatchObject({ complaints, comments, attachments, finished_at: expect.any(String) });
      await keep(admin, {});
    },
  );

  test('an erasure happens once after the grace period, and the record names the admin who requested it', async () => {
    await work();
    const { body } = await schedule(userId, { ...fresh(), sid: 'session-7' }).expect(202);
    expect(body).toMatchObject({
      requested_by: admin.userId,
      session_id: 'session-7',
      request_id: expect.any(String),
    });
    expect(Date.parse(body.due_at) - Date.parse(body.requested_at)).toBe(3 * dayMs);
    expect((await schedule(userId).expect(409)).body.code).toBe('erasure_scheduled');
    const before = await everything();
    moveClock(3 * dayMs - 60_000);
    await run();
    expect(await everything()).toBe(before);
    moveClock(60_000);
    await run();
    expect(await newest()).toMatchObject({ id: body.id, finished_at: expect.any(String) });
    const cancel = `/v1/complaints/erasures/${body.id}/cancel`;
    expect((await world.call(admin, 'POST', cancel).expect(409)).body.code).toBe('erasure_not_cancellable');
  });

  test('an erasure does not happen if an admin cancels it in time', async () => {
    await work();
    const { body } = await schedule(userId).expect(202);
    const cancel = `/v1/complaints/erasures/${body.id}/cancel`;
    for (const who of [complainant, agent]) await world.call(who, 'POST', cancel).expect(403);
    await world.call(stranger, 'POST', cancel).expect(404);
    const cancelled = await world.call(admin, 'POST', cancel).expect(200);
    expect(cancelled.body).toMatchObject({ cancelled_by: admin.userId, finished_at: null });
    await world.call(admin, 'POST', cancel).expect(409);
    const before = await everything();
    moveClock(4 * dayMs);
    await run();
    expect(await everything()).toBe(before);
    await schedule(userId).expect(202);
    await world.call(admin, 'POST', `/v1/complaints/erasures/${(await newest()).id}/cancel`).expect(200);
  });

  test('an erasure does not happen if the account is active again by then', async () => {
    await work();
    await schedule(userId).expect(202);
    const target = '/internal/complaints/memberships';
    const member = { tenant_id: admin.tenantId, user_id: userId, role: 'agent', status: 'active' };
    const update = JSON.stringify({ event_id: 'e', sequence: 1, ...member });
    const claims = { kind: 'service', serviceId: 'auth-service' } as const;
    const signed = world.sign({ method: 'POST', target, body: update, claims, contentType: 'application/json' });
    await world.send('POST', target, { ...signed, 'content-type': 'application/json' }, update).expect(200);
    moveClock(3 * dayMs);
    await run();
    expect(await newest()).toMatchObject({ finished_at: null, cancelled_by: 'complaint-service', comments: 0 });
    expect((await world.rows())[0]?.comments).toContainEqual(expect.objectContaining({ author_id: userId }));
  });

  test('upkeep runs an erasure as soon as it is due', async () => {
    await fileComplaint(strangerComplainant);
    disabled.add(strangerComplainant.userId);
    const stop = await startUpkeep(world.flows, silentLogger());
    await schedule(strangerComplainant.userId, fresh(), stranger).expect(202);
    moveClock(3 * dayMs);
    // Any change to an erasure wakes the upkeep. The test moves its clock, which timers do not notice.
    await world.as(admin, (trx) => sql`select pg_notify(${upkeepChannel}, '')`.execute(trx));
    await eventually(async () => expect((await erasures(stranger))[0].finished_at).not.toBeNull());
    await stop();
    disabled.delete(strangerComplainant.userId);
  });
});
