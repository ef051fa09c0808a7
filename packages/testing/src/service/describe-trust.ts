import type { IdentityClaims } from '@countersign/identity';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Test } from 'supertest';
import { databases, type TestDatabase } from '../databases.ts';
import { asUser, people } from '../people.ts';
import type { ServiceWorld } from './service-world.ts';

type World = Omit<ServiceWorld<unknown>, 'db'>;

export type TrustSubject = Readonly<{
  world: (database: TestDatabase) => Promise<World>;
  /** A path that an agent in acme can read. */
  target: string;
  /** A path that an admin in acme can read. */
  otherTarget: string;
  /** A JSON body that an agent can send to `target`. It must contain `Mallory`. */
  change: Readonly<{ method: string; body: string }>;
  /** The name of a different service. */
  otherService: string;
}>;

const { agent, admin, stranger } = people;
const json = { 'content-type': 'application/json' };

/** Callers that are not users, although they have an admin's role and tenant. */
const oauthClient = { clientId: 'client-7', role: admin.role, tenantId: admin.tenantId };
const otherCallers: readonly IdentityClaims[] = [
  { kind: 'anonymous' },
  { kind: 'gateway' },
  { kind: 'client', ...oauthClient },
  { kind: 'service', serviceId: 'billing', client: oauthClient },
];

/** Tests that a service trusts only the gateway, and reads no rows for unsigned or invalid requests. */
export function describeTrust(claims: TrustSubject): void {
  describe.each(databases())('a service that trusts only the gateway, on %s', (_kind, database) => {
    let world: World;
    beforeAll(async () => {
      world = await claims.world(database);
    });
    afterAll(() => world.close());
    const get = { method: 'GET', target: claims.target, claims: asUser(agent) };

    test.each(attacks(claims))('refuses %s, and reads no row', async (_what, attack) => {
      const before = world.transactions();
      const { status, headers, body: problem } = await attack(world);
      expect(status).toBe(401);
      expect(headers['x-identity-refused']).toMatch(/^[a-z_]+$/);
      expect(headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(problem).toMatchObject({ status: 401, request_id: headers['x-request-id'] });
      expect(world.transactions()).toBe(before);
    });

    test('refuses a signed request that is replayed', async () => {
      const headers = world.sign(get);
      await world.send('GET', claims.target, headers).expect(200);
      const before = world.transactions();
      const again = await world.send('GET', claims.target, headers).expect(401);
      expect(again.headers['x-identity-refused']).toBe('replayed');
      expect(world.transactions()).toBe(before);
    });

    test.each(otherCallers)('gives a caller of kind $kind no access', async (caller) => {
      const before = world.transactions();
      const { body: problem } = await world
        .send('GET', claims.target, world.sign({ ...get, claims: caller }))
        .expect(403);
      expect(problem.code).toBe('identity_not_allowed');
      expect(world.transactions()).toBe(before);
    });

    test('serves health checks without a signature', async () => {
      await world.send('GET', '/healthz', {}).expect(200);
      await world.send('GET', '/readyz', {}).expect(200);
      await world.send('GET', '/metrics', {}).expect(200);
    });

    test('writes one log line for each request, with its user and no secrets', async () => {
      const from = world.log.lines().length;
      const target = `${claims.target}?q=%0d%0aforged`;
      const headers = world.sign({ ...get, target });
      const { status } = await world.send('GET', target, headers);
      await world.send('GET', claims.target, {}).expect(401);
      const lines = world.log.lines().slice(from);
      expect(lines).toMatchObject([
        {
          msg: 'request',
          request_id: headers['x-request-id'],
          method: 'GET',
          path: claims.target,
          status,
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
}

/** Requests that the gateway did not sign in this form, for this service, at this time. */
function attacks({
  target,
  otherTarget,
  change,
  otherService,
}: TrustSubject): [what: string, (world: World) => Test][] {
  const get = { method: 'GET', target, claims: asUser(agent) };
  const { method, body } = change;
  const changed = { ...get, method, body, contentType: 'application/json' };
  const spoofed = {
    'x-identity': 'user',
    'x-user-id': admin.userId,
    'x-user-role': 'admin',
    'x-tenant-id': admin.tenantId,
  };
  /** A valid signature, with one header replaced. */
  const withHeader =
    (header: Record<string, string>) =>
    ({ send, sign }: World) =>
      send('GET', target, { ...sign(get), ...header });
  return [
    ['a missing signature', ({ send }) => send('GET', target, {})],
    ['a missing signature on an unknown path', ({ send }) => send('GET', '/nothing', {})],
    ['a missing signature with a body', ({ send }) => send(method, target, json, body)],
    ['identity headers without a signature', ({ send }) => send('GET', target, spoofed)],
    [
      'a signature for another service',
      ({ send, sign }) => send('GET', target, sign({ ...get, audience: otherService })),
    ],
    ['another path', ({ send, sign }) => send('GET', otherTarget, sign({ ...get, claims: asUser(admin) }))],
    ['another query', ({ send, sign }) => send('GET', `${target}?x=1`, sign(get))],
    ['another method', ({ send, sign }) => send('GET', target, sign({ ...get, method: 'HEAD' }))],
    [
      'another body',
      ({ send, sign }) => send(method, target, { ...sign(changed), ...json }, body.replace('Mallory', 'Trudy')),
    ],
    ['a body after a bodiless signature', ({ send, sign }) => send(method, target, { ...sign(get), ...json }, body)],
    ['another user', withHeader({ 'x-user-id': admin.userId })],
    ['another role', withHeader({ 'x-user-role': 'admin' })],
    ['another tenant', withHeader({ 'x-tenant-id': stranger.tenantId })],
    ['an additional identity header', withHeader({ 'x-service-id': otherService })],
    [
      'an expired signature',
      ({ send, sign, clock }) =>
        send('GET', target, sign({ ...get, createdSec: Math.floor(clock.nowMs() / 1000) - 36 })),
    ],
  ];
}
