import { createHash, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { IdentityUnavailable, type NonceVerdict, type ReplayStore } from '@countersign/identity';
import type { GatewayConfig } from '../../config/config.ts';
import { toleranceMs } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import { createProofVerifier, type DpopProof, type ProvenRequest, proofLifetimeSec } from './dpop-proof.ts';
import { createUriCheck } from './dpop-uri.ts';

/** Proofs of possession (RFC 9449), as the public listener takes them. */
export type Dpop = Readonly<{
  /**
   * Checks a proof, and uses it up.
   *
   * @returns The thumbprint of the key that made it.
   * @throws AppError `dpop_*`, `token_key_mismatch`; `dpop_replay_unavailable` where it cannot be known whether it was used before.
   */
  prove(text: string, request: ProvenRequest): Promise<string>;
  /** What a client is to put into its next proof; undefined where no nonces are asked for. */
  nonce(): string | undefined;
}>;

type DpopOptions = Readonly<{
  config: Pick<GatewayConfig, 'dpop' | 'publicOrigins'>;
  replay: ReplayStore;
  nowMs(): number;
}>;

const toleranceSec = toleranceMs / 1000;

/** @returns Undefined where the configuration names no public origins: there is nothing that `htu` could be compared with. */
export function createDpop({ config, replay, nowMs }: DpopOptions): Dpop | undefined {
  if (config.publicOrigins.length === 0) return undefined;
  const nonces = config.dpop.nonces && createDpopNonces(config.dpop.nonces, nowMs);
  const verify = createProofVerifier({
    isOurUri: createUriCheck(config.publicOrigins),
    checkNonce: (nonce) => checkNonce(nonces, nonce),
    nowMs,
  });
  return {
    async prove(text, request) {
      const proof = await verify(text, request);
      await useUp(proof, replay, Math.floor(nowMs() / 1000));
      return proof.thumbprint;
    },
    nonce: () => nonces?.current(),
  };
}

function checkNonce(nonces: DpopNonces | undefined, nonce: unknown): void {
  if (nonces === undefined || (typeof nonce === 'string' && nonces.accepts(nonce))) return;
  throw new AppError('dpop_nonce_required', { detail: { reason: nonce === undefined ? 'missing' : 'not current' } });
}

/** After everything else held, so that nobody but the key's holder can use up a `jti`. */
async function useUp({ thumbprint, tokenId, issuedAtSec }: DpopProof, replay: ReplayStore, nowSec: number) {
  const verdict = await claim(replay, {
    audience: 'dpop',
    keyid: thumbprint,
    // Of one length, whatever the client chose (RFC 9449 section 11.1).
    nonce: createHash('sha256').update(tokenId).digest('base64url'),
    // The earliest second in which it was good: a client's clock may be ahead, and memory that began later cannot know.
    createdSec: issuedAtSec - toleranceSec,
    // A gateway accepts a proof until `iat + lifetime + tolerance` of its own clock, and clocks of gateways that share a Redis may be two
    // tolerances apart: one is ahead of the true time by the tolerance, the other is behind by as much.
    keepUntilSec: issuedAtSec + proofLifetimeSec + 3 * toleranceSec,
    nowSec,
  });
  if (verdict === 'replayed') throw new AppError('dpop_proof_replayed');
  if (verdict === 'before_start') {
    throw new AppError('dpop_replay_unavailable', { detail: { reason: 'made before replay memory began' } });
  }
}

async function claim(replay: ReplayStore, one: Parameters<ReplayStore['claim']>[0]): Promise<NonceVerdict> {
  try {
    return await replay.claim(one);
  } catch (cause) {
    if (!(cause instanceof IdentityUnavailable)) throw cause;
    throw new AppError('dpop_replay_unavailable', { cause, detail: { reason: 'replay memory' } });
  }
}

/** Values that a proof has to carry, so that it cannot have been made long before it is used (RFC 9449 sections 8 and 9). */
type DpopNonces = Readonly<{
  /** What is handed out now. */
  current(): string;
  /** Whether it is the current one or the one before. In constant time. */
  accepts(nonce: string): boolean;
}>;

const macBytes = 16;

/**
 * Nonces come from the time alone, under a secret that the replicas share: nothing is stored, and each knows those of the others.
 *
 * @param lifetimeSec One nonce is handed out this long, and taken for twice as long at most.
 */
function createDpopNonces(
  { secret, lifetimeSec }: Readonly<{ secret: Uint8Array; lifetimeSec: number }>,
  nowMs: () => number,
): DpopNonces {
  const key = createSecretKey(secret);
  const windowAt = (ms: number) => Math.floor(ms / 1000 / lifetimeSec);
  const macOf = (window: number) =>
    createHmac('sha256', key).update(`countersign dpop nonce v1 ${window}`).digest().subarray(0, macBytes);
  let latest = { window: Number.NaN, text: '' };

  return {
    current() {
      const window = windowAt(nowMs());
      if (window !== latest.window) latest = { window, text: macOf(window).toString('base64url') };
      return latest.text;
    },
    accepts(nonce) {
      const given = Buffer.from(nonce, 'base64url');
      if (given.length !== macBytes || given.toString('base64url') !== nonce) return false;
      const window = windowAt(nowMs());
      // The last may be of a replica whose clock is ahead of ours.
      const good = new Set([window, window - 1, windowAt(nowMs() + toleranceMs)]);
      return [...good].filter((one) => timingSafeEqual(macOf(one), given)).length > 0;
    },
  };
}
