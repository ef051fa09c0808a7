import { databases } from '@countersign/testing';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { inErasing } from '../src/store/erasure/erase.ts';
import { dayMs, erasureWorld } from './erasure-world.ts';
import { people } from './world.ts';

const { complainant, neighbour, agent, admin, stranger, strangerComplainant } = people;

describe.each(databases())('erasure on %s', (_kind, database) => {
  const place = erasureWorld(database);
  const { fresh, moveClock, schedule, erase, run, files, fileComplaint, reject, keep, erasures, everything, of } =
    place;
  let world: ReturnType<typeof place.world>;
  beforeAll(() => {
    world = place.world();
  });

  test('finished complaints lose people, texts and files after the retention period, and statistics remain', async () => {
    const open = await fileComplaint();
    const old = await fileComplaint();
    await reject(old);
    const stored = await files();
    const statistics = async () => (await world.rows())[0]?.statistics_by_status;
    const counted = await statistics();
    await keep(admin, { closed_days: 30 });
    await run();
    expect(await erasures()).toEqual([]);
    moveClock(31 * dayMs);
    const recent = await fileComplaint();
    await reject(recent);
    await run();
    const left = await of(old);
    expect(left.complaints).toMatchObject([
      {
        title: '[erased]',
        description: '[erased]',
        complainant_id: null,
        created_by: 'erased',
        address: null,
        latitude: null,
        status: 'rejected',
      },
    ]);
    expect([left.comments, left.attachments, left.terms, left.watchers, left.events]).toEqual([[], [], [], [], []]);
    expect(left.history?.map(({ action, actor_id, detail }) => [action, actor_id, detail])).toEqual(
      expect.arrayContaining([
        ['filed', 'erased', {}],
        ['edited', 'erased', { fields: ['title'] }],
        ['moved', 'erased', { from: 'open', to: 'rejected' }],
      ]),
    );
    expect(JSON.stringify(left)).not.toContain('Private');
    for (const kept of [open, recent]) expect(JSON.stringify(await of(kept))).toContain('Private title');
    expect(await files()).toBe(stored);
    expect((await statistics())?.length).toBe(counted?.length);
    expect(await erasures()).toMatchObject([
      { kind: 'retention', complaints: 1, comments: 1, attachments: 1, requested_by: null },
    ]);
    await run();
    expect(await erasures()).toHaveLength(1);
    await world.call(complainant, 'GET', `/v1/complaints/${old}`).expect(404);
    await world.call(agent, 'GET', `/v1/complaints/${old}`).expect(200);
  });

  test('a policy that deletes removes everything, even from a complaint that has duplicates', async () => {
    const original = await fileComplaint();
    const copy = await fileComplaint();
    await world
      .call(agent, 'POST', `/v1/complaints/${copy}/transition`, {
        body: { to: 'duplicate', reason: 'Same', duplicate_of: original },
      })
      .expect(200);
    await reject(original);
    const before = await files();
    await keep(admin, { closed_days: 1, action: 'delete' });
    moveClock(2 * dayMs);
    await run();
    for (const id of [original, copy]) {
      for (const rows of Object.values(await of(id))) expect(rows).toEqual([]);
      await world.call(agent, 'GET', `/v1/complaints/${id}`).expect(404);
    }
    expect(await files()).toBeLessThan(before);
    await keep(admin, {});
  });

  test('a person is erased everywhere in the tenant, and not in other tenants', async () => {
    const own = await fileComplaint();
    const others = await fileComplaint(neighbour);
    const abroad = await fileComplaint(strangerComplainant);
    await erase(complainant.userId);
    const [acme = {}, globex = {}] = await world.rows();
    const { erasures: records, ...rest } = acme;
    expect(JSON.stringify(rest)).not.toContain(complainant.userId);
    expect(JSON.stringify(records)).toContain(complainant.userId);
    expect(JSON.stringify(await of(own))).not.toContain('Private');
    expect(JSON.stringify(await of(others))).toContain('Private comment');
    expect(JSON.stringify(globex)).toContain(complainant.userId);
    await world.call(strangerComplainant, 'GET', `/v1/complaints/${abroad}`).expect(200);
    const [record] = await erasures();
    expect(record).toMatchObject({ kind: 'person', user_id: complainant.userId, requested_by: admin.userId });
    expect(record.finished_at).not.toBeNull();
    expect(record.complaints).toBeGreaterThan(0);
    expect(record.attachments).toBeGreaterThan(0);
  });

  test('a tenant can keep the texts of erased people', async () => {
    const id = await fileComplaint(neighbour);
    await keep(admin, { texts: 'keep' });
    await erase(neighbour.userId);
    const left = await of(id);
    expect(left.complaints).toMatchObject([{ title: 'Private title 2', complainant_id: null }]);
    expect(left.comments).toMatchObject([{ author_id: 'erased', body: 'Private comment' }]);
    expect(left.attachments).toEqual([]);
    await keep(admin, {});
  });

  test.each(['erased', 'auth-service', 'complaint-service', 'no id', '', 'x'.repeat(129)])(
    'refuses an id that cannot belong to a person: %s',
    async (user_id) => {
      const before = await erasures();
      const { body } = await schedule(user_id).expect(422);
      expect(body.errors[0].path).toBe('user_id');
      expect(await erasures()).toEqual(before);
    },
  );

  /** Every request that changes a complaint. */
  const changes: [string, string, string, object][] = [
    ['edited', 'PATCH', '', { body: { title: 'New title' } }],
    ['moved', 'POST', '/transition', { body: { to: 'reopened', reason: 'New reason' } }],
    ['assigned', 'POST', '/assign', { body: { assignee_id: people.secondAgent.userId } }],
    ['unassigned', 'POST', '/unassign', { body: {} }],
    ['commented on', 'POST', '/comments', { body: { body: 'New comment', internal: true } }],
    [
      'given an attachment',
      'POST',
      '/attachments?name=new.txt',
      { upload: Buffer.from('New'), contentType: 'text/plain' },
    ],
    ['stripped of an attachment', 'DELETE', '/attachments/0197c2a0-0000-7000-8000-000000000000', {}],
    ['watched', 'PUT', '/watching', {}],
    ['unwatched', 'DELETE', '/watching', {}],
  ];
  describe.each<[string, (id: string) => Promise<unknown>]>([
    [
      'retention',
      async (id) => {
        await reject(id);
        await keep(admin, { closed_days: 1 });
        moveClock(2 * dayMs);
        await run();
        await keep(admin, {});
      },
    ],
    ['the erasure of its complainant', () => erase(complainant.userId)],
  ])('a complaint anonymized by %s', (_what, anonymise) => {
    let id: string;
    let stored: string;
    beforeAll(async () => {
      id = await fileComplaint();
      await anonymise(id);
      stored = await everything();
    });
    test.each(changes)('an anonymized complaint cannot be %s', async (_change, method, path, options) => {
      const { body } = await world.call(agent, method, `/v1/complaints/${id}${path}`, options).expect(409);
      expect(body.code).toBe('complaint_locked');
      expect(await everything()).toBe(stored);
    });
  });

  test('an active complaint of an erased person is withdrawn, and its statistics change accordingly', async () => {
    const id = await fileComplaint();
    const counted = async () => {
      const { body } = await world.call(agent, 'GET', '/v1/complaints/statistics').expect(200);
      const of = (status: string) =>
        body.by_status.find((each: { status: string }) => each.status === status)?.complaints ?? 0;
      return { active: body.active, open: of('open'), withdrawn: of('withdrawn') };
    };
    const before = await counted();
    await erase(complainant.userId);
    expect(await counted()).toEqual({
      active: before.active - 1,
      open: before.open - 1,
      withdrawn: before.withdrawn + 1,
    });
    const { body } = await world.call(agent, 'GET', `/v1/complaints/${id}/history`).expect(200);
    expect(body.items.at(-1)).toMatchObject({ action: 'moved', from: 'open', to: 'withdrawn' });
  });

  test('active complaints of an erased agent return to the queue', async () => {
    const { userId } = people.secondAgent;
    const assigned = await fileComplaint();
    const begun = await fileComplaint();
    for (const id of [assigned, begun]) {
      await world.call(agent, 'POST', `/v1/complaints/${id}/assign`, { body: { assignee_id: userId } }).expect(200);
    }
    await world.call(agent, 'POST', `/v1/complaints/${begun}/transition`, { body: { to: 'in_progress' } }).expect(200);
    await erase(userId);
    for (const id of [assigned, begun]) {
      const { body } = await world.call(agent, 'GET', `/v1/complaints/${id}`).expect(200);
      expect(body).toMatchObject({ status: 'open', assignee_id: null, title: 'Private title 2' });
      const { items } = (await world.call(agent, 'GET', `/v1/complaints/${id}/history`).expect(200)).body;
      expect(items.at(-1)).toMatchObject({
        action: 'unassigned',
        actor_id: 'complaint-service',
        from: 'erased',
        to: null,
        reason: 'The assignee was erased.',
      });
    }
    const { body: queue } = await world.call(agent, 'GET', '/v1/complaints?unassigned=true&limit=100').expect(200);
    expect(queue.items.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining([assigned, begun]));
    const { erasures: _, ...rest } = (await world.rows())[0] ?? {};
    expect(JSON.stringify(rest)).not.toContain(userId);
  });

  test('waiting deliveries lose the person, and are still sent', async () => {
    const { userId } = people.secondAgent;
    // No courier runs here, so they wait.
    const hook = { url: 'https://hooks.example/', events: ['complaint.assigned', 'complaint.moved'] };
    const webhook = (await world.call(admin, 'POST', '/v1/webhooks', { body: hook }).expect(201)).body.id;
    const id = await fileComplaint();
    const post = (path: string, body: object) =>
      world.call(people.secondAgent, 'POST', `/v1/complaints/${id}/${path}`, { body }).expect(200);
    await post('assign', { assignee_id: userId });
    await post('transition', { to: 'rejected', reason: 'Not ours' });
    await erase(userId);
    const { body } = await world.call(admin, 'GET', `/v1/webhooks/${webhook}/deliveries`).expect(200);
    const waiting = body.items.map(({ state, payload }: { state: string; payload: string }) => {
      const { actor_id, detail } = JSON.parse(payload);
      return [state, actor_id, detail];
    });
    expect(waiting).toEqual([
      ['waiting', 'erased', { from: 'assigned', to: 'rejected' }],
      ['waiting', 'erased', { from: null, to: 'erased' }],
    ]);
    expect((await erasures())[0].finished_at).not.toBeNull();
    await world.call(admin, 'DELETE', `/v1/webhooks/${webhook}`).expect(204);
  });

  test('an agent is erased from the history, both as assignee and as assigner', async () => {
    const id = await fileComplaint();
    await world.call(agent, 'POST', `/v1/complaints/${id}/assign`, { body: { assignee_id: agent.userId } }).expect(200);
    await reject(id);
    await erase(agent.userId);
    const { erasures: _, ...rest } = (await world.rows())[0] ?? {};
    expect(JSON.stringify(rest)).not.toContain(agent.userId);
    expect((await of(id)).history?.map(({ action, detail }) => [action, detail])).toContainEqual([
      'assigned',
      expect.objectContaining({ from: null, to: 'erased' }),
    ]);
  });

  test('only admins of the tenant can erase people, and see what was erased', async () => {
    for (const who of [complainant, agent]) {
      await world.call(who, 'GET', '/v1/complaints/retention').expect(403);
      await world
        .call(who, 'PUT', '/v1/complaints/retention', { body: { closed_days: 1, action: 'delete', texts: 'keep' } })
        .expect(403);
      await world.call(who, 'GET', `/v1/complaints/erasures/preview?user_id=${admin.userId}`).expect(403);
      await schedule(admin.userId, fresh(), who).expect(403);
    }
    expect(await erasures(stranger)).toEqual([]);
    await world
      .call(admin, 'PUT', '/v1/complaints/retention', {
        body: { closed_days: 0, action: 'delete', texts: 'keep' },
        context: fresh(),
      })
      .expect(422);
    expect((await world.call(stranger, 'GET', '/v1/complaints/retention').expect(200)).body).toEqual({
      closed_days: null,
      action: 'anonymise',
      texts: 'remove',
    });
  });

  test('an error halfway removes nothing', async () => {
    const id = await fileComplaint();
    const before = await everything();
    const failing = inErasing(world.db, complainant.tenantId, async (trx) => {
      await trx.deleteFrom('comments').where('complaint_id', '=', id).execute();
      throw new Error('in the middle');
    });
    await expect(failing).rejects.toThrow('in the middle');
    expect(await everything()).toBe(before);
  });
});
