import { LRUCache } from 'lru-cache';
import { AppError } from '../errors.ts';
import { createRefusedTokens, refusedAgain } from './refused-tokens.ts';
import { assertStillValid, type TrustedIssuer, type VerifiedToken } from './verified-token.ts';
import { createTokenVerifier } from './verify.ts';

export type AccessTokens = Readonly<{
  /**
   * What is known of this very token, so that the usual request waits for nothing.
   *
   * @returns Undefined when it has to be verified.
   * @throws AppError where it has expired since or was revoked; `revocations_unavailable`.
   */
  recall(token: string): VerifiedToken | undefined;
  /** From memory, where it was refused a moment ago. @throws AppError `token_*`, `issuer_keys_unavailable`, `revocations_unavailable`. */
  verify(token: string): Promise<VerifiedToken>;
  /** What is held, the longest unused first: for the configuration that comes after this one. */
  held(): Iterable<readonly [token: string, verified: VerifiedToken]>;
  readonly stats: Readonly<{ hits: number; misses: number; refusedFromMemory: number; size: number }>;
}>;

const maxTokens = 20_000;
const maxCharacters = 16 * 1024 * 1024;

/**
 * Verifies each token once. The cache's key is the whole token, and what it holds is void as soon as the issuer's key set
 * changes (CVE-2026-33496, CVE-2026-35039); expiry and revocation are looked at on every hit, the route's rules by their own stage.
 * A flood of one token costs one verification, a bad one's too.
 *
 * @param before Those of the configuration before this one. What it holds of issuers that stayed the very same is taken over, so
 *   that a reload does not make everybody's token be verified again.
 */
export function createAccessTokens(
  issuers: ReadonlyMap<string, TrustedIssuer>,
  nowMs: () => number,
  before?: Pick<AccessTokens, 'held' | 'stats'>,
): AccessTokens {
  const verify = createTokenVerifier(issuers, nowMs);
  const verified = new LRUCache<string, VerifiedToken>({
    max: maxTokens,
    maxSize: maxCharacters,
    sizeCalculation: (_token, text) => text.length,
  });
  const refused = createRefusedTokens(nowMs);
  /** What is being verified now, for who brings the same token meanwhile. */
  const underWay = new Map<string, Promise<VerifiedToken>>();
  const { hits, misses, refusedFromMemory } = before?.stats ?? { hits: 0, misses: 0, refusedFromMemory: 0 };
  const stats = { hits, misses, refusedFromMemory };
  for (const [text, token] of before?.held() ?? []) {
    if (issuers.get(token.issuer.config.issuer) === token.issuer) verified.set(text, token);
  }

  const keysNow = () => [...issuers.values()].reduce((sum, { keys }) => sum + keys.generation, 0);

  async function judge(text: string): Promise<VerifiedToken> {
    const keys = keysNow();
    try {
      const token = await verify(text);
      // Also one that is revoked: what was verified stays true of it, so a flood of it costs no more.
      verified.set(text, token);
      assertStillValid(token, nowMs());
      return token;
    } catch (error) {
      if (error instanceof AppError) refused.remember(text, keys, error);
      throw error;
    } finally {
      underWay.delete(text);
    }
  }

  return {
    recall(text) {
      const token = verified.get(text);
      if (token === undefined) return undefined;
      const { keys } = token.issuer;
      if (token.generation !== keys.generation || !keys.ready) {
        verified.delete(text);
        return undefined;
      }
      assertStillValid(token, nowMs());
      stats.hits += 1;
      return token;
    },
    async verify(text) {
      const refusal = refused.recall(text, keysNow());
      if (refusal !== undefined) {
        stats.refusedFromMemory += 1;
        throw refusal;
      }
      const others = underWay.get(text);
      if (others === undefined) {
        stats.misses += 1;
        const judging = judge(text);
        underWay.set(text, judging);
        return judging;
      }
      try {
        const token = await others;
        stats.hits += 1;
        return token;
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        stats.refusedFromMemory += 1;
        throw refusedAgain(error);
      }
    },
    *held() {
      for (const text of verified.rkeys()) {
        const token = verified.peek(text);
        if (token !== undefined) yield [text, token];
      }
    },
    get stats() {
      return { ...stats, size: verified.size };
    },
  };
}
