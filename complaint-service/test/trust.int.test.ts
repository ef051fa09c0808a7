import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { asUser } from './gateway.ts';
import { complaintsWorld, people } from './world.ts';

const { agent, admin, stranger } = people;
type World = Awaited<ReturnType<typeof complaintsWorld>>;
const get = { method: 'GET', target: '/v1/complaints', facts: asUser(agent) };
const body = '{"title":"Mallory","description":"was here","category":"x"}';
const post = { ...get, method: 'POST', body, contentType: 'application/json' };
const json = { 'content-type': 'application/json' };

describe.each(databases())('trust in the gateway alone, on %s', (_kind, database) => {
  let world: World;
  beforeAll(async () => {
    world = await complaintsWorld(database);
  });
  afterAll(() => world.close());

  test.each<[string, (world: World) => ReturnType<World['send']>]>([
    ['no signature', ({ send }) => send('GET', '/v1/complaints', {})],
    ['no signature on a path that is not there', ({ send }) => send('GET', '/nothing', {})],
    ['no signature and a body', ({ send }) => send('POST', '/v1/complaints', json, body)],
    [
      'identity headers that nobody signed',
      ({ send }) =>
        send('GET', '/v1/complaints', {
          'x-identity': 'user',
          'x-user-id': admin.userId,
          'x-user-role': 'admin',
          'x-tenant-id': admin.tenantId,
        }),
    ],
    [
      'what was signed for another service',
      ({ send, sign }) => send('GET', '/v1/complaints', sign({ ...get, audience: 'users-service' })),
    ],
    [
      'another path',
      ({ send, sign }) =>
        send('GET', '/v1/complaints/0197c2a0-0000-7000-8000-000000000000', sign({ ...get, facts: asUser(admin) })),
    ],
    ['another query', ({ send, sign }) => send('GET', '/v1/complaints?x=1', sign(get))],
    ['another method', ({ send, sign }) => send('GET', '/v1/complaints', sign({ ...get, method: 'HEAD' }))],
    [
      'another body',
      ({ send, sign }) => send('POST', '/v1/complaints', { ...sign(post), ...json }, body.replace('Mallory', 'Trudy')),
    ],
    [
      'a body after a bodiless signature',
      ({ send, sign }) => send('POST', '/v1/complaints', { ...sign(get), ...json }, body),
    ],
    ['another user', ({ send, sign }) => send('GET', '/v1/complaints', { ...sign(get), 'x-user-id': admin.userId })],
    ['another role', ({ send, sign }) => send('GET', '/v1/complaints', { ...sign(get), 'x-user-role': 'admin' })],
    [
      'another tenant',
      ({ send, sign }) => send('GET', '/v1/complaints', { ...sign(get), 'x-tenant-id': stranger.tenantId }),
    ],
    [
      'an identity header more',
      ({ send, sign }) => send('GET', '/v1/complaints', { ...sign(get), 'x-service-id': 'users-service' }),
    ],
    [
      'a signature that has expired',
      ({ send, sign, clock }) =>
        send('GET', '/v1/complaints', sign({ ...get, createdSec: Math.floor(clock.nowMs() / 1000) - 36 })),
    ],
  ])('refuses %s, and no row is read', async (_what, attack) => {
    const before = world.transactions();
    const { status, headers, body: problem } = await attack(world);
    expect(status).toBe(401);
    expect(headers['x-identity-refused']).toMatch(/^[a-z_]+$/);
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(problem).toMatchObject({ status: 401, request_id: headers['x-request-id'] });
    expect(world.transactions()).toBe(before);
  });

  test('refuses a signed request that comes twice', async () => {
    const headers = world.sign(get);
    await world.send('GET', '/v1/complaints', headers).expect(200);
    const before = world.transactions();
    const again = await world.send('GET', '/v1/complaints', headers).expect(401);
    expect(again.headers['x-identity-refused']).toBe('replayed');
    expect(world.transactions()).toBe(before);
  });

  test.each(['anonymous', 'gateway'] as const)('gives the identity %s nothing', async (kind) => {
    const before = world.transactions();
    const { body: problem } = await world
      .send('GET', '/v1/complaints', world.sign({ ...get, facts: { kind } }))
      .expect(403);
    expect(problem.code).toBe('identity_not_allowed');
    expect(world.transactions()).toBe(before);
  });

  test('answers health without a signature', async () => {
    await world.send('GET', '/healthz', {}).expect(200);
    await world.send('GET', '/readyz', {}).expect(200);
    await world.send('GET', '/metrics', {}).expect(200);
  });

  test('writes one line a request, with who it was and nothing secret', async () => {
    const from = world.log.lines().length;
    const headers = world.sign({ ...get, target: '/v1/complaints?q=%0d%0aforged' });
    await world.send('GET', '/v1/complaints?q=%0d%0aforged', headers).expect(200);
    await world.send('GET', '/v1/complaints', {}).expect(401);
    const lines = world.log.lines().slice(from);
    expect(lines).toMatchObject([
      {
        msg: 'request',
        request_id: headers['x-request-id'],
        method: 'GET',
        path: '/v1/complaints',
        status: 200,
        tenant_id: agent.tenantId,
        user_id: agent.userId,
      },
      { msg: 'request', status: 401 },
    ]);
    const text = world.log.text();
    const signature = headers.signature?.split(':')[1] ?? '';
    expect(signature).toHaveLength(88);
    expect(text).not.toContain(signature);
    expect(text).not.toContain('forged');
  });
});
