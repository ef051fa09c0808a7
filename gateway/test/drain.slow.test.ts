import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { eventually, type RecordedRequest } from '@countersign/testing';
import { afterEach, expect, test } from '@jest/globals';
import { type GatewayProcess, gatewayProcess, loadOn } from './gateway-process.ts';
import { newConnectionsTo } from './new-connections.ts';

/** A service that answers slowly, streams events, or never answers. */
function answer({ target }: RecordedRequest, res: ServerResponse): void {
  if (target.endsWith('/events')) res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  else if (!target.endsWith('/never')) setTimeout(() => res.end('{}'), 20);
}

function upgrade(request: RecordedRequest, socket: Duplex): void {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
}

let place: GatewayProcess;
afterEach(() => place.close());

const run = (env: Readonly<Record<string, string>>) => gatewayProcess({ upstream: { answer, upgrade }, env });
const bearer = async () => ({ authorization: `Bearer ${await place.issuer.accessToken()}` });
const isReady = async () => (await fetch(`${place.adminUrl}/readyz`)).status === 200;

test('SIGTERM at 500 requests a second: readiness fails first, no request fails, and open connections are notified', async () => {
  // Longer than the load lasts after the signal, even on a busy machine: later connections are refused.
  place = await run({ DRAIN_DELAY_MS: '6000' });
  const gateway = await place.start();
  const token = await place.issuer.accessToken();

  const events = httpRequest(`${place.url}/v1/things/events`, { headers: await bearer() }).end();
  const [stream] = (await once(events, 'response')) as [IncomingMessage];
  const streamed = stream.toArray();
  const upgraded = httpRequest(`${place.url}/v1/socket`, {
    headers: {
      ...(await bearer()),
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  }).end();
  const [, socket] = (await once(upgraded, 'upgrade')) as [IncomingMessage, Duplex];
  const received = socket.toArray();

  const load = loadOn(place.url, { path: '/v1/things/1', perSecond: 500, token });
  await eventually(() => expect(load.outcomes['200']).toBeGreaterThan(500));
  expect(load.lastOnes).toBe(0);
  const ended = gateway.stop();
  await eventually(async () => expect(await isReady()).toBe(false));
  // Each connection ends with `Connection: close`, its client reconnects, and is still served.
  await eventually(() => expect(load.lastOnes).toBeGreaterThan(50));
  await load.stop();
  expect(Object.keys(load.outcomes)).toEqual(['200']);
  expect(await ended).toBe(0);
  // The stream ended cleanly. The WebSocket ended with the close frame 1001 (going away).
  expect(Buffer.concat(await streamed).toString()).toBe('data: 1\n\n');
  socket.end();
  expect(Buffer.concat(await received).toString('hex')).toBe('880203e9');
});

test.each([
  ['one process', []],
  ['two workers', ['--workers', '2']],
])(
  'SIGTERM while clients connect: a client goes unanswered at most once, when the listener closes, with %s',
  async (_name, args) => {
    place = await run({ SHUTDOWN_GRACE_MS: '20000' });
    const gateway = await place.start(...args);
    const count = 50;
    const clients = newConnectionsTo(Number(new URL(place.url).port), '/v1/open/1', count);
    await eventually(() => expect(clients.outcomes['200']).toBeGreaterThan(250), 20_000);
    expect(await gateway.stop()).toBe(0);
    await clients.refused;
    // A connection that the closed listener still held is reset, or ended if its request had not arrived yet.
    const { 200: _answered, ECONNREFUSED: refused, ECONNRESET: reset = 0, ended = 0, ...others } = clients.outcomes;
    expect([refused, others]).toEqual([count, {}]);
    expect(reset + ended).toBeLessThanOrEqual(count);
  },
);

test('SIGTERM during a reload does not wait for the reload', async () => {
  place = await run({ DRAIN_DELAY_MS: '0' });
  const gateway = await place.start();
  const unreachable =
    '  - { issuer: "https://late.test", audience: a, jwks: "http://127.0.0.1:9/jwks.json", algorithms: [ES256], tenants: [t], roles: [r] }\n';
  place.write(
    place.yaml
      .replace('algorithms: [ES256]\n', 'algorithms: [ES256]\n    tenants: [x]\n    roles: [agent]\n')
      .replace('identity:', `${unreachable}identity:`),
  );
  process.kill(gateway.pid, 'SIGHUP');
  // The reload waits up to 10 s for the keys of the new issuer.
  await gateway.waitFor(/issuer keys cannot be fetched/);
  const signalledAt = performance.now();
  expect(await gateway.stop()).toBe(0);
  expect(performance.now() - signalledAt).toBeLessThan(8_000);
  expect(gateway.output()).not.toContain('configuration reloaded');
});

test.each([
  ['one process', []],
  ['two workers', ['--workers', '2']],
])('SIGTERM while the file is being read logs no error, with %s', async (_name, args) => {
  place = await run({ DRAIN_DELAY_MS: '200' });
  const gateway = await place.start(...args);
  // Reading it takes seconds.
  const routes = Array.from(
    { length: 5_000 },
    (_, at) => `  - { name: r${at}, path: "/r${at}", methods: [GET], upstream: things, auth: public }\n`,
  );
  place.write(place.yaml + routes.join(''));
  process.kill(gateway.pid, 'SIGHUP');
  expect(await gateway.stop()).toBe(0);
  expect(gateway.output()).not.toMatch(/"level":(?:50|"error")|configuration re/);
});

test('a second SIGTERM, two seconds after the first, does not wait for requests in progress', async () => {
  place = await run({ DRAIN_DELAY_MS: '0', SHUTDOWN_GRACE_MS: '600000' });
  const gateway = await place.start();
  const hanging = httpRequest(`${place.url}/v1/things/never`, { headers: await bearer() }).end();
  hanging.on('error', () => {});
  await eventually(() => expect(place.upstream.underWay()).toBe(1));
  let code: number | string | undefined;
  void gateway.stop().then((ended) => {
    code = ended;
  });
  await gateway.waitFor(/draining/);
  await eventually(() => {
    if (code === undefined) process.kill(gateway.pid, 'SIGTERM');
    expect(code).toBe(1);
  });
});
