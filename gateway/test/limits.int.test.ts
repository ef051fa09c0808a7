import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { eventually, redisServers, type UpstreamOptions } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

describe.each(redisServers())('a limit, counted in %s', (_kind, { url }) => {
  let gateway: GatewayUnderTest;
  let seen: number;
  // A bucket of its own for every run: Redis remembers the one before.
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
  /** What comes before the gateway has found Redis is counted in the process: a test would see one more pass. */
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

  test('refuses what is too much, and says when to come back', async () => {
    await start();
    for (let count = 0; count < 3; count += 1) expect((await get()).status).toBe(200);
    const { status, code, headers } = await get();
    expect([status, code]).toEqual([429, 'rate_limited']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(headers['ratelimit-policy']).toBe('"address";q=3;w=60');
    expect(headers.ratelimit).toMatch(/^"address";r=0;t=\d+$/);
    expect(gateway.upstream.requests.length).toBe(seen + 3);
  });

  test('is told with every answer that was counted, in place of the service’s own word on it', async () => {
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

  test('among several names them all, shows the tightest, and asks the caller’s own first', async () => {
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
    // What the first was refused for itself, the second could still have.
    expect([other.status, other.headers.ratelimit]).toEqual([200, expect.stringMatching(/^"route";r=0;t=\d+$/)]);
  });

  test('is not widened by whatever a client says of its address', async () => {
    await start();
    const statuses = [];
    for (let count = 0; count < 5; count += 1) {
      const lines = `X-Forwarded-For: 192.0.2.${count}\r\nX-Real-IP: 192.0.2.${count}\r\nForwarded: for=192.0.2.${count}\r\nTrue-Client-IP: 192.0.2.${count}\r\n`;
      statuses.push((await get(lines)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
  });

  test('goes by what a trusted proxy says, IPv6 by /64, IPv4 apart', async () => {
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

  test('is one for a path, whatever the method and the query, and other spellings lead nowhere', async () => {
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
    expect(statuses).toEqual([200, 200, 200, 429, 404, 404, 400]);
  });

  test('by user is the user’s, and a refused caller uses up nothing', async () => {
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

  test('is exact under 50 at once', async () => {
    await start();
    const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.ask('/v1/limited')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(gateway.upstream.requests.length).toBe(seen + 3);
  });
});

describe('a limit while Redis is not there', () => {
  test('is local, and answered at once', async () => {
    const gateway = await gatewayUnderTest({ redis: 'redis://127.0.0.1:1' });
    const statuses = [];
    const startedAt = performance.now();
    for (let count = 0; count < 5; count += 1) statuses.push((await gateway.ask('/v1/limited')).status);
    // Waited for, a connection that is not made would take seconds each time.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    await gateway.close();
  });

  test('is local while Redis accepts and says nothing, and answered in time', async () => {
    const sockets = new Set<Socket>();
    let unanswered = 0;
    // Greets a client as Redis does, then nothing more.
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
    // What comes before the gateway has found it is counted in the process.
    await eventually(async () => {
      await gateway.ask('/v1/limited-user', { token });
      expect(unanswered).toBeGreaterThan(0);
    });
    const statuses: number[] = [];
    const ask = async () => {
      const startedAt = performance.now();
      statuses.push((await gateway.ask('/v1/limited')).status);
      // 300 ms is the promise; this machine may have other things to do. Without a bound it would be 5 s and more.
      expect(performance.now() - startedAt).toBeLessThan(2_500);
    };
    for (let count = 0; count < 4; count += 1) await ask();
    expect(statuses).toEqual([200, 200, 200, 429]);
    // A second later one asks again for all that come meanwhile, so that nothing piles up that would be counted later.
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
