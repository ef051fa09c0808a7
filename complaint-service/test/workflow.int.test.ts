import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsWorld, directoryOf, people } from './world.ts';

const { complainant, neighbour, agent, admin, stranger } = people;

/** The entity tag without the hash of the content. */
const revisionOf = (tag = '') => tag.replace(/\..*$/, '"');

describe.each(databases())('working on a complaint, on %s', (_kind, database) => {
  /** The ids that were looked up. */
  let asked: string[] = [];
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    const directory = directoryOf();
    world = await complaintsWorld(database, {
      ...directory,
      find(caller, userId) {
        asked.push(userId);
        return directory.find(caller, userId);
      },
    });
  });
  afterAll(() => world.close());
  const post = (who: typeof agent, path: string, body: unknown) =>
    world.call(who, 'POST', `/v1/complaints${path}`, { body });
  const file = async (who = complainant) => {
    const { body } = await post(who, '', { title: 'Lamp', description: 'Dark', category: 'light' }).expect(201);
    return body.id as string;
  };
  const move = (id: string, to: string, who = agent, more = {}) =>
    post(who, `/${id}/transition`, { to, ...(to === 'resolved' && { reason: 'Repaired' }), ...more });
  const items = async (id: string, what: 'history' | 'comments', who = agent) => {
    const { body } = await world.call(who, 'GET', `/v1/complaints/${id}/${what}`).expect(200);
    return body.items as Record<string, unknown>[];
  };

  test('moves a complaint to closed, and the history has every step', async () => {
    const id = await file();
    expect((await move(id, 'in_progress').expect(200)).body).toMatchObject({ id, status: 'in_progress' });
    await move(id, 'resolved', admin, { reason: 'New bulb,\nand a fuse' }).expect(200);
    const closed = await move(id, 'closed', complainant).expect(200);
    expect(closed.headers.etag).toMatch(/^".+"$/);
    expect(await items(id, 'history', complainant)).toMatchObject([
      { action: 'filed' },
      { action: 'moved', from: 'open', to: 'in_progress', actor_id: agent.userId, actor_role: 'agent' },
      { action: 'moved', from: 'in_progress', to: 'resolved', reason: 'New bulb,\nand a fuse', actor_id: admin.userId },
      { action: 'moved', from: 'resolved', to: 'closed', actor_id: complainant.userId },
    ]);
    await world.call(agent, 'PATCH', `/v1/complaints/${id}`, { body: { title: 'x' } }).expect(409);
  });

  test.each([
    ['moves', 'transition', { to: 'in_progress' }],
    ['assigns', 'assign', { assignee_id: agent.userId }],
  ])('%s a complaint only in the version that If-Match names', async (_what, path, body) => {
    const id = await file();
    const { etag: seen } = (await world.call(agent, 'GET', `/v1/complaints/${id}`)).headers;
    const { etag: now } = (
      await world.call(complainant, 'PATCH', `/v1/complaints/${id}`, { body: { title: 'It burns' } })
    ).headers;
    const send = (tag = '') =>
      world.call(agent, 'POST', `/v1/complaints/${id}/${path}`, { body, headers: { 'if-match': tag } });
    const refused = await send(seen).expect(412);
    expect([refused.body.code, refused.headers.etag]).toEqual(['precondition_failed', revisionOf(now)]);
    expect(await items(id, 'history')).toHaveLength(2);
    await send(now).expect(200);
  });

  test.each([
    ['to a status that is not next', 'resolved', 409, 'illegal_transition'],
    ['to its current status', 'open', 409, 'illegal_transition'],
    ['directly to its end', 'closed', 409, 'illegal_transition'],
    ['to an unknown status', 'lost', 422, 'validation_failed'],
  ])('refuses to move a complaint %s', async (_what, to, status, code) => {
    const id = await file();
    expect((await move(id, to).expect(status)).body).toMatchObject({ code, errors: [{ path: 'to' }] });
    expect(await items(id, 'history')).toHaveLength(1);
  });

  test('complainants cannot start work, or move another complainant’s complaint', async () => {
    const id = await file();
    expect((await move(id, 'in_progress', complainant).expect(403)).body.code).toBe('insufficient_role');
    await move(id, 'closed', complainant).expect(409);
    await move(id, 'closed', neighbour).expect(404);
  });

  test('one of two concurrent requests for the same step gets 409', async () => {
    const id = await file();
    const answers = await Promise.all([move(id, 'in_progress'), move(id, 'in_progress', admin)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(await items(id, 'history')).toHaveLength(2);
  });

  test('complainants cannot edit a complaint once work has started', async () => {
    const id = await file();
    await move(id, 'in_progress').expect(200);
    const edit = (who: typeof agent) =>
      world.call(who, 'PATCH', `/v1/complaints/${id}`, { body: { category: 'street' } });
    expect((await edit(complainant).expect(409)).body.code).toBe('complaint_locked');
    await edit(agent).expect(200);
  });

  test('assigns a complaint to an agent of the tenant once', async () => {
    const id = await file();
    const give = () => post(admin, `/${id}/assign`, { assignee_id: agent.userId }).expect(200);
    const first = await give();
    expect(first.body).toMatchObject({ id, assignee_id: agent.userId, status: 'assigned' });
    expect((await give()).headers.etag).toBe(first.headers.etag);
    expect((await items(id, 'history')).slice(1)).toMatchObject([
      {
        action: 'assigned',
        from: null,
        to: agent.userId,
        actor_id: admin.userId,
        status: { from: 'open', to: 'assigned' },
      },
    ]);
  });

  test('refuses to assign a complaint to other users, by complainants, or after it is closed', async () => {
    const id = await file();
    const before = (await world.call(agent, 'GET', `/v1/complaints/${id}`)).headers.etag;
    for (const assigneeId of [stranger.userId, complainant.userId, 'unknown']) {
      const { body } = await post(agent, `/${id}/assign`, { assignee_id: assigneeId }).expect(422);
      expect(body.code).toBe('unknown_assignee');
    }
    await post(agent, `/${id}/assign`, { assignee_id: 'a b' }).expect(422);
    await post(agent, `/${id}/assign`, { assignee_id: agent.userId, tenant_id: agent.tenantId }).expect(422);
    asked = [];
    await post(complainant, `/${id}/assign`, { assignee_id: agent.userId }).expect(403);
    await post(stranger, `/${id}/assign`, { assignee_id: stranger.userId }).expect(404);
    expect(asked).toEqual([]);
    expect((await world.call(agent, 'GET', `/v1/complaints/${id}`)).headers.etag).toBe(before);
    for (const to of ['in_progress', 'resolved', 'closed']) await move(id, to).expect(200);
    const late = await post(agent, `/${id}/assign`, { assignee_id: agent.userId }).expect(409);
    expect(late.body.code).toBe('complaint_locked');
  });

  test('accepts comments, and hides internal ones from complainants', async () => {
    const id = await file();
    const open = await post(complainant, `/${id}/comments`, { body: 'Still dark' }).expect(201);
    expect(open.body).toEqual({
      id: expect.any(String),
      complaint_id: id,
      author_id: complainant.userId,
      author_name: null,
      author_role: 'complainant',
      body: 'Still dark',
      internal: false,
      created_at: expect.any(String),
    });
    await post(agent, `/${id}/comments`, { body: 'Same person again', internal: true }).expect(201);
    await post(agent, `/${id}/comments`, { body: 'On our way' }).expect(201);
    const bodies = async (who: typeof agent) => (await items(id, 'comments', who)).map(({ body }) => body);
    expect(await bodies(admin)).toEqual(['Still dark', 'Same person again', 'On our way']);
    expect(await bodies(complainant)).toEqual(['Still dark', 'On our way']);
    const refused = await post(complainant, `/${id}/comments`, { body: 'x', internal: true }).expect(403);
    expect(refused.body.code).toBe('insufficient_role');
    await post(complainant, `/${id}/comments`, { body: 'x', author_id: agent.userId }).expect(422);
    await post(complainant, `/${id}/comments`, { body: '' }).expect(422);
    expect(await bodies(admin)).toHaveLength(3);
  });

  test('pages omit internal comments without a gap', async () => {
    const id = await file();
    for (const [n, internal] of [false, true, true, false, true, false].entries()) {
      await post(agent, `/${id}/comments`, { body: `Comment ${n}`, internal }).expect(201);
    }
    const page = async (query: string) => {
      const { body } = await world.call(complainant, 'GET', `/v1/complaints/${id}/comments${query}`).expect(200);
      return body as { items: { body: string }[]; next_cursor: string | null };
    };
    const first = await page('?limit=2');
    expect(first.items.map(({ body }) => body)).toEqual(['Comment 0', 'Comment 3']);
    const second = await page(`?limit=2&cursor=${first.next_cursor}`);
    expect(second).toMatchObject({ items: [{ body: 'Comment 5' }], next_cursor: null });
    await world.call(agent, 'GET', `/v1/complaints/${id}/history?cursor=x`).expect(422);
  });
});
