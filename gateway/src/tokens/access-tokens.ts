import { LRUCache } from 'lru-cache';
import { AppError, type Code } from '../errors.ts';
import { assertStillGood, type TrustedIssuer, type VerifiedToken } from './verified-token.ts';
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

type Refusal = Readonly<{ code: Code; detail: AppError['detail']; untilMs: number }>;

const maxTokens = 20_000;
const maxCharacters = 16 * 1024 * 1024;
const maxRefused = 2_000;
const refusedForMs = 5_000;

// Only what stays true of a token whatever happens next. A missing key or a token from the future may be good in a second.
const lasting: ReadonlySet<Code> = new Set([
  'token_malformed',
  'token_header_refused',
  'token_type_refused',
  'token_algorithm_refused',
  'token_issuer_unknown',
  'token_signature_invalid',
  'token_audience_refused',
  'token_claims_invalid',
  'token_tenant_refused',
  'token_role_refused',
  'token_expired',
]);

/**
 * Verifies each token once. The cache's key is the whole token, and what it holds is void as soon as the issuer's key set
 * changes (CVE-2026-33496, CVE-2026-35039); expiry and revocation are looked at on every hit, the route's rules by their own stage.
 * A flood of one bad token costs one verification.
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
  const refused = new LRUCache<string, Refusal>({ max: maxRefused });
  const { hits, misses, refusedFromMemory } = before?.stats ?? { hits: 0, misses: 0, refusedFromMemory: 0 };
  const stats = { hits, misses, refusedFromMemory };
  for (const [text, token] of before?.held() ?? []) {
    if (issuers.get(token.issuer.config.issuer) === token.issuer) verified.set(text, token);
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
      assertStillGood(token, nowMs());
      stats.hits += 1;
      return token;
    },
    async verify(text) {
      const refusal = refused.get(text);
      if (refusal !== undefined && nowMs() < refusal.untilMs) {
        stats.refusedFromMemory += 1;
        // A new error each time: the first one's cause belongs to another request.
        throw new AppError(refusal.code, { detail: { ...refusal.detail, remembered: true } });
      }
      stats.misses += 1;
      try {
        const token = await verify(text);
        assertStillGood(token, nowMs());
        verified.set(text, token);
        return token;
      } catch (error) {
        if (error instanceof AppError && lasting.has(error.code)) {
          refused.set(text, { code: error.code, detail: error.detail, untilMs: nowMs() + refusedForMs });
        }
        throw error;
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
