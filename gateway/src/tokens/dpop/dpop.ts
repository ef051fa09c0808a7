import { createHash } from 'node:crypto';
import { IdentityUnavailable, type NonceVerdict, type ReplayStore } from '@countersign/identity';
import type { GatewayConfig } from '../../config/config.ts';
import { toleranceMs } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { createDpopNonces } from './dpop-nonces.ts';
import { createProofVerifier, type DpopProof, type ProvenRequest, proofLifetimeSec } from './dpop-proof.ts';
import { createUriCheck } from './dpop-uri.ts';

/** Verifies proofs of possession (RFC 9449) on the public listener. */
export type Dpop = Readonly<{
  /**
   * Verifies a proof and claims its `jti`, so that it cannot be used again.
   *
   * @returns The thumbprint of the proof's key.
   * @throws AppError `dpop_*`, `token_key_mismatch`; `dpop_replay_unavailable` when a replay cannot be ruled out.
   */
  prove(text: string, request: ProvenRequest): Promise<string>;
  /** The nonce for the client's next proof. Undefined when nonces are not required. */
  nonce(): string | undefined;
}>;

type DpopOptions = Readonly<{
  config: Pick<GatewayConfig, 'dpop' | 'publicOrigins'>;
  replay: ReplayStore;
  nowMs(): number;
}>;

const toleranceSec = toleranceMs / 1000;

/** @returns Undefined without public origins in the configuration, because `htu` cannot be compared then. */
export function createDpop({ config, replay, nowMs }: DpopOptions): Dpop | undefined {
  if (config.publicOrigins.length === 0) return undefined;
  const nonces = config.dpop.nonces && createDpopNonces(config.dpop.nonces, nowMs);
  const verify = createProofVerifier({
    isOurUri: createUriCheck(config.publicOrigins),
    checkNonce(nonce) {
      if (nonces === undefined || (typeof nonce === 'string' && nonces.accepts(nonce))) return;
      throw new AppError('dpop_nonce_required', {
        detail: { reason: nonce === undefined ? 'missing' : 'not current' },
      });
    },
    nowMs,
  });
  return {
    async prove(text, request) {
      const proof = await verify(text, request);
      await claimJti(proof, replay, Math.floor(nowMs() / 1000));
      return proof.thumbprint;
    },
    nonce: () => nonces?.current(),
  };
}

/** Runs after all other checks, so that only the key's holder can claim a `jti`. */
async function claimJti({ thumbprint, tokenId, issuedAtSec }: DpopProof, replay: ReplayStore, nowSec: number) {
  const verdict = await claim(replay, {
    audience: 'dpop',
    // Per key, because clients choose their `jti`. A hash has a fixed length for any of them (RFC 9449 section 11.1).
    nonce: `${thumbprint} ${createHash('sha256').update(tokenId).digest('base64url')}`,
    // The earliest second in which the proof was valid, because the client's clock may be ahead.
    createdSec: issuedAtSec - toleranceSec,
    // A gateway accepts a proof until `iat + lifetime + tolerance` on its own clock. The clocks of two gateways that share a
    // Redis may differ by twice the tolerance: one ahead of the true time, one behind.
    keepUntilSec: issuedAtSec + proofLifetimeSec + 3 * toleranceSec,
    nowSec,
  });
  if (verdict === 'replayed') throw new AppError('dpop_proof_replayed');
  if (verdict === 'before_start') {
    throw new AppError('dpop_replay_unavailable', { detail: { reason: 'made before the replay memory began' } });
  }
}

async function claim(replay: ReplayStore, nonce: Parameters<ReplayStore['claim']>[0]): Promise<NonceVerdict> {
  try {
    return await replay.claim(nonce);
  } catch (cause) {
    if (!(cause instanceof IdentityUnavailable)) throw cause;
    throw new AppError('dpop_replay_unavailable', { cause, detail: { reason: 'replay memory' } });
  }
}
