import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express, { type RequestHandler } from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import * as onExpress from '../src/adapters/express.ts';
import * as onFastify from '../src/adapters/fastify.ts';
import type { Accepted } from '../src/adapters/verified.ts';
import * as onWeb from '../src/adapters/web.ts';
import { createVerifier, type Identity, type IdentityClaims } from '../src/index.ts';
import { testGateway } from '../src/testing.ts';
import { listen } from './wire.ts';

const gateway = testGateway({ audience: 'my-service' });
const verifier = createVerifier({ audience: 'my-service', keys: gateway.keys, replay: gateway.replay });

type Guards<Guard> = Readonly<{
  requireIdentity(...accepted: Accepted): Guard;
  requireScope(...scopes: string[]): Guard;
  requireRole(...roles: string[]): Guard;
}>;

const both = { accept: ['user', 'client'] } as const;
const routes: Readonly<Record<string, <Guard>(guards: Guards<Guard>) => Guard[]>> = {
  '/users': ({ requireIdentity }) => [requireIdentity()],
  '/both': ({ requireIdentity }) => [requireIdentity(both)],
  '/both-listed': ({ requireIdentity }) => [requireIdentity('user', 'client')],
  '/machines': ({ requireIdentity }) => [requireIdentity({ accept: ['client'] })],
  '/services': ({ requireIdentity }) => [requireIdentity('service')],
  '/services-and-machines': ({ requireIdentity }) => [requireIdentity({ accept: ['service', 'client'] })],
  '/orders': ({ requireIdentity, requireScope }) => [requireIdentity(both), requireScope('orders.read')],
  '/change': ({ requireIdentity, requireScope }) => [
    requireIdentity(both),
    requireScope('orders.read', 'orders.write'),
  ],
  '/user-orders': ({ requireScope }) => [requireScope('orders.read')],
  '/staff': ({ requireRole }) => [requireRole('agent')],
  '/staff-and-machines': ({ requireIdentity, requireRole }) => [requireIdentity(both), requireRole('agent')],
};

type Service = Readonly<{
  send(path: string, headers: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}>;

const sendTo = (url: string) => (path: string, headers: Record<string, string>) => fetch(url + path, { headers });

async function expressService(): Promise<Service> {
  const app = express();
  app.use(onExpress.verifyIdentity({ verifier }));
  for (const [path, guards] of Object.entries(routes)) {
    app.get(path, ...guards<RequestHandler>(onExpress), (req, res) => void res.json(req.identity));
  }
  const { port, close } = await listen(app);
  return { send: sendTo(`http://127.0.0.1:${port}`), close };
}

async function fastifyService(): Promise<Service> {
  const app = fastify({ forceCloseConnections: true });
  await app.register(onFastify.verifyIdentity, { verifier });
  for (const [path, guards] of Object.entries(routes)) {
    app.get(path, { preHandler: guards(onFastify) }, async (request) => request.identity);
  }
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { send: sendTo(url), close: () => app.close() };
}

async function honoService(): Promise<Service> {
  const app = new Hono();
  const verify = onWeb.verifyIdentity({ verifier });
  app.use(async (c, next) => {
    c.req.raw = await verify(c.req.raw);
    await next();
  });
  for (const [path, guards] of Object.entries(routes)) {
    app.get(path, (c) => {
      guards<Identity>({
        requireIdentity: (...accepted) => onWeb.requireIdentity(c.req.raw, ...accepted),
        requireScope: (...scopes) => onWeb.requireScope(c.req.raw, ...scopes),
        requireRole: (...roles) => onWeb.requireRole(c.req.raw, ...roles),
      });
      return c.json(onWeb.identityOf(c.req.raw));
    });
  }
  const send: Service['send'] = async (path, headers) => app.request(path, { headers });
  return { send, close: async () => {} };
}

const issuer = 'https://issuer.example';
const read = { scope: ['orders.read'] };
const user: IdentityClaims = { kind: 'user', userId: 'u-1', role: 'agent', tenantId: 'acme' };
const agentFor: IdentityClaims = {
  ...user,
  context: { ...read, client: 'app-1', act: { sub: 'client-9', iss: issuer } },
};
const machine: IdentityClaims = {
  kind: 'client',
  clientId: 'client-7',
  role: 'agent',
  tenantId: 'acme',
  context: read,
};
const plainMachine: IdentityClaims = { kind: 'client', clientId: 'client-7' };
const service: IdentityClaims = { kind: 'service', serviceId: 'billing', context: read };
const serviceForUser: IdentityClaims = { ...service, user: { userId: 'u-1', role: 'agent', tenantId: 'acme' } };
const serviceForClient: IdentityClaims = { ...service, client: { clientId: 'client-7', role: 'agent' } };
const anonymous: IdentityClaims = { kind: 'anonymous', context: read };
const scoped = (...scope: string[]): IdentityClaims => ({ kind: 'client', clientId: 'client-7', context: { scope } });

describe.each([
  ['Express', expressService],
  ['Fastify', fastifyService],
  ['Hono', honoService],
])('on %s', (_name, start) => {
  let running: Service;
  beforeAll(async () => {
    running = await start();
  });
  afterAll(() => running.close());

  const send = (path: string, as: IdentityClaims) =>
    running.send(path, gateway.signedRequest({ path, as, ip: '192.0.2.1' }).headers);

  test.each<[string, string, IdentityClaims, string | undefined]>([
    ['a machine under the default rule', '/users', machine, 'identity_not_allowed'],
    ['a machine that the route allows', '/both', machine, undefined],
    ['a machine that the route allows in a list', '/both-listed', machine, undefined],
    ['a user on a route that also allows machines', '/both', user, undefined],
    ['an anonymous caller on a route for users and machines', '/both', anonymous, 'identity_not_allowed'],
    [
      'a service for an OAuth client on a route for users and machines',
      '/both',
      serviceForClient,
      'identity_not_allowed',
    ],
    ['a user where only machines may call', '/machines', user, 'identity_not_allowed'],
    ['a machine on a route for services only', '/services', machine, 'identity_not_allowed'],
    ['a service', '/services', service, undefined],
    ['a service for a user', '/services', serviceForUser, undefined],
    ['a service for a client where only services may call', '/services', serviceForClient, 'identity_not_allowed'],
    ['a service for a client where both may call', '/services-and-machines', serviceForClient, undefined],
    ['a machine with the scope', '/orders', machine, undefined],
    ['a user with the scope', '/orders', agentFor, undefined],
    ['a machine without scopes', '/orders', plainMachine, 'insufficient_scope'],
    ['a machine with the scope in another case', '/orders', scoped('Orders.Read'), 'insufficient_scope'],
    ['a machine with a longer scope', '/orders', scoped('orders.read.all', 'orders.rea'), 'insufficient_scope'],
    ['a machine with one of two scopes', '/change', machine, 'insufficient_scope'],
    ['a machine with both scopes and more', '/change', scoped('a', 'orders.write', 'orders.read'), undefined],
    ['a user where requireScope stands alone', '/user-orders', agentFor, undefined],
    ['a user without the scope where it stands alone', '/user-orders', user, 'insufficient_scope'],
    ['a service for a user where it stands alone', '/user-orders', serviceForUser, undefined],
    ['a machine with the scope on a route for users', '/user-orders', machine, 'identity_not_allowed'],
    ['a service for itself where it stands alone', '/user-orders', service, 'identity_not_allowed'],
    ['a service for a client where it stands alone', '/user-orders', serviceForClient, 'identity_not_allowed'],
    ['an anonymous caller with a scope', '/user-orders', anonymous, 'identity_not_allowed'],
    ['a machine with the role on a route for users', '/staff', machine, 'insufficient_role'],
    ['a service for a client with the role', '/staff', serviceForClient, 'insufficient_role'],
    ['a machine with the required role', '/staff-and-machines', machine, undefined],
    ['a machine without a role', '/staff-and-machines', plainMachine, 'insufficient_role'],
  ])('%s: %s', async (_what, path, as, code) => {
    const response = await send(path, as);
    expect([response.status, ((await response.json()) as { code?: string }).code]).toEqual(
      code === undefined ? [200, undefined] : [403, code],
    );
  });

  test('a handler sees who calls, with scopes, client and actor', async () => {
    expect(await (await send('/both', machine)).json()).toMatchObject({
      kind: 'client',
      clientId: 'client-7',
      role: 'agent',
      tenantId: 'acme',
      context: { scope: ['orders.read'] },
    });
    expect(await (await send('/both', agentFor)).json()).toMatchObject({
      kind: 'user',
      context: { ...read, client: 'app-1', act: { sub: 'client-9', iss: issuer } },
    });
    expect(await (await send('/services-and-machines', serviceForClient)).json()).toMatchObject({
      kind: 'service',
      serviceId: 'billing',
      client: { clientId: 'client-7', role: 'agent' },
    });
  });

  test('a challenge names the missing scope, in the scheme that the caller used', async () => {
    const bearer = await send('/change', machine);
    expect(bearer.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_scope", scope="orders.read orders.write"',
    );
    const bound = await send('/orders', { ...plainMachine, context: { jkt: 'j'.repeat(43) } });
    expect(bound.headers.get('www-authenticate')).toBe('DPoP error="insufficient_scope", scope="orders.read"');
    expect((await send('/users', machine)).headers.get('www-authenticate')).toBeNull();
  });
});

const request = new Request('http://service.test/');
test.each<[string, Guards<unknown>]>([
  ['Express', onExpress],
  ['Fastify', onFastify],
  [
    'Web',
    {
      requireIdentity: (...accepted) => onWeb.requireIdentity(request, ...accepted),
      requireScope: (...scopes) => onWeb.requireScope(request, ...scopes),
      requireRole: (...roles) => onWeb.requireRole(request, ...roles),
    },
  ],
])('a guard that every request would fail is a RangeError: %s', (_name, { requireIdentity, requireScope }) => {
  expect(() => requireIdentity({ accept: [] })).toThrow(RangeError);
  expect(() => requireScope()).toThrow(RangeError);
  for (const name of ['', 'a b', 'a"b', 'a\\b', 'caf\u00e9', 'a\r\nb', 's'.repeat(129)]) {
    expect(() => requireScope(name)).toThrow(RangeError);
  }
});

test('the type of the identity follows from what a route accepts', () => {
  const clientIdOf = (verified: Request) => {
    const identity = onWeb.requireIdentity(verified, { accept: ['user', 'client'] });
    return identity.kind === 'client' ? identity.clientId : identity.userId;
  };
  expect(() => clientIdOf(request)).toThrow('no verified identity');
});
