import { createVerifier, gatewayKeys, memoryReplay, redisReplay } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import type { RequestHandler } from 'express';
import type { Redis } from 'ioredis';
import type { HealthCheck } from './health.ts';
import { addToLog } from './request-log.ts';

export type TrustOptions = Readonly<{
  /** Our name in gateway.yaml: what was signed for another service is refused. */
  audience: string;
  /** Where the gateway publishes its keys. */
  keysUrl: string;
  /** Where several instances share which nonces were used; undefined keeps them in this process. */
  redis: Redis | undefined;
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
export function trustGateway({ audience, keysUrl, redis }: TrustOptions): GatewayTrust {
  const keys = gatewayKeys({ url: keysUrl });
  const memory = memoryReplay();
  const replay = redis === undefined ? memory : redisReplay(redis);
  return {
    handler: verifyIdentity({
      verifier: createVerifier({ audience, keys, replay }),
      onRefused: (_req, res, { reason }) => addToLog(res, { code: 'identity_refused', fault: 'caller', reason }),
    }),
    check() {
      if (!keys.ready) return "the gateway's keys are not loaded";
      // What was signed before is refused, since it may have been used before a restart.
      return replay === memory && Date.now() < memory.startsAtMs ? 'the replay memory has just begun' : undefined;
    },
    start: () => keys.start(),
    stop: () => keys.stop(),
  };
}
