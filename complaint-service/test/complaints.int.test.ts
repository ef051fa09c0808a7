import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { complaintsWorld, people } from './world.ts';

const { complainant, neighbour, agent, stranger } = people;
type World = Awaited<ReturnType<typeof complaintsWorld>>;
type Item = { id: string; title: string };
const noise = { title: 'Noise at night', description: 'Every night, from eleven.\nPlease help.', category: 'noise' };

describe.each(databases())('complaints on %s', (_kind, database) => {
  let world: World;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());
  const file = (who = complainant, more: object = {}) =>
    world.call(who, 'POST', '/v1/complaints', { body: { ...noise, ...more } }).expect(201);
  const read = (id: string, who = complainant) => world.call(who, 'GET', `/v1/complaints/${id}`).expect(200);
  const patch = (id: string, body: unknown, who = complainant, headers = {}) =>
    world.call(who, 'PATCH', `/v1/complaints/${id}`, { body, headers });
  const history = async (id: string) => {
    const { body } = await world.call(agent, 'GET', `/v1/complaints/${id}/history`).expect(200);
    return body.items as Record<string, unknown>[];
  };

  test('a complaint can be filed, and is found at its Location', async () => {
    const { body, headers } = await file();
    expect(body).toEqual({
      ...noise,
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      number: expect.stringMatching(/^C-\d{4}-0001$/),
      tenant_id: complainant.tenantId,
      category_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      team_id: null,
      status: 'open',
      priority: 'normal',
      location: null,
      contact_preference: 'email',
      complainant_id: complainant.userId,
      complainant_name: null,
      reporter: null,
      created_by: complainant.userId,
      created_by_name: null,
      assignee_id: null,
      assignee_name: null,
      duplicate_of: null,
      overdue: false,
      service_level: {
        first_answer_due_at: null,
        first_answered_at: null,
        first_answer_overdue: false,
        resolution_due_at: null,
        resolved_at: null,
        resolution_overdue: false,
      },
      allowed: { transitions: [{ to: 'withdrawn', reason_required: true }], edit: true, assign: false },
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      updated_at: body.created_at,
    });
    expect(headers.location).toBe(`/v1/complaints/${body.id}`);
    const found = await read(body.id);
    expect(found.body).toEqual(body);
    expect(found.headers.etag).toBe(headers.etag);
    expect(found.headers['cache-control']).toBe('private, no-cache');
    expect(await history(body.id)).toMatchObject([
      { action: 'filed', actor_id: complainant.userId, actor_role: 'complainant', complaint_id: body.id },
    ]);
  });

  test('a client that has the current version gets 304', async () => {
    const { body, headers } = await file();
    const known = { headers: { 'if-none-match': `"x", W/${headers.etag}` } };
    await world.call(complainant, 'GET', `/v1/complaints/${body.id}`, known).expect(304);
  });

  test.each([
    ['a tenant', { tenant_id: stranger.tenantId }],
    ['a role', { role: 'admin' }],
    ['a status', { status: 'closed' }],
    ['an id', { id: '0197c2a0-0000-7000-8000-000000000000' }],
    ['no title', { title: undefined }],
    ['an empty title', { title: '  ' }],
    ['a long title', { title: 'x'.repeat(201) }],
    ['a title with two lines', { title: 'a\nb' }],
    ['a long description', { description: 'x'.repeat(10_001) }],
    ['NUL', { description: 'a\0b' }],
    ['an escape sequence', { description: '\u001b[2J' }],
    ['a lone surrogate', { description: '\ud800' }],
    ['an object for a category', { category: { $gt: '' } }],
    ['an array for a title', { title: ['a'] }],
  ])('a complaint with %s is refused, and nothing is written', async (_what, wrong) => {
    const before = await world.rows();
    const { body } = await world
      .call(complainant, 'POST', '/v1/complaints', { body: { ...noise, ...wrong } })
      .expect(422);
    expect(body).toMatchObject({ code: 'validation_failed', errors: [expect.anything()] });
    expect(await world.rows()).toEqual(before);
  });

  test('a complaint whose body is not JSON is refused', async () => {
    const raw = (rawBody: string, contentType = 'application/json') =>
      world.call(complainant, 'POST', '/v1/complaints', { rawBody, contentType });
    expect((await raw('{"title":').expect(400)).body.code).toBe('invalid_request');
    expect((await raw('"title"').expect(400)).body.code).toBe('invalid_request');
    expect((await raw('title=x', 'text/plain').expect(415)).body.code).toBe('unsupported_media_type');
    expect((await raw(`{"title":"${'x'.repeat(110_000)}"}`).expect(413)).body.code).toBe('payload_too_large');
    expect((await raw('{"__proto__":{"title":"x"}}').expect(422)).body.code).toBe('validation_failed');
    await world.call(complainant, 'POST', '/v1/complaints').expect(422);
  });

  test('a complaint can be edited, and an edit with the same values changes nothing', async () => {
    const { body, headers } = await file();
    const changed = await patch(body.id, { title: 'Noise by day' }).expect(200);
    expect(changed.body).toMatchObject({ ...noise, title: 'Noise by day', status: 'open' });
    expect(changed.headers.etag).not.toBe(headers.etag);
    const again = await patch(body.id, { title: 'Noise by day' }).expect(200);
    expect(again.headers.etag).toBe(changed.headers.etag);
    expect((await history(body.id)).slice(1)).toMatchObject([
      { action: 'edited', fields: ['title'], changes: { title: { from: noise.title, to: 'Noise by day' } } },
    ]);
    await patch(body.id, { status: 'closed' }).expect(422);
  });

  test('the history keeps every earlier text', async () => {
    const { body } = await file();
    await patch(body.id, { title: 'Thanks', description: 'All is well.' }, agent).expect(200);
    await patch(body.id, { description: 'y'.repeat(10_000), category: 'praise' }, agent).expect(200);
    const { body: seen } = await world.call(complainant, 'GET', `/v1/complaints/${body.id}/history`).expect(200);
    expect(seen.items.slice(1)).toEqual([
      {
        id: expect.any(String),
        complaint_id: body.id,
        actor_id: agent.userId,
        actor_name: null,
        actor_role: 'agent',
        action: 'edited',
        fields: ['title', 'description'],
        changes: {
          title: { from: noise.title, to: 'Thanks' },
          description: { from: noise.description, to: 'All is well.' },
        },
        created_at: expect.any(String),
      },
      expect.objectContaining({
        fields: ['description', 'category'],
        changes: {
          description: { from: 'All is well.', to: 'y'.repeat(10_000) },
          category: { from: 'noise', to: 'praise' },
        },
      }),
    ]);
    await world.call(neighbour, 'GET', `/v1/complaints/${body.id}/history`).expect(404);
  });

  test('a complaint can be changed only when If-Match names its current entity tag', async () => {
    const { body, headers } = await file();
    const seen = headers.etag ?? '';
    await patch(body.id, { title: 'Second' }, agent, { 'if-match': `"x", ${seen}` }).expect(200);
    const refused = await patch(body.id, { title: 'Third' }, agent, { 'if-match': seen }).expect(412);
    const now = await read(body.id);
    expect(refused.body.code).toBe('precondition_failed');
    expect(now.headers.etag).toContain(refused.headers.etag?.slice(0, -1));
    await patch(body.id, { title: 'Third' }, agent, { 'if-match': `W/${now.headers.etag}` }).expect(412);
    expect((await read(body.id)).body.title).toBe('Second');
    await patch(body.id, { title: 'Third' }, agent, { 'if-match': '*' }).expect(200);
  });

  test('one of two concurrent changes with the same If-Match is refused', async () => {
    const { body, headers } = await file();
    const answers = await Promise.all(
      ['A', 'B'].map((title) => patch(body.id, { title }, agent, { 'if-match': headers.etag })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
    expect(await history(body.id)).toHaveLength(2);
  });
});

describe.each(databases())('the list of complaints on %s', (_kind, database) => {
  let world: World;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());
  const file = async (title: string, who = complainant) => {
    const body = { title, description: 'Straßenlärm und Größe', category: 'noise' };
    return (await world.call(who, 'POST', '/v1/complaints', { body }).expect(201)).body.id as string;
  };
  const list = async (query = '', who = agent) => {
    const { body } = await world.call(who, 'GET', `/v1/complaints${query}`).expect(200);
    return body as { items: Item[]; next_cursor: string | null };
  };
  const titles = async (query: string, who = agent) => (await list(query, who)).items.map(({ title }) => title);

  test('shows the tenant’s complaints to agents and their own to complainants, newest first', async () => {
    await file('Lamp broken');
    await file('Door broken', neighbour);
    await file('Elsewhere', stranger);
    expect(await titles('')).toEqual(['Door broken', 'Lamp broken']);
    expect(await titles('', complainant)).toEqual(['Lamp broken']);
    expect(await titles('', neighbour)).toEqual(['Door broken']);
    expect(await titles('', stranger)).toEqual(['Elsewhere']);
    expect(await titles('', people.strangerComplainant)).toEqual([]);
  });

  test('the list can be filtered by status', async () => {
    const id = await file('Moved on');
    await world.call(agent, 'POST', `/v1/complaints/${id}/transition`, { body: { to: 'in_progress' } }).expect(200);
    expect(await titles('?status=in_progress')).toEqual(['Moved on']);
    expect(await titles('?status=open')).not.toContain('Moved on');
    expect(await titles('?status=closed')).toEqual([]);
  });

  test('the list can be searched by word prefixes, all of which must match', async () => {
    await file('Résumé of a lift, lost');
    expect(await titles('?q=lost%20lif')).toEqual(['Résumé of a lift, lost']);
    expect(await titles('?q=LOST')).toEqual(['Résumé of a lift, lost']);
    expect(await titles('?q=lost%20lamp')).toEqual([]);
    expect(await titles('?q=ift')).toEqual([]);
    expect(await titles(`?q=${encodeURIComponent('re\u0301sume\u0301')}`)).toEqual(['Résumé of a lift, lost']);
    expect(await titles('?q=GROESSE')).toEqual([]);
    expect(await titles('?q=GR%C3%96SSE%20lost')).toEqual(['Résumé of a lift, lost']);
    expect(await titles('?q=%25')).toEqual([]);
    expect(await titles('?q=noise')).toEqual([]);
  });

  test('searches only complaints that the caller can see', async () => {
    await file('Secretword here', neighbour);
    await file('Secretword there', stranger);
    expect(await titles('?q=secretword')).toEqual(['Secretword here']);
    expect(await titles('?q=secretword', complainant)).toEqual([]);
    expect(await titles('?q=secretword', stranger)).toEqual(['Secretword there']);
  });

  test('no longer finds a word that an edit removed', async () => {
    const id = await file('Typpo');
    await world.call(complainant, 'PATCH', `/v1/complaints/${id}`, { body: { title: 'Typo' } }).expect(200);
    expect(await titles('?q=typpo')).toEqual([]);
    expect(await titles('?q=typo')).toEqual(['Typo']);
  });

  test('lists each complaint once across pages, while others are filed', async () => {
    const there = (await list('?limit=100')).items.map(({ id }) => id);
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Awaited<ReturnType<typeof list>> = await list(`?limit=2${cursor && `&cursor=${cursor}`}`);
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next_cursor;
      await file('Filed meanwhile');
    }
    expect(seen).toEqual(there);
  });

  test('the list has a stable order for complaints that were filed in the same millisecond', async () => {
    const only = 'Simultaneous';
    await Promise.all(Array.from({ length: 7 }, () => file(only, neighbour)));
    const one = await list(`?q=${only}&limit=3`);
    const two = await list(`?q=${only}&limit=3&cursor=${one.next_cursor}`);
    const three = await list(`?q=${only}&limit=3&cursor=${two.next_cursor}`);
    expect(three.next_cursor).toBeNull();
    expect(new Set([one, two, three].flatMap(({ items }) => items.map(({ id }) => id))).size).toBe(7);
  });

  test.each([
    ['cursor', '?cursor=nonsense'],
    ['cursor', '?cursor='],
    ['limit', '?limit=0'],
    ['limit', '?limit=101'],
    ['limit', '?limit=ten'],
    ['limit', '?limit=1&limit=2'],
    ['status', '?status=lost'],
    ['status', '?status=open&status=closed'],
    ['q', '?q='],
    ['q', `?q=${'x'.repeat(201)}`],
  ])('reports %s as invalid in %s', async (field, query) => {
    const { body } = await world.call(agent, 'GET', `/v1/complaints${query}`).expect(422);
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ path: field }] });
  });
});
