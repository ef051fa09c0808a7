import {
  createServiceVerifier,
  IdentityRefused,
  IdentityUnavailable,
  type RefusalReason,
  type ReplayStore,
  type VerifiedServiceHead,
} from '@countersign/identity';
import { AppError, type Code } from '../errors.ts';
import type { ServiceKeys } from '../keys/issuer-keys.ts';
import type { PresentedTransaction, TxnTokens } from '../tokens/txn-token.ts';
import { assertStillValid } from '../tokens/verified-tokens.ts';
import { toAuthenticated } from './authenticate.ts';
import type { Authenticated, Caller, Matched } from './exchange.ts';
import { takeContent } from './read-body.ts';

export type AuthenticateServiceOptions = Readonly<{
  audience: string;
  findKey: ServiceKeys['find'];
  replay: ReplayStore;
  txnTokens: Pick<TxnTokens, 'read'>;
  nowMs(): number;
}>;

/** In seconds. It limits how long a captured call can be replayed. */
const maxLifetimeSec = 30;

/**
 * Authenticates a nested call: the service by its signature, and the user or OAuth client by the txn-token that the
 * service received. The signature covers the body, so this stage reads it. The nonce is claimed last.
 *
 * The signature comes from the raw headers, because `sanitize` has removed it from the forwarded ones.
 *
 * The stage throws AppError `caller_*`, `call_expired`, `call_replayed`, `txn_token_*`, and `token_revoked` after the
 * user's logout. A body can be refused with the codes of {@link takeContent}. The codes for the gateway's own faults
 * are `unavailable` and `revocations_unavailable`.
 */
export function createAuthenticateService(
  options: AuthenticateServiceOptions,
): (matched: Matched) => Promise<Authenticated> {
  const { audience, findKey, replay, txnTokens, nowMs } = options;
  const verifier = createServiceVerifier({ audience, findKey, replay, maxLifetimeSec, nowMs });

  function principalOf({ serviceId, txnToken }: VerifiedServiceHead): PresentedTransaction | undefined {
    if (txnToken === undefined) return undefined;
    const principal = txnTokens.read(txnToken, serviceId);
    assertStillValid(principal.token, nowMs());
    return principal;
  }

  return async (matched) => {
    const { method, requestTarget: target, rawHeaders, record } = matched;
    try {
      const head = verifier.verifyHead({ method, target, rawHeaders });
      const { serviceId } = head;
      record.serviceId = serviceId;
      record.trace?.trustCaller();
      const principal = principalOf(head);
      const caller: Caller = { kind: 'service', serviceId, principal };
      const content = await takeContent(matched);
      // The configuration refuses `mode: stream` here, because the digest would be known only after the body was
      // forwarded.
      if (content === 'stream') throw new AppError('internal_error', { detail: { reason: 'a streamed nested call' } });
      // The signature covers the txn-token, so the call cannot be older than the token.
      await head.complete(content ?? new Uint8Array(0), principal?.issuedAtSec);
      return toAuthenticated(matched, caller, content);
    } catch (error) {
      throw toRefusal(error);
    }
  };
}

const codes: Partial<Record<RefusalReason, Code>> = {
  signature_missing: 'caller_missing',
  key_unknown: 'caller_unknown',
  expired: 'call_expired',
  created_in_future: 'call_expired',
  replayed: 'call_replayed',
  // The replay store started after the call was signed, so it cannot detect a replay. The call may still be valid.
  created_before_start: 'unavailable',
};

function toRefusal(error: unknown): unknown {
  if (error instanceof IdentityUnavailable) {
    return new AppError('unavailable', { cause: error, detail: { reason: 'replay memory' } });
  }
  if (!(error instanceof IdentityRefused)) return error;
  const { reason, header } = error;
  return new AppError(codes[reason] ?? 'caller_signature_refused', {
    cause: error,
    detail: { reason, ...(header !== undefined && { header }) },
  });
}
