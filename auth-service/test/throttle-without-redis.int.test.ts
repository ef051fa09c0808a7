import { connectRedis } from '@countersign/process-kit';
import {
  databases,
  eventually,
  redisServers,
  silentLogger,
  type ThrowAway,
  type ThrowAwayRedis,
  throwAwayRedis,
} from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createThrottle, loginLimits } from '../src/flows/sessions/throttle.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { databaseAttempts, redisAttempts, withFallback } from '../src/store/sessions/attempts.ts';
import { codeOf } from './support/flows.ts';
import { openProbed } from './support/probed-database.ts';

const servers = redisServers().filter(([kind]) => kind === 'redis');

// Runs only if the suite has its own Redis to stop.
(servers.length > 0 ? describe : describe.skip)('the login throttle while Redis is stopped', () => {
  let store: ThrowAway<AuthSchema>;
  let server: ThrowAwayRedis;
  let redis: Redis;
  beforeAll(async () => {
    const [first] = databases();
    if (first === undefined) throw new Error('there is no database');
    store = await openProbed(first[1]);
    server = await throwAwayRedis();
    redis = connectRedis(server.url, silentLogger());
    await eventually(() => redis.ping());
  });
  afterAll(async () => {
    redis.disconnect();
    // SIGKILL also ends a stopped process.
    await server.kill();
    await store.close();
  });

  test('counts in the database, probes Redis once a second, and queues no late counts', async () => {
    const attempts = withFallback(redisAttempts(redis), databaseAttempts(store.db), silentLogger());
    const throttle = createThrottle(attempts);
    const guess = () => codeOf(throttle.reserveLogin('ann@acme.test', '192.0.2.1'));
    const stoppedAt = performance.now();
    process.kill(server.pid(), 'SIGSTOP');
    const codes = [];
    for (let count = 0; count < 12; count += 1) codes.push(await guess());
    expect(codes).toEqual([...Array(10).fill('ok'), 'too_many_attempts', 'too_many_attempts']);
    // One command per second went to Redis; the other operations skipped it.
    const onTheirWay = 1 + Math.floor((performance.now() - stoppedAt) / 1_000);
    process.kill(server.pid(), 'SIGCONT');
    const look = new Redis(server.url);
    const { pair } = loginLimits('ann@acme.test', '192.0.2.1');
    const counted = async () => Number(await look.get(`countersign:auth:attempts:${pair.key}`));
    await eventually(async () => expect(await counted()).toBeGreaterThan(0));
    expect(await counted()).toBeLessThanOrEqual(onTheirWay);
    look.disconnect();
  });
});
