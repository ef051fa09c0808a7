import { randomUUID } from 'node:crypto';
import { IdentityUnavailable, type ReplayStore } from '@countersign/identity';
import type { HealthCheck } from '@countersign/service-kit';
import type { GatewayConfig } from '../../config/config.ts';
import { toleranceMs } from '../../config/config.ts';

const toleranceSec = toleranceMs / 1000;
const waitForStoreMs = 5_000;

/**
 * Readiness check for the replay memory of proofs. A new memory does not know which proofs a client with a fast clock used
 * before the start, so proofs get 503 in the first seconds. If the configuration expects proofs, the gateway is not ready
 * until then. A memory shared through Redis is usually old enough.
 *
 * @param config Returns the current configuration.
 */
export function createReplayCheck(
  config: () => Pick<GatewayConfig, 'dpop' | 'routes'>,
  replay: ReplayStore,
  nowMs: () => number,
): HealthCheck {
  const startedAt = performance.now();
  let hasBegun = false;
  return async () => {
    if (hasBegun || !expectsProofs(config())) return undefined;
    const nowSec = Math.floor(nowMs() / 1000);
    const probe = { audience: 'dpop', nonce: `readiness ${randomUUID()}` };
    try {
      const at = { createdSec: nowSec - toleranceSec, keepUntilSec: nowSec, nowSec };
      hasBegun = (await replay.claim({ ...probe, ...at })) !== 'before_start';
    } catch (error) {
      if (!(error instanceof IdentityUnavailable)) throw error;
      // Connecting takes a moment. After that, be ready without Redis: requests without proofs can be served.
      return performance.now() - startedAt < waitForStoreMs ? 'cannot reach the replay memory yet' : undefined;
    }
    return hasBegun ? undefined : 'the replay memory has just begun';
  };
}

const expectsProofs = ({ dpop, routes }: Pick<GatewayConfig, 'dpop' | 'routes'>): boolean =>
  dpop.nonces !== undefined || routes.some(({ senderConstrained, forward }) => senderConstrained || forward.dpop);
