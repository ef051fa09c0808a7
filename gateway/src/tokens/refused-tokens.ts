import { LRUCache } from 'lru-cache';
import { AppError, type Code } from '../errors.ts';

/**
 * Tokens that were refused a moment ago. `keys` says which keys were known when a token was judged: a signature that did not hold
 * may hold under another key of the same name.
 */
export type RefusedTokens = Readonly<{
  /** @returns Undefined where it has to be judged. */
  recall(text: string, keys: number): AppError | undefined;
  /** Takes what stays true of the token for as long as the keys do, and lets go of the rest. */
  remember(text: string, keys: number, error: AppError): void;
}>;

type Refusal = Readonly<{ code: Code; detail: AppError['detail']; keys: number; untilMs: number }>;

const maxRefused = 2_000;
const refusedForMs = 5_000;

// Not a missing key or a token from the future, which may be good in a second.
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

export function createRefusedTokens(nowMs: () => number): RefusedTokens {
  const refused = new LRUCache<string, Refusal>({ max: maxRefused });
  return {
    recall(text, keys) {
      const refusal = refused.get(text);
      if (refusal === undefined || refusal.keys !== keys || nowMs() >= refusal.untilMs) return undefined;
      return refusedAgain(refusal);
    },
    remember(text, keys, { code, detail }) {
      if (lasting.has(code)) refused.set(text, { code, detail, keys, untilMs: nowMs() + refusedForMs });
    },
  };
}

/** The same for another request with the same token. A new error each time: the first one's cause belongs to another request. */
export function refusedAgain({ code, detail }: Pick<AppError, 'code' | 'detail'>): AppError {
  return new AppError(code, { detail: { ...detail, remembered: true } });
}
