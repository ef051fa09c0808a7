import {
  createServiceVerifier,
  IdentityRefused,
  IdentityUnavailable,
  type RefusalReason,
  type ReplayStore,
  type VerifiedServiceHead,
} from '@countersign/identity';
import { AppError, type Code } from '../errors.ts';
import type { Authenticated, Caller, Matched } from '../exchange.ts';
import type { ServiceKeys } from '../keys/service-keys.ts';
import type { PresentedTransaction, TxnTokens } from '../tokens/txn-token.ts';
import { assertStillValid } from '../tokens/verified-token.ts';
import { asCaller } from './as-caller.ts';
import { takeContent } from './content.ts';

export type AuthenticateServiceOptions = Readonly<{
  findKey: ServiceKeys['find'];
  replay: ReplayStore;
  txnTokens: Pick<TxnTokens, 'read'>;
  nowMs(): number;
}>;

/** A service signs for this long at most, so that a captured call is dead soon. */
const maxLifetimeSec = 30;

/**
 * Says which service makes a nested call, and for whom: its own signature, over the very bytes that arrived, then the txn-token
 * that it was handed. The body is read here, since the signature covers it; the nonce is used up last.
 *
 * The signature is read from the raw headers: `sanitize` has dropped it already, so it is never passed on.
 *
 * The stage throws AppError `caller_*`, `call_expired`, `call_replayed`, `txn_token_*`, `token_revoked` after the user's logout,
 * whatever a body is refused with, and `unavailable` or `revocations_unavailable` where the fault is ours.
 */
export function createAuthenticateService(
  options: AuthenticateServiceOptions,
): (matched: Matched) => Promise<Authenticated> {
  const { findKey, replay, txnTokens, nowMs } = options;
  const verifier = createServiceVerifier({ findKey, replay, maxLifetimeSec, nowMs });

  function userOf({ serviceId, txnToken }: VerifiedServiceHead): PresentedTransaction | undefined {
    if (txnToken === undefined) return undefined;
    const user = txnTokens.read(txnToken, serviceId);
    assertStillValid(user.token, nowMs());
    return user;
  }

  return async (matched) => {
    const { method, rawTarget: target, request, record } = matched;
    try {
      const head = verifier.verifyHead({ method, target, rawHeaders: request.rawHeaders });
      const { serviceId } = head;
      record.serviceId = serviceId;
      const user = userOf(head);
      const caller: Caller = { kind: 'service', serviceId, ...(user && { user }) };
      const content = await takeContent(matched);
      // The configuration refuses a stream here: its digest would be known only when it had been passed on.
      if (content === 'stream') throw new AppError('internal_error', { detail: { reason: 'a streamed nested call' } });
      // The signature covers the txn-token, so the call is younger than it.
      await head.complete(content ?? new Uint8Array(0), user?.issuedAtSec);
      return asCaller(matched, caller, content);
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
  // Our memory began after it: nothing is wrong with the call.
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
