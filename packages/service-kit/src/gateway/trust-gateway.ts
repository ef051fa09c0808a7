import { setTimeout as delay } from 'node:timers/promises';
import {
  createVerifier,
  type GatewayKeys,
  memoryReplay,
  type ReplayStore,
  redisReplay,
  secretGatewayKeys,
  unavailableReasons,
} from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import type { RequestHandler } from 'express';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { addToLog } from '../http/request-log.ts';
import { type CommonConfig, gatewayKeysUrl } from '../process/config.ts';
import type { HealthCheck } from '../process/health.ts';
import type { Logger } from '../process/logger.ts';
import { followGatewayKeys } from './follow-gateway-keys.ts';

type TrustConfig = Pick<
  CommonConfig,
  'GATEWAY_KEYS_URL' | 'GATEWAY_INTERNAL_PORT' | 'GATEWAY_SECRET' | 'GATEWAY_SECRET_NEXT' | 'REPLAY_WITHOUT_REDIS'
>;

export type TrustOptions = Readonly<{
  /** Our name in gateway.yaml: what was signed for another service is refused. */
  audience: string;
  config: TrustConfig;
  /** Where several instances share which nonces were used; undefined keeps them in this process. */
  redis: Redis | undefined;
  /** Where it is told how the gateway's published keys are. */
  logger: Logger;
  metrics: Registry;
}>;

export type GatewayTrust = Readonly<{
  /** Refuses what the gateway did not sign for us. */
  handler: RequestHandler;
  /** What a request needs before it can be judged. */
  checks: Readonly<Record<'gateway_keys' | 'replay_memory', HealthCheck>>;
  /**
   * Follows the gateway's keys in the background. Settles when requests can be judged, so that a service which listens after that
   * refuses none; after `startWithinMs` at most, since a gateway or a Redis that is not there yet must not keep a service from starting.
   */
  start(): Promise<void>;
  stop(): void;
}>;

const startWithinMs = 2_000;
const checkAgainMs = 20;

/** How each of our services trusts the gateway, and nothing else. */
export function trustGateway(options: TrustOptions): GatewayTrust {
  const { audience } = options;
  const source = keySource(options);
  const { replay, check } = replayMemory(options);
  const checks = {
    gateway_keys: () => (source.isReady() ? undefined : "the gateway's keys are not loaded"),
    replay_memory: check,
  };
  return {
    handler: verifyIdentity({
      verifier: createVerifier({ audience, keys: source.keys, replay }),
      onRefused: (_req, res, { reason }) => addToLog(res, { ...blame(reason), reason }),
    }),
    checks,
    async start() {
      const untilMs = performance.now() + startWithinMs;
      const isThere = Promise.all([source.start(), isConnected(options.redis)]);
      await Promise.race([isThere, delay(startWithinMs, undefined, { ref: false })]);
      while ((await check()) !== undefined && performance.now() < untilMs) await delay(checkAgainMs);
    },
    stop: source.stop,
  };
}

async function isConnected(redis: Redis | undefined): Promise<void> {
  if (redis === undefined || redis.status === 'ready') return;
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
}

/** Not being able to judge a request is our fault, not the caller's. */
function blame(reason: string): Readonly<{ code: string; fault: string }> {
  const isOurs = (unavailableReasons as readonly string[]).includes(reason);
  return isOurs ? { code: 'identity_unavailable', fault: 'ours' } : { code: 'identity_refused', fault: 'caller' };
}

type ReplayMemory = Readonly<{ replay: ReplayStore; check: HealthCheck }>;

function replayMemory({ config, redis, logger }: TrustOptions): ReplayMemory {
  if (redis === undefined) {
    const replay = memoryReplay();
    // What was signed before is refused, since it may have been used before a restart.
    const check = () => (Date.now() < replay.startsAtMs ? 'the replay memory has just begun' : undefined);
    return { replay, check };
  }
  const onUnavailable = config.REPLAY_WITHOUT_REDIS;
  const consequence = { refuse: 'requests are refused with 503', memory: 'this instance goes by its own memory' }[
    onUnavailable
  ];
  const replay = redisReplay(redis, {
    onUnavailable,
    onStateChange(state, cause) {
      if (state === 'available') logger.info('replay memory in redis is back');
      else logger.warn({ err: cause }, `replay memory in redis does not answer: ${consequence}`);
    },
  });
  return { replay, check: () => replay.check() };
}

type KeySource = Readonly<{ keys: GatewayKeys; isReady(): boolean; start(): Promise<void>; stop(): void }>;

/** A shared secret where there is one, and then nothing else; otherwise the gateway's published keys. */
function keySource({ config, logger, metrics }: TrustOptions): KeySource {
  const secrets = [config.GATEWAY_SECRET, config.GATEWAY_SECRET_NEXT].filter((secret) => secret !== undefined);
  if (secrets.length > 0) {
    const keys = secretGatewayKeys(secrets.map((secret) => ({ secret })));
    return { keys, isReady: () => true, async start() {}, stop() {} };
  }
  const keys = followGatewayKeys(gatewayKeysUrl(config), { logger, metrics });
  return { keys, isReady: () => keys.ready, start: () => keys.start(), stop: () => keys.stop() };
}
