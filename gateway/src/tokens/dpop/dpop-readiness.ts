import { randomUUID } from 'node:crypto';
import { IdentityUnavailable, type ReplayStore } from '@countersign/identity';
import type { HealthCheck } from '@countersign/service-kit';
import type { GatewayConfig } from '../../config/config.ts';
import { toleranceMs } from '../../config/config.ts';

const toleranceSec = toleranceMs / 1000;
const waitForStoreMs = 5_000;

/**
 * Replay memory that began just now cannot know what a client whose clock is ahead used before: for the first seconds proofs are 503.
 * Where the configuration expects proofs, the gateway is not ready before that is over, once; a memory that others share is old enough already.
 *
 * @param config The one in force.
 */
export function createReplayCheck(
  config: () => Pick<GatewayConfig, 'dpop' | 'routes'>,
  replay: ReplayStore,
  nowMs: () => number,
): HealthCheck {
  const startedAt = performance.now();
  let isKnown = false;
  return async () => {
    if (isKnown || !expectsProofs(config())) return undefined;
    const nowSec = Math.floor(nowMs() / 1000);
    const probe = { audience: 'dpop', keyid: 'readiness', nonce: randomUUID() };
    try {
      const at = { createdSec: nowSec - toleranceSec, keepUntilSec: nowSec, nowSec };
      isKnown = (await replay.claim({ ...probe, ...at })) !== 'before_start';
    } catch (error) {
      if (!(error instanceof IdentityUnavailable)) throw error;
      // A connection takes a moment. If Redis is gone, whatever has no proof is served all the same.
      return performance.now() - startedAt < waitForStoreMs ? 'replay memory is not reached yet' : undefined;
    }
    return isKnown ? undefined : 'proofs cannot be told from replays for some seconds yet';
  };
}

const expectsProofs = ({ dpop, routes }: Pick<GatewayConfig, 'dpop' | 'routes'>): boolean =>
  dpop.nonces !== undefined || routes.some(({ senderConstrained, forward }) => senderConstrained || forward.dpop);
