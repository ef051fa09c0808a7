import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { eventually, redisServers, type UpstreamOptions } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

describe.each(redisServers())('a limit, counted in %s', (_kind, { url }) => {
  let gateway: GatewayUnderTest;
  let seen: number;
  // A new bucket for each run, since Redis keeps the counts of the previous run.
  const names = [
    ['name: limited,', `name: limited-${process.pid}-${Date.now() % 100_000},`],
    ['name: limited-user,', `name: limited-user-${process.pid}-${Date.now() % 100_000},`],
  ] as const;
  const upstream: UpstreamOptions = {
    answer: (_request, res) => void res.writeHead(200, { RateLimit: '"theirs";r=9;t=9', Server: 'inner/1.0' }).end(),
  };
  const start = async (...edits: (readonly [string, string])[]) => {
    const unique = names.map(([from, to]) => [from, `${to.slice(0, -1)}-${Math.floor(performance.now())},`] as const);
    const probe = `probe-${process.pid}-${Math.floor(performance.now())}`;
    const probed = `  - { name: ${probe}, path: /v1/probe, methods: [GET], upstream: things, auth: public, limits: [{ requests: 1, per: 1m, by: route }] }`;
    gateway = await gatewayUnderTest({
      upstream,
      edits: [['  - { name: maybe,', `${probed}\n  - { name: maybe,`], ...unique, ...edits],
      ...(url !== undefined && { redis: url }),
    });
    if (url !== undefined) await foundRedis(url, probe);
    seen = gateway.upstream.requests.length;
  };
  /**
   * Waits until the gateway uses Redis. Earlier requests are counted in the process, so that one more request would
   * pass in a test.
   */
  async function foundRedis(url: string, probe: string): Promise<void> {
    const client = new Redis(url);
    await eventually(async () => {
      await gateway.ask('/v1/probe');
      expect(await client.keys(`countersign:limit:${probe} *`)).not.toEqual([]);
    });
    client.disconnect();
  }
  afterEach(() => gateway.close());

  const get = (lines = '', path = '/v1/limited', method = 'GET') =>
    gateway.raw(`${method} ${path} HTTP/1.1\r\n<host>\r\n${lines}<close>\r\n\r\n`);

  test('refuses requests over the limit, with Retry-After', async () => {
    await start();
    for (let count = 0; count < 3; count += 1) expect((await get()).status).toBe(200);
    const { status, code, headers } = await get();
    expect([status, code]).toEqual([429, 'rate_limited']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(headers['ratelimit-policy']).toBe('"address";q=3;w=60');
    expect(headers.ratelimit).toMatch(/^"address";r=0;t=\d+$/);
    expect(gateway.upstream.requests.length).toBe(seen + 3);
  });

  test('is in the headers of every counted response, instead of the service’s own', async () => {
    await start();
    const seen = [];
    for (let count = 0; count < 4; count += 1) {
      const { headers, text } = await get();
      expect(headers['ratelimit-policy']).toBe('"address";q=3;w=60');
      expect(text.match(/^ratelimit: /gim)).toHaveLength(1);
      expect(headers['retry-after'] === undefined).toBe(count < 3);
      seen.push(/^"address";r=(\d);t=(?:[1-5]?\d|60)$/.exec(headers.ratelimit ?? '')?.[1]);
    }
    expect(seen).toEqual(['2', '1', '0', '0']);
    const { headers } = await gateway.raw('GET /v1/open/1 HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n');
    expect(headers.ratelimit).toBe('"theirs";r=9;t=9');
  });

  test('is one of several: the headers name all limits and show the tightest, and the caller’s own is checked first', async () => {
    await start([
      'limits: [{ requests: 2, per: 1m, by: user }]',
      'limits: [{ requests: 3, per: 1m, by: route }, { requests: 2, per: 1m, by: user }, { requests: 100, per: 1h, by: user }]',
    ]);
    const policies = '"route";q=3;w=60, "user";q=2;w=60, "user-2";q=100;w=3600';
    const token = await gateway.issuer.accessToken({ user_id: 'u-7', sub: 'u-7' });
    const ask = (bearer: string) => get(`Authorization: Bearer ${bearer}\r\n`, '/v1/limited-user');
    const answers = [];
    for (let count = 0; count < 6; count += 1) answers.push(await ask(token));
    const other = await ask(await gateway.issuer.accessToken({ user_id: 'u-8', sub: 'u-8' }));
    for (const { headers } of [...answers, other]) expect(headers['ratelimit-policy']).toBe(policies);
    expect(answers[0]?.headers.ratelimit).toMatch(/^"user";r=1;t=\d+$/);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    // The first caller exceeded its own limit, so the second caller can still use the shared one.
    expect([other.status, other.headers.ratelimit]).toEqual([200, expect.stringMatching(/^"route";r=0;t=\d+$/)]);
  });

  test('does not change with the address headers of a client', async () => {
    await start();
    const statuses = [];
    for (let count = 0; count < 5; count += 1) {
      const lines = `X-Forwarded-For: 192.0.2.${count}\r\nX-Real-IP: 192.0.2.${count}\r\nForwarded: for=192.0.2.${count}\r\nTrue-Client-IP: 192.0.2.${count}\r\n`;
      statuses.push((await get(lines)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
  });

  test('counts the address that a trusted proxy sends, IPv6 by /64, IPv4 separately', async () => {
    await start(['trustedProxies: []', 'trustedProxies: ["127.0.0.1/32"]']);
    const from = async (address: string) => (await get(`X-Forwarded-For: 8.8.8.8, ${address}\r\n`)).status;
    for (const address of ['2001:db8:1:1::1', '2001:db8:1:1::2', '2001:db8:1:1:ffff::3'])
      expect(await from(address)).toBe(200);
    expect(await from('2001:db8:1:1::4')).toBe(429);
    expect(await from('2001:db8:1:2::1')).toBe(200);
    for (let count = 0; count < 3; count += 1) expect(await from('::ffff:192.0.2.1')).toBe(200);
    expect(await from('192.0.2.1')).toBe(429);
    expect(await from('::ffff:192.0.2.2')).toBe(200);
  });

  test('is shared by all methods and queries of a path, and other spellings are refused', async () => {
    await start();
    const statuses = [
      (await get('', '/v1/limited?a=1')).status,
      (await get('', '/v1/limited', 'POST')).status,
      (await get('', '/v1/limited', 'HEAD')).status,
      (await get('', '/v1/limited?b=2')).status,
      (await get('', '/v1/limited/')).status,
      (await get('', '/v1/LIMITED')).status,
      (await get('', '//v1/limited')).status,
    ];
    expect(statuses).toEqual([200, 200, 200, 429, 400, 400, 400]);
  });

  test('counts by user, and a refused caller uses nothing up', async () => {
    await start();
    const [mine, other] = await Promise.all([
      gateway.issuer.accessToken({ user_id: 'u-1', sub: 'u-1' }),
      gateway.issuer.accessToken({ user_id: 'u-2', sub: 'u-2' }),
    ]);
    const again = await gateway.issuer.accessToken({ user_id: 'u-1', sub: 'u-1' });
    for (let count = 0; count < 5; count += 1) expect((await get('', '/v1/limited-user')).status).toBe(401);
    const statuses = [];
    for (const token of [mine, again, mine, other])
      statuses.push((await gateway.ask('/v1/limited-user', { token })).status);
    expect(statuses).toEqual([200, 200, 429, 200]);
  });

  test('is exact for 50 concurrent requests', async () => {
    await start();
    const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.ask('/v1/limited')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(gateway.upstream.requests.length).toBe(seen + 3);
  });
});

describe('a limit while Redis is down', () => {
  test('is counted locally, without delay', async () => {
    const gateway = await gatewayUnderTest({ redis: 'redis://127.0.0.1:1' });
    const statuses = [];
    const startedAt = performance.now();
    for (let count = 0; count < 5; count += 1) statuses.push((await gateway.ask('/v1/limited')).status);
    // If the gateway waited for a connection, each request would take seconds.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    await gateway.close();
  });

  test('is counted locally, in time, while Redis accepts connections and does not answer', async () => {
    const sockets = new Set<Socket>();
    let unanswered = 0;
    // Greets a client like Redis, then sends nothing.
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk) => {
        for (const [, command] of chunk.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
          if (command?.toLowerCase() === 'info') socket.write('$9\r\nloading:0\r\n');
          else if (command?.toLowerCase() === 'client') socket.write('+OK\r\n');
          else if (command?.toLowerCase() === 'hello') socket.write('%1\r\n$5\r\nproto\r\n:3\r\n');
          else unanswered += 1;
        }
      });
    }).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    const gateway = await gatewayUnderTest({ redis: `redis://127.0.0.1:${port}` });
    const token = await gateway.issuer.accessToken();
    // The gateway counts in the process until it has found Redis.
    await eventually(async () => {
      await gateway.ask('/v1/limited-user', { token });
      expect(unanswered).toBeGreaterThan(0);
    });
    const statuses: number[] = [];
    const ask = async () => {
      const startedAt = performance.now();
      statuses.push((await gateway.ask('/v1/limited')).status);
      // The promise is 300 ms; the rest is a margin for slow machines. Without a timeout it would be 5 s or more.
      expect(performance.now() - startedAt).toBeLessThan(2_500);
    };
    for (let count = 0; count < 4; count += 1) await ask();
    expect(statuses).toEqual([200, 200, 200, 429]);
    // One request a second tries Redis again, so that no commands pile up and count later.
    const asked = unanswered;
    await eventually(async () => {
      await Promise.all(Array.from({ length: 20 }, ask));
      expect(unanswered).toBeGreaterThan(asked);
    });
    expect(unanswered).toBeLessThan(asked + 5);
    await gateway.close();
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
});
