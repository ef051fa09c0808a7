import { databases, people } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { usersWorld } from './world.ts';

const { complainant, agent, admin, stranger } = people;
let fresh = 0;
/** Returns a user without a row in any tenant. */
const newcomer = (tenantId = agent.tenantId, role = 'agent') => {
  fresh += 1;
  return { tenantId, role, userId: `newcomer-${fresh}` };
};

describe.each(databases())('a profile on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof usersWorld>>;
  beforeAll(async () => {
    world = await usersWorld(database);
  });
  afterAll(() => world.close());
  const me = (who = agent) => world.call(who, 'GET', '/v1/users/me').expect(200);
  const patch = (who: typeof agent, body: unknown, headers = {}) =>
    world.call(who, 'PATCH', '/v1/users/me', { body, headers });

  test('exists for each seeded member', async () => {
    const { body, headers } = await me();
    expect(body).toEqual({
      id: agent.userId,
      tenant_id: agent.tenantId,
      email: 'agent@acme.test',
      role: 'agent',
      status: 'active',
      display_name: 'Agent Smith',
      phone: null,
      locale: null,
      time_zone: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
    expect(headers.etag).toMatch(/^"[0-9a-f-]{36}"$/);
    expect(headers['cache-control']).toBe('private, no-cache');
  });

  test('a profile is created once from the identity when a member without one first reads it', async () => {
    const who = newcomer();
    const [one, two] = await Promise.all([me(who), me(who)]);
    expect(one.body).toMatchObject({ id: who.userId, role: 'agent', email: null, display_name: null });
    expect(two.body).toEqual(one.body);
    expect((await me(who)).headers.etag).toBe(one.headers.etag);
  });

  test('a person has a separate profile in each tenant', async () => {
    const here = newcomer();
    const there = { ...here, tenantId: stranger.tenantId };
    await patch(here, { display_name: 'Only here' }).expect(200);
    expect((await me(there)).body.display_name).toBeNull();
  });

  test('a profile has the role from the token', async () => {
    const who = newcomer();
    await me(who);
    expect((await me({ ...who, role: 'admin' })).body.role).toBe('admin');
    const seen = await world.call(admin, 'GET', `/v1/users/${who.userId}`).expect(200);
    expect(seen.body.role).toBe('admin');
  });

  test('a changed profile gets a new entity tag, and a patch with the same values changes nothing', async () => {
    const who = newcomer();
    const before = await me(who);
    const wanted = { display_name: '  Ölav ', phone: '+43 1 234-5', locale: 'de-AT', time_zone: 'Europe/Vienna' };
    const changed = await patch(who, wanted).expect(200);
    expect(changed.body).toMatchObject({ ...wanted, display_name: 'Ölav' });
    expect(changed.headers.etag).not.toBe(before.headers.etag);
    const again = await patch(who, wanted).expect(200);
    expect(again.headers.etag).toBe(changed.headers.etag);
    expect((await patch(who, { phone: null }).expect(200)).body).toMatchObject({ phone: null, locale: 'de-AT' });
  });

  test('a client that has the current version gets 304', async () => {
    const { headers } = await me();
    await world.call(agent, 'GET', '/v1/users/me', { headers: { 'if-none-match': headers.etag ?? '' } }).expect(304);
  });

  test('another person’s entity tag is never accepted', async () => {
    const { headers } = await me(complainant);
    await world.call(agent, 'GET', '/v1/users/me', { headers: { 'if-none-match': headers.etag ?? '' } }).expect(200);
  });

  test('a profile can be changed only when If-Match names its current entity tag', async () => {
    const who = newcomer();
    const seen = (await me(who)).headers.etag ?? '';
    await patch(who, { display_name: 'First' }, { 'if-match': `"other", ${seen}` }).expect(200);
    for (const stale of [seen, '"other"', 'nonsense', '']) {
      const refused = await patch(who, { display_name: 'Second' }, { 'if-match': stale }).expect(412);
      expect(refused.body.code).toBe('precondition_failed');
    }
    const current = (await me(who)).headers.etag ?? '';
    await patch(who, { display_name: 'Third' }, { 'if-match': `W/${current}` }).expect(412);
    expect((await me(who)).body.display_name).toBe('First');
    await patch(who, { display_name: 'Fourth' }, { 'if-match': '*' }).expect(200);
  });

  test.each([
    ['a role', { role: 'admin' }],
    ['a tenant', { tenant_id: stranger.tenantId }],
    ['an id', { id: stranger.userId }],
    ['an email address', { email: 'x@acme.test' }],
    ['a status', { status: 'inactive' }],
    ['an unknown field', { is_admin: true }],
    ['a blank name', { display_name: ' ' }],
    ['null for a name', { display_name: null }],
    ['a long name', { display_name: 'x'.repeat(101) }],
    ['a name with two lines', { display_name: 'a\nb' }],
    ['a name with NUL', { display_name: 'a\0b' }],
    ['a lone surrogate', { display_name: '\ud800' }],
    ['an object for a name', { display_name: { $gt: '' } }],
    ['words as a phone number', { phone: 'call me' }],
    ['an invalid language', { locale: 'not a language' }],
    ['an unknown time zone', { time_zone: 'Mars/Olympus' }],
    ['an array', []],
  ])('refuses %s, and changes nothing', async (_what, body) => {
    const before = await me(complainant);
    const refused = await patch(complainant, body).expect(422);
    expect(refused.body).toMatchObject({ code: 'validation_failed', errors: [expect.anything()] });
    expect((await me(complainant)).headers.etag).toBe(before.headers.etag);
  });

  test('refuses bodies that are not JSON, with the reason', async () => {
    const malformed = await world.call(agent, 'PATCH', '/v1/users/me', { rawBody: '{"display_name":' }).expect(400);
    expect(malformed.body.code).toBe('invalid_request');
    const form = { rawBody: 'display_name=x', contentType: 'application/x-www-form-urlencoded' };
    const other = await world.call(agent, 'PATCH', '/v1/users/me', form).expect(415);
    expect(other.body.code).toBe('unsupported_media_type');
    await world.call(agent, 'PATCH', '/v1/users/me').expect(422);
  });
});
