import { createHash, createHmac, createSecretKey, randomUUID, timingSafeEqual } from 'node:crypto';
import { IdentityUnavailable, type NonceVerdict, type ReplayStore } from '@countersign/identity';
import { isBase64url } from '@countersign/jwks';
import type { HealthCheck } from '@countersign/process-kit';
import { type GatewayConfig, toleranceMs } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { createProofVerifier, type DpopProof, type ProvenRequest, proofLifetimeSec } from './dpop-proof.ts';

export type Dpop = Readonly<NonNullable<ReturnType<typeof createDpop>>>;

type DpopOptions = Readonly<{
  config: Pick<GatewayConfig, 'dpop' | 'publicOrigins'>;
  replay: ReplayStore;
  nowMs(): number;
}>;

const toleranceSec = toleranceMs / 1000;
const audience = 'dpop';

/**
 * @returns Undefined if the configuration has no public origins, because there is then nothing to compare `htu` with.
 */
export function createDpop({ config, replay, nowMs }: DpopOptions) {
  if (config.publicOrigins.length === 0) return undefined;
  const nonces = config.dpop.nonces && createNonces(config.dpop.nonces, nowMs);
  const verifyProof = createProofVerifier({
    publicOrigins: config.publicOrigins,
    checkNonce(nonce) {
      if (nonces === undefined || (typeof nonce === 'string' && nonces.accepts(nonce))) return;
      throw new AppError('dpop_nonce_required', {
        detail: { reason: nonce === undefined ? 'missing' : 'not current' },
      });
    },
    nowMs,
  });
  return {
    /**
     * Verifies a proof and claims its `jti`, so that it cannot be used again.
     *
     * @returns The thumbprint of the proof's key.
     * @throws AppError `dpop_*`, `token_key_mismatch`. `dpop_replay_unavailable` if a replay cannot be ruled out.
     */
    async prove(text: string, request: ProvenRequest): Promise<string> {
      const proof = verifyProof(text, request);
      await claimJti(proof, replay, Math.floor(nowMs() / 1000));
      return proof.thumbprint;
    },
    /** Returns the nonce for the client's next proof. Undefined if nonces are not required. */
    nonce: (): string | undefined => nonces?.current(),
  };
}

/** Runs after all other checks, so that only the key's holder can claim a `jti`. */
async function claimJti({ thumbprint, tokenId, issuedAtSec }: DpopProof, replay: ReplayStore, nowSec: number) {
  let verdict: NonceVerdict;
  try {
    verdict = await replay.claim({
      audience,
      // Stored per key, because clients choose their `jti`. A hash has a fixed length (RFC 9449 section 11.1).
      nonce: `${thumbprint} ${createHash('sha256').update(tokenId).digest('base64url')}`,
      // The earliest second in which the proof was valid. The client's clock may be ahead.
      createdSec: issuedAtSec - toleranceSec,
      // A gateway accepts a proof until `iat + lifetime + tolerance` on its own clock. The clocks of two gateways that
      // share a Redis may differ by twice the tolerance: one may be ahead of the true time, and one behind.
      keepUntilSec: issuedAtSec + proofLifetimeSec + 3 * toleranceSec,
      nowSec,
    });
  } catch (cause) {
    if (!(cause instanceof IdentityUnavailable)) throw cause;
    throw new AppError('dpop_replay_unavailable', { cause, detail: { reason: 'replay memory' } });
  }
  if (verdict === 'replayed') throw new AppError('dpop_proof_replayed');
  if (verdict === 'before_start') {
    throw new AppError('dpop_replay_unavailable', { detail: { reason: 'created before the replay memory started' } });
  }
}

const macBytes = 16;

type Nonces = NonNullable<GatewayConfig['dpop']['nonces']>;

/**
 * Creates nonces that proofs must contain, so that a proof cannot be made long before its use (RFC 9449 sections 8 and
 * 9). They are derived from the time and a shared secret. So nothing is stored, and each replica accepts the nonces of
 * the others.
 *
 * @param options.lifetimeSec A nonce is issued for this long, and accepted for at most twice as long.
 */
function createNonces({ secret, lifetimeSec }: Nonces, nowMs: () => number) {
  const key = createSecretKey(secret);
  const windowAt = (ms: number) => Math.floor(ms / 1000 / lifetimeSec);
  const macOf = (window: number) =>
    createHmac('sha256', key).update(`countersign dpop nonce v1 ${window}`).digest().subarray(0, macBytes);
  let latest = { window: Number.NaN, text: '' };

  return {
    current(): string {
      const window = windowAt(nowMs());
      if (window !== latest.window) latest = { window, text: macOf(window).toString('base64url') };
      return latest.text;
    },
    /** Whether this is the current nonce or the previous one, compared in constant time. */
    accepts(nonce: string): boolean {
      if (!isBase64url(nonce, macBytes)) return false;
      const given = Buffer.from(nonce, 'base64url');
      const window = windowAt(nowMs());
      // The third nonce may come from a replica whose clock is ahead.
      const good = new Set([window, window - 1, windowAt(nowMs() + toleranceMs)]);
      return [...good].filter((one) => timingSafeEqual(macOf(one), given)).length > 0;
    },
  };
}

type ProofConfig = Pick<GatewayConfig, 'dpop' | 'routes'>;

const waitForStoreMs = 5_000;

/**
 * A readiness check for the proofs' replay memory. A new memory does not know which proofs a client with a fast clock
 * used before it started, so proofs get 503 during the first seconds. If the configuration requires proofs, the
 * gateway is not ready until then. A memory that replicas share through Redis is usually old enough.
 *
 * @param config Returns the current configuration.
 */
export function createReplayCheck(config: () => ProofConfig, replay: ReplayStore, nowMs: () => number): HealthCheck {
  const startedAt = performance.now();
  let hasBegun = false;
  return async () => {
    if (hasBegun || !expectsProofs(config())) return undefined;
    const nowSec = Math.floor(nowMs() / 1000);
    const at = { createdSec: nowSec - toleranceSec, keepUntilSec: nowSec, nowSec };
    try {
      hasBegun = (await replay.claim({ audience, nonce: `readiness ${randomUUID()}`, ...at })) !== 'before_start';
    } catch (error) {
      if (!(error instanceof IdentityUnavailable)) throw error;
      // Connecting takes a moment. After that, the gateway is ready even without Redis, because it can serve requests
      // without proofs.
      return performance.now() - startedAt < waitForStoreMs ? 'cannot reach the replay memory yet' : undefined;
    }
    return hasBegun ? undefined : 'the replay memory has just started';
  };
}

const expectsProofs = ({ dpop, routes }: ProofConfig): boolean =>
  dpop.nonces !== undefined || routes.some(({ senderConstrained, forward }) => senderConstrained || forward.dpop);
