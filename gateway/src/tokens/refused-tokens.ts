import { LRUCache } from 'lru-cache';
import { AppError, type Code } from '../errors.ts';

/**
 * Remembers refused tokens for five seconds. `keys` is the generation of the key sets at the time: a signature that was
 * invalid may be valid under a new key with the same id.
 */
export type RefusedTokens = Readonly<{
  /** @returns Undefined when the token must be verified. */
  recall(text: string, keys: number): AppError | undefined;
  /** Remembers a refusal that stays true while the keys stay the same, and ignores others. */
  remember(text: string, keys: number, error: AppError): void;
}>;

type Refusal = Readonly<{ code: Code; detail: AppError['detail']; keys: number; untilMs: number }>;

const maxRefused = 2_000;
const refusedForMs = 5_000;

// A missing key or a token from the future may become valid within a second, so they are not in this list.
const lastingCodes: ReadonlySet<Code> = new Set([
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
  'token_client_refused',
  'token_machine_refused',
  'token_actor_invalid',
  'token_context_too_long',
  'token_requirement_unmet',
  'token_lifetime_refused',
  'token_expired',
  'role_missing',
  'tenant_missing',
]);

/** @param monotonicMs Of a clock that nothing sets: a correction of the system's clock would prolong a refusal. */
export function createRefusedTokens(monotonicMs: () => number): RefusedTokens {
  const refused = new LRUCache<string, Refusal>({ max: maxRefused });
  return {
    recall(text, keys) {
      const refusal = refused.get(text);
      if (refusal === undefined || refusal.keys !== keys || monotonicMs() >= refusal.untilMs) return undefined;
      return rememberedRefusal(refusal);
    },
    remember(text, keys, { code, detail }) {
      if (lastingCodes.has(code)) refused.set(text, { code, detail, keys, untilMs: monotonicMs() + refusedForMs });
    },
  };
}

/** Repeats a refusal for another request. The new error has no cause, because the first one's cause belongs to another request. */
export function rememberedRefusal({ code, detail }: Pick<AppError, 'code' | 'detail'>): AppError {
  return new AppError(code, { detail: { ...detail, remembered: true } });
}
