import { expect, test } from '@jest/globals';
import { isInstalled } from './is-installed.ts';
import { throwAwayRedis } from './redis-servers.ts';

// `process.kill(0, …)` signals the group of the caller, which would stop Jest itself.
(isInstalled('redis-server') ? test : test.skip)('a Redis that is down has no pid to signal', async () => {
  const redis = await throwAwayRedis();
  const before = redis.pid();
  await redis.kill();
  expect(() => redis.pid()).toThrow('this Redis is not running');
  await redis.kill();
  await redis.start();
  expect(redis.pid()).toBeGreaterThan(0);
  expect(redis.pid()).not.toBe(before);
  await redis.kill();
});
