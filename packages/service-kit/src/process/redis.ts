import { Redis } from 'ioredis';
import type { Logger } from './logger.ts';

/** A Redis that is back is connected to within this time. */
const maxRetryDelayMs = 100;

/**
 * A client that fails at once while Redis is gone, and reconnects by itself: Redis only makes things fast or shared, and
 * nothing may wait for it or be replayed to it late.
 */
export function connectRedis(url: string, logger: Logger): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Only so that what was never answered is forgotten one day. How long is waited is each caller's to say.
    commandTimeout: 5_000,
    connectTimeout: 500,
    // A host that is gone without a word never closes the connection; TCP would take 15 minutes to give up.
    socketTimeout: 2_000,
    retryStrategy: (attempts) => Math.min(maxRetryDelayMs, 10 * attempts),
  });
  let isGone = false;
  redis.on('error', (error) => {
    // Once an outage, not once an attempt.
    if (!isGone) logger.warn({ err: error }, 'redis does not answer');
    isGone = true;
  });
  redis.on('ready', () => {
    if (isGone) logger.info('redis answers again');
    isGone = false;
  });
  return redis;
}
