import { createVerifier, type GatewayKeys, memoryReplay, redisReplay, secretGatewayKeys } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import type { RequestHandler } from 'express';
import type { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { type CommonConfig, gatewayKeysUrl } from './config.ts';
import { followGatewayKeys } from './follow-gateway-keys.ts';
import type { HealthCheck } from './health.ts';
import type { Logger } from './logger.ts';
import { addToLog } from './request-log.ts';

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
  check: HealthCheck;
  /** Follows the gateway's keys in the background; nobody waits for the gateway to start. */
  start(): void;
  stop(): void;
}>;

/** How each of our services trusts the gateway, and nothing else. */
export function trustGateway(options: TrustOptions): GatewayTrust {
  const { audience, config, redis } = options;
  const source = keySource(options);
  const memory = memoryReplay();
  const onUnavailable = config.REPLAY_WITHOUT_REDIS;
  const replay = redis === undefined ? memory : redisReplay(redis, { onUnavailable });
  const needsOwnMemory = redis === undefined || onUnavailable === 'memory';
  return {
    handler: verifyIdentity({
      verifier: createVerifier({ audience, keys: source.keys, replay }),
      onRefused: (_req, res, { reason }) => addToLog(res, { code: 'identity_refused', fault: 'caller', reason }),
    }),
    check() {
      if (!source.isReady()) return "the gateway's keys are not loaded";
      // What was signed before is refused, or would be if Redis were gone, since it may have been used before a restart.
      return needsOwnMemory && Date.now() < memory.startsAtMs ? 'the replay memory has just begun' : undefined;
    },
    start: source.start,
    stop: source.stop,
  };
}

type KeySource = Readonly<{ keys: GatewayKeys; isReady(): boolean; start(): void; stop(): void }>;

/** A shared secret where there is one, and then nothing else; otherwise the gateway's published keys. */
function keySource({ config, logger, metrics }: TrustOptions): KeySource {
  const secrets = [config.GATEWAY_SECRET, config.GATEWAY_SECRET_NEXT].filter((secret) => secret !== undefined);
  if (secrets.length > 0) {
    const keys = secretGatewayKeys(secrets.map((secret) => ({ secret })));
    return { keys, isReady: () => true, start() {}, stop() {} };
  }
  const keys = followGatewayKeys(gatewayKeysUrl(config), { logger, metrics });
  return { keys, isReady: () => keys.ready, start: () => keys.start(), stop: () => keys.stop() };
}
