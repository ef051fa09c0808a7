import { randomBytes } from 'node:crypto';
import { createLogger, createMetrics, readConfig } from '@countersign/process-kit';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { commonConfig } from './common-config.ts';
import { trustGateway } from './trust-gateway.ts';

const justBegun = 'the replay memory has just started';

test.each<[name: string, withRedis: boolean, withoutRedis: 'reads' | 'refuse' | 'memory', reason: string | undefined]>([
  ['without Redis', false, 'refuse', justBegun],
  ['that can continue without Redis', true, 'memory', justBegun],
  ['that can read without Redis', true, 'reads', justBegun],
  ['that requires Redis', true, 'refuse', 'Redis does not answer'],
])('an instance %s reports the state of the replay memory that it needs', async (_name, withRedis, policy, reason) => {
  const redis = withRedis ? new Redis({ lazyConnect: true, enableOfflineQueue: false }) : undefined;
  const { checks } = trustGateway({
    audience: 'things',
    config: {
      ...readConfig(z.object(commonConfig), { REPLAY_WITHOUT_REDIS: policy }),
      GATEWAY_SECRET: randomBytes(32),
    },
    redis,
    logger: createLogger('things', 'silent', { write() {} }),
    metrics: createMetrics(),
  });
  expect(await checks.replay_memory()).toBe(reason);
  redis?.disconnect();
});

describe('a plain http URL of the gateway keys on another machine', () => {
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

  test('prevents a start in production, unless the configuration says that the network is trusted', () => {
    process.env.NODE_ENV = 'production';
    expect(() => trust({})).toThrow(
      /^GATEWAY_KEYS_URL: .*\(http:\/\/gateway:8090\/keys\).* set GATEWAY_INSECURE_TRANSPORT=true where the network is trusted$/,
    );
    expect(() => trust({ GATEWAY_INSECURE_TRANSPORT: 'true' })).not.toThrow();
  });
});
