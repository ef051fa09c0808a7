import { AppError, type Code, errorTable } from '../errors.ts';
import type { Authenticated, Caller, Matched } from '../exchange.ts';
import { addressKey } from '../limits/address-key.ts';
import type { AccessTokens } from '../tokens/access-tokens.ts';
import type { Dpop } from '../tokens/dpop/dpop.ts';
import type { FailureThrottle } from '../tokens/failure-throttle.ts';
import type { VerifiedToken } from '../tokens/verified-token.ts';
import { asCaller } from './as-caller.ts';
import { readCredentials } from './credentials.ts';
import { createProve } from './prove.ts';

export type AuthenticateOptions = Readonly<{
  tokens: AccessTokens;
  throttle: FailureThrottle;
  /** Undefined: no proof can be checked, so a bound token is good for nothing. */
  dpop: Dpop | undefined;
}>;

/**
 * Says who asks. Whether that is enough is authorize's question. `public` routes ignore the header; on `optional` ones a token
 * may be absent, but not invalid (CVE-2021-21378). A token that is bound to a key counts with a proof of that key only.
 *
 * The stage throws AppError `invalid_request` for a malformed header, `token_*` and `dpop_*`, at token endpoints `invalid_dpop_proof` and
 * `use_dpop_nonce`, `rate_limited` for an address that tried too many bad tokens, and `issuer_keys_unavailable`,
 * `revocations_unavailable` or `dpop_replay_unavailable` where the fault is ours. At once for a bearer token that is remembered,
 * otherwise as a rejection.
 */
export function createAuthenticate({
  tokens,
  throttle,
  dpop,
}: AuthenticateOptions): (matched: Matched) => Authenticated | Promise<Authenticated> {
  const prove = createProve(dpop);

  return (matched) => {
    const { route, record } = matched;
    const { authorization } = matched.credentials;
    if (route.auth === 'public' || authorization === undefined) {
      return prove.isWanted(matched) ? withoutToken(matched) : asCaller(matched, anonymous, undefined);
    }
    const { scheme, text } = readCredentials(authorization, route.schemes);
    record.scheme = scheme;
    // Not counted where it is over: it costs nothing, and whoever shares the address would wait for those who have not heard of their logout.
    const remembered = tokens.recall(text);
    if (remembered !== undefined && scheme === 'Bearer' && !prove.isWanted(matched)) {
      return asCaller(matched, user(bearer(remembered), undefined), undefined);
    }
    return withToken(matched, text, remembered);
  };

  async function withToken(matched: Matched, text: string, remembered: VerifiedToken | undefined) {
    // Who has a token that is known to be good is not to suffer from a neighbour's bad ones, whatever its scheme.
    if (remembered === undefined) refuseThrottled(matched);
    try {
      const token = remembered ?? (await tokens.verify(text));
      const isBound = matched.record.scheme === 'DPoP';
      if (isBound) return asCaller(matched, user(token, await prove.token(matched, text, token)), undefined);
      const jkt = prove.isWanted(matched) ? await prove.sender(matched) : undefined;
      return asCaller(matched, user(bearer(token), jkt), undefined);
    } catch (error) {
      throw counted(error, matched);
    }
  }

  async function withoutToken(matched: Matched): Promise<Authenticated> {
    refuseThrottled(matched);
    try {
      return asCaller(matched, { kind: 'anonymous', jkt: await prove.sender(matched) }, undefined);
    } catch (error) {
      throw counted(error, matched);
    }
  }

  /** A remembered token was let through without that question: where its proof is bad, it ends with 429 like any other. */
  function counted(error: unknown, matched: Matched): unknown {
    if (isAttempt(error)) {
      refuseThrottled(matched);
      throttle.failed(addressKey(matched.client.address));
    }
    return error;
  }

  function refuseThrottled({ client }: Matched): void {
    const waitSec = throttle.waitSec(addressKey(client.address));
    if (waitSec === 0) return;
    throw new AppError('rate_limited', {
      headers: { 'retry-after': String(waitSec) },
      detail: { limit: 'refused tokens by address' },
    });
  }
}

/** Being asked for a nonce is how a client learns of it, and no attempt at anything. */
const uncounted: ReadonlySet<Code> = new Set(['dpop_nonce_required', 'use_dpop_nonce']);

function isAttempt(error: unknown): boolean {
  return error instanceof AppError && errorTable[error.code as Code].fault === 'caller' && !uncounted.has(error.code);
}

/** @throws AppError `token_proof_missing`: as a bearer token it would be worth as much to whoever stole it. */
function bearer(token: VerifiedToken): VerifiedToken {
  if (token.claims.jkt !== undefined) throw new AppError('token_proof_missing');
  return token;
}

const anonymous: Caller = { kind: 'anonymous', jkt: undefined };

function user(token: VerifiedToken, jkt: string | undefined): Caller {
  const { userId, role, tenantId } = token.claims;
  return { kind: 'user', userId, role, tenantId, token, bound: token.claims.jkt !== undefined, jkt };
}
