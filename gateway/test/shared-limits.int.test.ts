import { eventually, type ThrowAwayRedis, throwAwayRedis } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const written = 'limits: [{ requests: 3, per: 1m, by: address }]';
const limited = (limits: string): readonly [string, string] => [written, `limits: [${limits}]`];

// Starts a Redis only if the suite may use one.
const describeWithRedis = process.env.REDIS_URL ? describe : describe.skip;

describeWithRedis('a limit shared over a Redis', () => {
  let redis: ThrowAwayRedis;
  let client: Redis;
  let gateways: GatewayUnderTest[];
  const start = async (limits: string) => {
    const gateway = await gatewayUnderTest({ redis: redis.url, edits: [limited(limits)] });
    gateways.push(gateway);
    // Waits with another limit, since the gateway counts in the process until Redis is connected.
    const token = await gateway.issuer.accessToken();
    await eventually(async () => {
      await gateway.ask('/v1/limited-user', { token });
      expect((await client.keys('countersign:limit:limited-user *')).length).toBeGreaterThan(0);
    });
    await client.flushall();
    return gateway;
  };
  beforeEach(async () => {
    gateways = [];
    redis = await throwAwayRedis();
    client = new Redis(redis.url, { retryStrategy: () => 50 });
    client.on('error', () => {});
  });
  afterEach(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    client.disconnect();
    // SIGKILL also ends a stopped process.
    await redis.kill();
  });

  async function timed(gateway: GatewayUnderTest): Promise<number> {
    const startedAt = performance.now();
    const { status } = await gateway.ask('/v1/limited');
    // The promise is 300 ms; the rest is a margin for slow machines. Without a timeout it would be 5 s or more.
    expect(performance.now() - startedAt).toBeLessThan(2_500);
    return status;
  }
  const counted = async () => {
    const keys = await client.keys('countersign:limit:limited *');
    const values = await Promise.all(keys.map((key) => client.get(key)));
    return values.reduce((sum, value) => sum + Number(value), 0);
  };

  test('passes exactly 100 of 1,000 concurrent requests at two gateways, and every key expires', async () => {
    // If a busy machine starved Redis, local counts would let more pass.
    const limit = '{ requests: 100, per: 1h, by: address, onStoreFailure: deny }';
    const [one, two] = [await start(limit), await start(limit)];
    const before = one.upstream.requests.length + two.upstream.requests.length;
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, at) => (at % 2 === 0 ? one : two).ask('/v1/limited')),
    );
    const passed = answers.filter(({ status }) => status === 200).length;
    const unjudged = answers.filter(({ status }) => status === 503).length;
    expect(answers.filter(({ status }) => status === 429).length).toBe(1_000 - passed - unjudged);
    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThanOrEqual(100);
    if (unjudged === 0) expect(passed).toBe(100);
    expect(one.upstream.requests.length + two.upstream.requests.length - before).toBe(passed);
    const keys = await client.keys('*');
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect([key, await client.ttl(key)]).not.toEqual([key, -1]);
  });

  test.each([
    ['local', [200, 200, 200, 200, 429, 429]],
    ['deny', [503, 503, 503, 503, 503, 503]],
  ])('applies its policy, %s, in time while Redis is stopped, and counts nothing late', async (policy, expected) => {
    const gateway = await start(
      `{ requests: 4, per: 1h, by: address, onStoreFailure: ${policy} }, { requests: 50, per: 1h, by: route }`,
    );
    process.kill(redis.pid(), 'SIGSTOP');
    const statuses = [];
    for (const _ of expected) statuses.push(await timed(gateway));
    expect(statuses).toEqual(expected);
    // Redis already had the command of the first request; the others sent none.
    const onTheirWay = 1;
    process.kill(redis.pid(), 'SIGCONT');
    const continuedAt = performance.now();
    await eventually(async () => expect(await counted()).toBeGreaterThan(0));
    expect(await counted()).toBeLessThanOrEqual(onTheirWay);
    await eventually(async () => expect((await gateway.ask('/v1/limited')).status).toBe(200));
    expect(performance.now() - continuedAt).toBeLessThan(1_000);
    // Plus the requests that passed since; each of the two limits counts them.
    expect(await counted()).toBeLessThanOrEqual(onTheirWay + 2);
  });

  test.each([
    ['local', [200, 200, 429]],
    ['deny', [503, 503, 503]],
  ])('applies its policy, %s, after Redis is killed, and is shared again when it is back', async (policy, expected) => {
    const gateway = await start(`{ requests: 2, per: 1h, by: address, onStoreFailure: ${policy} }`);
    await redis.kill();
    const statuses = [];
    for (const _ of expected) statuses.push(await timed(gateway));
    expect(statuses).toEqual(expected);
    await redis.start();
    await eventually(async () => {
      await gateway.ask('/v1/limited');
      expect(await counted()).toBeGreaterThan(0);
    });
  });
});
