import type { PreparedIdentity } from '@countersign/identity';
import type { KeySet } from '@countersign/jwks';
import { LRUCache } from 'lru-cache';
import { type Issuer, toleranceMs } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import type { Revocations } from '../revocations/revocations.ts';
import type { Claims } from './claims.ts';
import { createRefusedTokens, rememberedRefusal } from './refused-tokens.ts';
import type { TokenOutcomes } from './token-outcomes.ts';

/** A trusted issuer with its current keys and revocations. */
export type TrustedIssuer = Readonly<{
  config: Issuer;
  keys: KeySet;
  /** Undefined: this issuer has no revocation feed, and its tokens end at `exp`. */
  revocations: Revocations | undefined;
}>;

/** The parts of a caller's token that {@link assertStillValid} needs. A txn-token carries them without the token itself. */
export type TokenStatus = Readonly<{
  claims: Pick<
    Claims,
    | 'kind'
    | 'issuer'
    | 'subject'
    | 'userId'
    | 'clientId'
    | 'tenantId'
    | 'sessionId'
    | 'issuedAtSec'
    | 'expiresAtSec'
    | 'scope'
    | 'act'
    | 'kept'
  >;
  kid: string;
  issuer: TrustedIssuer;
}>;

/** A token whose signature and claims were valid when it was verified. {@link assertStillValid} checks it again. */
export type VerifiedToken = Readonly<{
  claims: Claims;
  kid: string;
  issuer: TrustedIssuer;
  /** The generation of the issuer's key set that verified it. */
  generation: number;
  /** The signed identity for each audience, prepared once per token. */
  prepared: Map<string, PreparedIdentity>;
}>;

/**
 * Checks expiry, with tolerance, and revocation. Call it on every use of a token: from the cache, before signing (the user may log out
 * while a slow body arrives), and while a connection stays open.
 *
 * @throws AppError `token_expired`, `token_revoked`, `revocations_unavailable`.
 */
export function assertStillValid(token: TokenStatus, nowMs: number): void {
  if (nowMs >= token.claims.expiresAtSec * 1000 + toleranceMs) {
    throw new AppError('token_expired', { detail: sourceOf(token) });
  }
  assertUnrevoked(token, nowMs);
}

/**
 * Checks revocation alone, for a response that started before the token expired and ends by itself.
 *
 * @throws AppError `token_revoked`, `revocations_unavailable`.
 */
export function assertUnrevoked(token: TokenStatus, nowMs: number): void {
  const { issuer, claims, kid } = token;
  try {
    issuer.revocations?.assertNotRevoked(claims, kid, nowMs);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(error.code as Code, { detail: { ...error.detail, ...sourceOf(token) } });
  }
}

/** Says for operators which token was refused. */
const sourceOf = ({ issuer, claims }: TokenStatus) => ({ issuer: issuer.config.issuer, subject: claims.subject });

export type AccessTokens = Readonly<{
  /**
   * Looks the token up in the cache, synchronously.
   *
   * @returns Undefined if the token still has to be verified.
   * @throws AppError `token_expired`, `token_revoked`, `revocations_unavailable`.
   */
  recall(token: string): VerifiedToken | undefined;
  /**
   * Verifies the token. A recently rejected token is rejected again from a cache.
   *
   * @throws AppError `token_*`, `issuer_keys_unavailable`, `revocations_unavailable`.
   */
  verify(token: string): Promise<VerifiedToken>;
  /** The cached tokens, least recently used first. The next configuration reuses them. */
  entries(): Iterable<readonly [token: string, verified: VerifiedToken]>;
  readonly stats: Readonly<{ hits: number; misses: number; refusedFromMemory: number; size: number }>;
}>;

const maxTokens = 20_000;
const maxCharacters = 16 * 1024 * 1024;

type Entry = Readonly<{ text: string; token: VerifiedToken }>;

/**
 * The end of the token's signature, 256 bits. Hashing the whole token for each lookup takes 0.8 µs; comparing it with the
 * entry takes 0.05 µs.
 */
const placeOf = (text: string): string => text.slice(-43);

/**
 * Verifies each token once and caches the result. An entry is for the whole token, and is invalid once the issuer's key
 * set changes (CVE-2026-33496, CVE-2026-35039). Every hit checks expiry and revocation; a later stage checks the rules
 * of the route. Concurrent requests with the same token share one verification.
 *
 * @param verify From `createTokenVerifier`.
 * @param previous The cache of the previous configuration. Entries of unchanged issuers are kept, so that a reload does
 *   not have to verify every token again.
 * @param outcomes Counts the verifications.
 */
export function createAccessTokens(
  issuers: ReadonlyMap<string, TrustedIssuer>,
  verify: (token: string) => Promise<VerifiedToken>,
  nowMs: () => number,
  previous?: Pick<AccessTokens, 'entries' | 'stats'>,
  outcomes?: TokenOutcomes,
  monotonicMs: () => number = () => performance.now(),
): AccessTokens {
  const verified = new LRUCache<string, Entry>({
    max: maxTokens,
    maxSize: maxCharacters,
    sizeCalculation: ({ text }) => text.length,
  });
  const refused = createRefusedTokens(monotonicMs);
  /** Verifications in progress. */
  const pending = new Map<string, Promise<VerifiedToken>>();
  const { hits, misses, refusedFromMemory } = previous?.stats ?? { hits: 0, misses: 0, refusedFromMemory: 0 };
  const stats = { hits, misses, refusedFromMemory };
  for (const [text, token] of previous?.entries() ?? []) {
    if (issuers.get(token.issuer.config.issuer) === token.issuer) verified.set(placeOf(text), { text, token });
  }

  const keysGeneration = () => [...issuers.values()].reduce((sum, { keys }) => sum + keys.generation, 0);

  async function verifyOnce(text: string): Promise<VerifiedToken> {
    const keys = keysGeneration();
    try {
      const token = await verify(text);
      // Cache a revoked token too. Its signature is still valid, so we do not verify it again each time it is sent.
      verified.set(placeOf(text), { text, token });
      assertStillValid(token, nowMs());
      outcomes?.verified(token.issuer.config.issuer);
      return token;
    } catch (error) {
      if (error instanceof AppError) {
        refused.remember(text, keys, error);
        outcomes?.refused(error);
      }
      throw error;
    } finally {
      pending.delete(text);
    }
  }

  return {
    recall(text) {
      const entry = verified.get(placeOf(text));
      if (entry === undefined || entry.text !== text) return undefined;
      const { token } = entry;
      const { keys } = token.issuer;
      if (token.generation !== keys.generation || !keys.ready) {
        verified.delete(placeOf(text));
        return undefined;
      }
      assertStillValid(token, nowMs());
      stats.hits += 1;
      return token;
    },
    async verify(text) {
      const refusal = refused.recall(text, keysGeneration());
      if (refusal !== undefined) {
        stats.refusedFromMemory += 1;
        throw refusal;
      }
      const running = pending.get(text);
      if (running === undefined) {
        stats.misses += 1;
        const started = verifyOnce(text);
        pending.set(text, started);
        return started;
      }
      try {
        const token = await running;
        stats.hits += 1;
        return token;
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        stats.refusedFromMemory += 1;
        throw rememberedRefusal(error);
      }
    },
    *entries() {
      for (const entry of verified.rvalues()) if (entry !== undefined) yield [entry.text, entry.token];
    },
    get stats() {
      return { ...stats, size: verified.size };
    },
  };
}
