import { get } from 'node:http';
import { createHealth, createServiceServer, listen } from '@countersign/process-kit';
import { requireOwnHost } from '@countersign/service-kit';
import { capturingLogger, rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { createAdminApp, stateRoutes } from '../src/admin/admin-app.ts';
import { apiAndPages } from '../src/admin/console.ts';
import { stateOfAny, workersData } from '../src/workers/worker-channel.ts';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';

const allowedHosts = ['gateway.internal', 'localhost:9999', '192.0.2.7:80'];

/** Sends a request with exactly this Host; `PORT` stands for the listener's port. */
async function ask(port: number, host: string, path = '/healthz') {
  const bytes = `GET ${path} HTTP/1.1\r\nHost: ${host.replace('PORT', String(port))}\r\nConnection: close\r\n\r\n`;
  return parseAnswer(await rawRequest(port, bytes));
}

const good = [
  ...['localhost:PORT', 'LOCALHOST:PORT', '127.0.0.1:PORT', '[::1]:PORT'],
  ...['gateway.internal', 'gateway.internal:PORT', 'Gateway.Internal:1', 'localhost:9999', '192.0.2.7:80'],
];
const bad = [
  ...['evil.test', 'evil.test:PORT', 'localhost', 'localhost:1', '127.0.0.1', '127.0.0.1:9999', '[::1]'],
  ...[
    'localhost.evil.test:PORT',
    'evil.test:PORT:PORT',
    'localhost:PORT.evil.test',
    'a@localhost:PORT',
    'localhost :PORT',
  ],
  ...['192.0.2.1:PORT', '192.0.2.7', '192.0.2.7:PORT', '[::ffff:127.0.0.1]:PORT', '0.0.0.0:PORT', '2130706433:PORT'],
  ...['x.gateway.internal', 'gateway.internal.', 'gateway.internal,localhost:PORT', '[localhost]:PORT ]', ''],
];

describe('the admin listener, against DNS rebinding', () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    const admin = `admin: { allowedHosts: ${JSON.stringify(allowedHosts)} }`;
    gateway = await gatewayUnderTest({ edits: [['trustedProxies: []', `trustedProxies: []\n${admin}`]] });
  });
  afterAll(() => gateway.close());

  test.each(good)('answers to %j', async (host) => {
    expect((await ask(gateway.running.ports.admin, host)).status).toBe(200);
  });

  test.each(bad)('does not answer to %j', async (host) => {
    expect(await ask(gateway.running.ports.admin, host)).toMatchObject({ status: 421, code: 'misdirected_request' });
  });

  test.each(['/healthz', '/readyz', '/metrics', '/config', '/routes', '/upstreams', '/.well-known/jwks.json', '/x'])(
    'does not serve %s under another name',
    async (path) => {
      const { status, body } = await ask(gateway.running.ports.admin, 'evil.test', path);
      expect([status, JSON.parse(body).code]).toEqual([421, 'misdirected_request']);
    },
  );

  test.each(['http://[/', 'http://evil.test/', '*'])(
    'checks the Host before it refuses the target %s, which is not a path',
    async (target) => {
      const foreign = await ask(gateway.running.ports.admin, 'evil.test', target);
      expect([foreign.status, foreign.code]).toEqual([421, 'misdirected_request']);
      const own = await ask(gateway.running.ports.admin, 'localhost:PORT', target);
      expect([own.status, own.code]).toEqual([400, 'invalid_target']);
      expect(own.headers['content-security-policy']).toContain("default-src 'none'");
    },
  );

  test('answers an HTTP/1.0 probe without Host', async () => {
    const answer = parseAnswer(await rawRequest(gateway.running.ports.admin, 'GET /healthz HTTP/1.0\r\n\r\n'));
    expect(answer.status).toBe(200);
  });

  test('refuses a reload that changes it', async () => {
    await expect(gateway.reload()).rejects.toThrow(/: admin: cannot change while the gateway runs/);
  });
});

test('a listener on all addresses answers to the address of the connection', async () => {
  const gateway = await gatewayUnderTest({ edits: [['admin: "127.0.0.1:0"', 'admin: "0.0.0.0:0"']] });
  const { admin: port } = gateway.running.ports;
  const statusAt = (address: string, host: string) =>
    new Promise((resolve, reject) => {
      get({ host: address, port, path: '/healthz', headers: { host: `${host}:${port}` } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).on('error', reject);
    });
  expect(await statusAt('127.0.0.2', '127.0.0.2')).toBe(200);
  expect(await statusAt('127.0.0.2', '127.0.0.3')).toBe(421);
  expect(await statusAt('127.0.0.2', 'evil.test')).toBe(421);
  await gateway.close();
});

test('the admin listener of several workers applies the same rule', async () => {
  const address = { host: '127.0.0.1', port: 0 };
  const server = createServiceServer(
    createAdminApp({
      health: createHealth({}),
      metrics: new Registry(),
      logger: capturingLogger().logger,
      routers: [
        stateRoutes((path) => stateOfAny([], path)),
        ...apiAndPages(
          workersData(() => []),
          Date.now,
        ),
      ],
      requireHost: requireOwnHost(address.host, allowedHosts),
    }),
  );
  const port = await listen(server, address, 'admin listener');
  for (const host of good) expect([host, (await ask(port, host)).status]).toEqual([host, 200]);
  for (const host of bad) expect([host, (await ask(port, host)).status]).toEqual([host, 421]);
  expect((await ask(port, 'evil.test', 'http://[/')).status).toBe(421);
  expect((await ask(port, 'localhost:PORT', 'http://[/')).status).toBe(400);
  // No worker is serving, and a console page says so.
  const answer = await ask(port, 'localhost:PORT', '/console/requests');
  expect([answer.status, answer.headers['content-type']]).toEqual([503, 'text/html; charset=utf-8']);
  expect(answer.body).toContain('No worker answers.');
  await new Promise((resolve) => server.close(resolve));
});
