import { createHmac } from 'node:crypto';
import { withTimeout } from '@countersign/process-kit';
import { type Journal, SharedLog } from '@countersign/signals';
import type { Redis } from 'ioredis';
import type { GatewayKeySet } from '../keys/key-directory.ts';
import { macKeysFor } from '../keys/signing-keys.ts';

/** How gateways share events. They must have the same keys. */
export type SharedBy = Readonly<{ redis: Redis; keys: Pick<GatewayKeySet, 'signingKey' | 'find'>; nowSec(): number }>;

const macKeyOf = macKeysFor('countersign event log v1');
const redisTimeoutMs = 1_000;

/** Opens the log in Redis that all gateways share. Its entries carry a MAC, because others may write to Redis. */
export function openSharedLog(issuer: string, { redis, keys, nowSec }: SharedBy, journal: Journal): SharedLog {
  return new SharedLog({
    issuer,
    run: (script, names, args) => withTimeout(redis.eval(script, names.length, ...names, ...args), redisTimeoutMs),
    mac: {
      kid: () => keys.signingKey(nowSec()).kid,
      of(kid, text) {
        const key = keys.find(kid, nowSec());
        return key && createHmac('sha256', macKeyOf(key)).update(text).digest('base64url');
      },
    },
    entries: () => journal.read(issuer),
    sinceMs: () => journal.sinceMs(issuer),
  });
}

/** Reads the log as soon as a gateway writes to it, instead of every 200 ms. The caller closes the connection. */
export function subscribeTo(log: SharedLog, redis: Redis): Redis {
  // A subscriber is idle for long, and waits for no reply.
  const subscriber = redis.duplicate({ socketTimeout: undefined, commandTimeout: undefined });
  subscriber.on('error', () => {});
  subscriber.on('ready', () => void subscriber.subscribe(log.channel).catch(() => {}));
  subscriber.on('message', () => log.wake());
  subscriber.connect().catch(() => {});
  return subscriber;
}
