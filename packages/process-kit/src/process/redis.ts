import { Redis } from 'ioredis';
import type { Logger } from './logger.ts';

/** The longest pause between reconnection attempts. */
const maxRetryDelayMs = 100;

/**
 * Creates a Redis client that reconnects by itself. Commands fail while it is unavailable, and are never repeated: a
 * late command would count or claim something for a request that has ended.
 */
export function connectRedis(
  url: string,
  logger: Logger,
  options: Readonly<{ lazyConnect?: boolean; disconnectTimeout?: number }> = {},
  messages = { gone: 'redis is unavailable', back: 'redis is available again' },
): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Ends commands that never get a reply. Callers set shorter timeouts of their own.
    commandTimeout: 5_000,
    connectTimeout: 500,
    // A host that disappears never closes the connection, and TCP gives up only after 15 minutes.
    socketTimeout: 2_000,
    retryStrategy: (attempts) => Math.min(maxRetryDelayMs, 10 * attempts),
    ...options,
  });
  let isGone = false;
  redis.on('error', (error) => {
    // Logs once per outage, not per attempt.
    if (!isGone) logger.warn({ err: error }, messages.gone);
    isGone = true;
  });
  redis.on('ready', () => {
    if (isGone) logger.info(messages.back);
    isGone = false;
  });
  return redis;
}
