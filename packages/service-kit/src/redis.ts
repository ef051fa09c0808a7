import { Redis } from 'ioredis';
import type { Logger } from './logger.ts';

/**
 * A client that fails at once while Redis is gone, and reconnects by itself: Redis only makes things fast or shared, and
 * nothing may wait for it or be replayed to it late.
 */
export function connectRedis(url: string, logger: Logger): Redis {
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 200 });
  redis.on('error', (error) => logger.warn({ err: error }, 'redis does not answer'));
  return redis;
}
