import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { eventually, freePorts, type RecordingUpstream, recordingUpstream } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { maxConnectionsPerTarget, maxStreamsPerTarget, maxUnansweredPerTarget } from '../src/upstreams/pool/target.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';
import { headerIn, type RawService, rawService, thingsAt } from './kit/raw-service.ts';

const nonceOf = (signatureInput: string | undefined): string | undefined =>
  /;nonce="([^"]+)"/.exec(signatureInput ?? '')?.[1];

const ask = (gateway: GatewayUnderTest, token: string, method = 'GET', body = '', path = '/v1/things/1') =>
  gateway.raw(
    `${method} ${path} HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${body.length}\r\n<close>\r\n\r\n${body}`,
  );

describe('an upstream with several targets', () => {
  let services: RecordingUpstream[];
  beforeAll(async () => {
    services = [await recordingUpstream(), await recordingUpstream()];
  });
  afterAll(async () => {
    for (const service of services) await service.close();
  });

  test('sends requests to each in turn', async () => {
    const gateway = await gatewayUnderTest({ edits: [thingsAt(services.map(({ url }) => url))] });
    const token = await gateway.issuer.accessToken();
    for (let count = 0; count < 10; count += 1) expect((await ask(gateway, token)).status).toBe(200);
    expect(services.map(({ requests }) => requests.length)).toEqual([5, 5]);
    await gateway.close();
  });

  test('loses no request when one target is down, and stops using that target', async () => {
    const [service] = services as [RecordingUpstream];
    const [port] = await freePorts(1);
    const gateway = await gatewayUnderTest({
      edits: [thingsAt([`http://127.0.0.1:${port}`, service.url], 'retry: { attempts: 1 }')],
    });
    const token = await gateway.issuer.accessToken();
    const before = service.requests.length;
    for (const method of ['GET', 'POST', 'PUT', 'GET', 'POST', 'PUT', 'DELETE', 'GET']) {
      expect((await ask(gateway, token, method, method === 'POST' ? '{}' : '')).status).toBe(200);
    }
    expect(service.requests.length).toBe(before + 8);
    const lines = gateway.log.lines();
    expect(lines.filter(({ msg }) => String(msg).startsWith('ejecting a target'))).toHaveLength(1);
    // Three requests were retried elsewhere before the target was ejected.
    const again = lines.filter(({ attempts }) => attempts === 2);
    expect(again).toHaveLength(3);
    expect(again[0]).toMatchObject({ target: service.url, retried_after: 'upstream_unreachable', status: 200 });
    await gateway.close();
  });
});

describe('a service that closes the connection without an answer', () => {
  let broken: RawService;
  let good: RecordingUpstream;
  let gateway: GatewayUnderTest;
  let token: string;
  let asked: number;
  beforeAll(async () => {
    broken = await rawService();
    good = await recordingUpstream();
    gateway = await gatewayUnderTest({ edits: [thingsAt([broken.url, good.url], 'retry: { attempts: 1 }')] });
    token = await gateway.issuer.accessToken();
  });
  afterAll(async () => {
    await gateway.close();
    await broken.close();
    await good.close();
  });

  /** Sends requests until the broken target gets one. */
  async function askBroken(method: string, body = '', path?: string) {
    for (;;) {
      asked = good.requests.length;
      const before = broken.heads.length;
      const answer = await ask(gateway, token, method, body, path);
      if (broken.heads.length > before) return answer;
    }
  }

  test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])(
    'makes the gateway retry %s at another target',
    async (method) => {
      const { status, headers } = await askBroken(method, method === 'PUT' ? '{"a":1}' : '');
      expect([status, good.requests.length]).toEqual([200, asked + 1]);
      const [first, second] = [broken.heads.at(-1) ?? '', good.last()];
      expect(second.method).toBe(method);
      expect(second.headers['x-request-id']).toBe(headerIn(first, 'x-request-id'));
      expect(headers['x-request-id']).toBe(second.headers['x-request-id']);
      const nonces = [nonceOf(headerIn(first, 'signature-input')), nonceOf(second.headers['signature-input'])];
      expect(nonces.every((nonce) => nonce !== undefined && nonce !== '')).toBe(true);
      expect(new Set(nonces).size).toBe(2);
      expect(second.headers['content-digest']).toBe(headerIn(first, 'content-digest'));
    },
  );

  test.each([
    ['POST', '{"a":1}', '/v1/things/1'],
    ['PATCH', '{"a":1}', '/v1/things/1'],
    ['POST', '', '/v1/bare'],
    ['POST', 'streamed', '/v1/upload'],
  ])('causes no retry of %s %p to %s', async (method, body, path) => {
    const { status, code } = await askBroken(method, body, path);
    expect([status, code, good.requests.length]).toEqual([502, 'upstream_broken', asked]);
  });

  test('causes no retry after the session has ended: each attempt checks the token', async () => {
    const mine = await gateway.issuer.accessToken({ sid: 's-retry' });
    broken.answerWith(async (socket) => {
      gateway.issuerServer.revoke(feedItem('session', { sid: 's-retry' }));
      await eventually(async () =>
        expect(await (await gateway.admin('/metrics')).text()).toMatch(/revocations_held\{[^}]*\} 1/),
      );
      socket.destroy();
    });
    const before = broken.heads.length;
    let arrived: number;
    let answer: Awaited<ReturnType<typeof ask>>;
    do {
      arrived = good.requests.length;
      answer = await ask(gateway, mine);
    } while (broken.heads.length === before);
    expect([answer.status, answer.code, good.requests.length]).toEqual([401, 'token_revoked', arrived]);
  });
});

test('retries stay within the initial budget plus a fifth of the requests', async () => {
  const services = [await rawService(), await rawService()];
  const gateway = await gatewayUnderTest({
    edits: [
      thingsAt(
        services.map(({ url }) => url),
        'retry: { attempts: 3 }',
      ),
    ],
  });
  const token = await gateway.issuer.accessToken();
  for (let count = 0; count < 50; count += 1) expect((await ask(gateway, token)).code).toBe('upstream_broken');
  const arrived = services.reduce((sum, { heads }) => sum + heads.length, 0);
  expect(arrived).toBeGreaterThan(50 + 10);
  expect(arrived).toBeLessThanOrEqual(50 + 10 + 10);
  await gateway.close();
  for (const service of services) await service.close();
});

describe('a circuit breaker', () => {
  const breaker = 'breaker: { failureRate: 0.5, minimum: 4, window: 10s, cooldown: 2s }';

  test('stops sending to a service that is down, sends Retry-After, and notices its return', async () => {
    const [port] = await freePorts(1);
    const gateway = await gatewayUnderTest({ edits: [thingsAt([`http://127.0.0.1:${port}`], breaker)] });
    const token = await gateway.issuer.accessToken();
    for (let count = 0; count < 4; count += 1) expect((await ask(gateway, token)).code).toBe('upstream_unreachable');
    let arrived = 0;
    const service = createServer((_request, response) => {
      arrived += 1;
      response.end('ok');
    }).listen(port, '127.0.0.1');
    await once(service, 'listening');
    const refused = await ask(gateway, token);
    expect([refused.status, refused.code, arrived]).toEqual([503, 'upstream_circuit_open', 0]);
    expect(refused.headers['retry-after']).toMatch(/^[12]$/);
    const upgrade = await gateway.raw(
      `GET /v1/socket HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    expect([upgrade.status, upgrade.code, arrived]).toEqual([503, 'upstream_circuit_open', 0]);
    await eventually(async () => expect((await ask(gateway, token)).status).toBe(200));
    for (let count = 0; count < 6; count += 1) expect((await ask(gateway, token)).status).toBe(200);
    expect(arrived).toBe(7);
    await gateway.close();
    service.close();
  });

  test.each<[string, (service: RawService) => void]>([
    [
      'answers 500',
      (service) => service.answerWith((socket) => socket.end('HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n')),
    ],
    ['closes the connection', (service) => service.answerWith((socket) => socket.destroy())],
    ['speaks another protocol', (service) => service.answerWith((socket) => socket.end('SSH-2.0-OpenSSH\r\n'))],
  ])('stays closed for a service that %s, since it is reachable', async (_name, misbehave) => {
    const service = await rawService();
    misbehave(service);
    const gateway = await gatewayUnderTest({ edits: [thingsAt([service.url], breaker)] });
    const token = await gateway.issuer.accessToken();
    for (let count = 0; count < 8; count += 1)
      expect((await ask(gateway, token)).code).not.toBe('upstream_circuit_open');
    expect(service.heads).toHaveLength(8);
    await gateway.close();
    await service.close();
  });

  test('counts timeouts, but not clients that disconnect', async () => {
    const service = await rawService(() => {});
    const gateway = await gatewayUnderTest({
      edits: [
        thingsAt([service.url], breaker.replace('minimum: 4', 'minimum: 2')),
        ['response: 2s', 'response: 500ms'],
      ],
    });
    const token = await gateway.issuer.accessToken();
    for (let count = 1; count <= 6; count += 1) {
      const client = connect(gateway.port, '127.0.0.1');
      client.write('GET /v1/open/1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n');
      await eventually(() => expect(service.heads).toHaveLength(count));
      client.destroy();
    }
    for (let count = 0; count < 2; count += 1) expect((await ask(gateway, token)).code).toBe('upstream_timeout');
    expect((await ask(gateway, token)).code).toBe('upstream_circuit_open');
    expect(service.heads).toHaveLength(8);
    await gateway.close();
    await service.close();
  });
});

const stream = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n';

const half = 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf of it';

/** Opens this many client connections, and settles when the service has received all their requests. */
async function clientsOf(gateway: GatewayUnderTest, service: RawService, count: number) {
  const before = service.heads.length;
  const clients = Array.from({ length: count }, () => {
    const client = connect(gateway.port, '127.0.0.1');
    client.on('error', () => client.destroy()).resume();
    client.write('GET /v1/open/1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n');
    return client;
  });
  await eventually(() => expect(service.heads).toHaveLength(before + count), 30_000);
  return clients;
}

test('sends no more to a service with a thousand unanswered requests, not counting open streams', async () => {
  const service = await rawService((socket) => socket.write(stream));
  const gateway = await gatewayUnderTest({
    edits: [thingsAt([service.url]), ['response: 2s, idle: 2s', 'response: 20s, idle: 20s']],
  });
  const good = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  const streams = await clientsOf(gateway, service, 600);
  service.answerWith(() => {});
  const waiting = await clientsOf(gateway, service, maxUnansweredPerTarget);
  const refused = await gateway.ask('/v1/open/2');
  expect([refused.status, refused.code]).toEqual([503, 'upstream_overloaded']);
  for (const client of waiting) client.destroy();
  service.answerWith((socket) => socket.write(good));
  await eventually(async () => expect((await gateway.ask('/v1/open/3')).status).toBe(200));
  for (const client of streams) client.destroy();
  await gateway.close();
  await service.close();
});

test('sends no more to a service that holds every connection, and refuses queued requests in time', async () => {
  const service = await rawService((socket) => socket.write(half));
  const gateway = await gatewayUnderTest({
    edits: [thingsAt([service.url]), ['connect: 1s, response: 2s, idle: 2s', 'connect: 1s, response: 20s, idle: 20s']],
  });
  const clients = await clientsOf(gateway, service, maxConnectionsPerTarget);
  const [refused, other] = await Promise.all([gateway.ask('/v1/open/2'), gateway.ask('/v1/open/3')]);
  expect([refused.status, refused.code, other.code]).toEqual([503, 'upstream_overloaded', 'upstream_overloaded']);
  // A freed connection goes to a queued request, not to one that was refused.
  service.answerWith((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  clients[0]?.destroy();
  expect((await gateway.ask('/v1/open/4')).status).toBe(200);
  expect(service.heads.slice(maxConnectionsPerTarget).join('\n')).not.toMatch(/open\/[23]/);
  for (const client of clients) client.destroy();
  await gateway.close();
  await service.close();
});

test('event streams get half of the connections to a service; one more is refused, and other requests are served', async () => {
  const service = await rawService((socket) => socket.write(stream));
  const gateway = await gatewayUnderTest({
    edits: [thingsAt([service.url]), ['response: 2s, idle: 2s', 'response: 20s, idle: 20s']],
  });
  const clients = await clientsOf(gateway, service, maxStreamsPerTarget);
  await eventually(async () => {
    const { status, code } = await gateway.ask('/v1/open/2');
    expect([status, code]).toEqual([503, 'upstream_overloaded']);
  });
  service.answerWith((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  expect((await gateway.ask('/v1/open/3')).status).toBe(200);
  for (const client of clients) client.destroy();
  await gateway.close();
  await service.close();
});
