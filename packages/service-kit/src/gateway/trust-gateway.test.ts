import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { commonConfig, readConfig } from '../process/config.ts';
import { createLogger } from '../process/logger.ts';
import { createMetrics } from '../process/metrics.ts';
import { trustGateway } from './trust-gateway.ts';

const justBegun = 'the replay memory has just started';

test.each<[name: string, withRedis: boolean, withoutRedis: 'refuse' | 'memory', reason: string | undefined]>([
  ['without redis', false, 'refuse', justBegun],
  ['that may continue without redis', true, 'memory', justBegun],
  ['that requires redis', true, 'refuse', 'Redis does not answer'],
])('an instance %s is ready when the replay memory it needs is available', async (_name, withRedis, policy, reason) => {
  const redis = withRedis ? new Redis({ lazyConnect: true, enableOfflineQueue: false }) : undefined;
  const { checks } = trustGateway({
    audience: 'things',
    config: {
      GATEWAY_KEYS_URL: undefined,
      GATEWAY_INSECURE_TRANSPORT: false,
      GATEWAY_INTERNAL_PORT: 8090,
      GATEWAY_SECRET: randomBytes(32),
      GATEWAY_SECRET_NEXT: undefined,
      REPLAY_WITHOUT_REDIS: policy,
    },
    redis,
    logger: createLogger('things', 'silent', { write() {} }),
    metrics: createMetrics(),
  });
  expect(await checks.replay_memory()).toBe(reason);
  redis?.disconnect();
});

describe('keys by plain http from another machine', () => {
  const environment = process.env.NODE_ENV;
  afterEach(() => {
    process.env.NODE_ENV = environment;
  });
  const trust = (env: Readonly<Record<string, string>>) =>
    trustGateway({
      audience: 'things',
      config: readConfig(z.object(commonConfig), { GATEWAY_KEYS_URL: 'http://gateway:8090/keys', ...env }),
      redis: undefined,
      logger: createLogger('things', 'silent', { write() {} }),
      metrics: createMetrics(),
    });

  test('keep a service in production from starting, unless its configuration says that the network is trusted', () => {
    process.env.NODE_ENV = 'production';
    expect(() => trust({})).toThrow(
      /^GATEWAY_KEYS_URL: .*\(http:\/\/gateway:8090\/keys\).* set GATEWAY_INSECURE_TRANSPORT=true where the network is trusted$/,
    );
    expect(() => trust({ GATEWAY_INSECURE_TRANSPORT: 'true' })).not.toThrow();
  });
});
