import { AppError, type Code, errorTable } from '../errors.ts';
import type { Authenticated, Caller, Matched } from '../exchange.ts';
import { addressKey } from '../limits/address-key.ts';
import type { AccessTokens } from '../tokens/access-tokens.ts';
import type { FailureThrottle } from '../tokens/failure-throttle.ts';
import type { VerifiedToken } from '../tokens/verified-token.ts';
import { asCaller } from './as-caller.ts';

// RFC 6750 section 2.1: the scheme (in any case, RFC 9110 section 11.1), one space, one token. No list, no parameters.
const bearer = /^bearer ([A-Za-z0-9._~+/-]+=*)$/i;
const bearerScheme = /^bearer(?:\s|,|$)/i;

/**
 * Says who asks. Whether that is enough is authorize's question. `public` routes ignore the header; on `optional` ones a token
 * may be absent, but not invalid (CVE-2021-21378).
 *
 * The stage throws AppError `invalid_request` for a malformed header, `token_*`, `rate_limited` for an address that tried
 * too many bad tokens, and `issuer_keys_unavailable` or `revocations_unavailable` where the fault is ours. At once for a
 * token that is remembered, otherwise as a rejection.
 */
export function createAuthenticate(
  tokens: AccessTokens,
  throttle: FailureThrottle,
): (matched: Matched) => Authenticated | Promise<Authenticated> {
  return (matched) => {
    const { authorization } = matched.credentials;
    if (matched.route.auth === 'public' || authorization === undefined) return asCaller(matched, anonymous, undefined);
    const text = readBearer(authorization);
    try {
      const remembered = tokens.recall(text);
      if (remembered !== undefined) return asCaller(matched, user(remembered), undefined);
    } catch (error) {
      throw counted(error, matched, throttle);
    }
    return verify(matched, text);
  };

  async function verify(matched: Matched, text: string): Promise<Authenticated> {
    const waitSec = throttle.waitSec(addressKey(matched.client.address));
    if (waitSec > 0) {
      throw new AppError('rate_limited', {
        headers: { 'retry-after': String(waitSec) },
        detail: { limit: 'refused tokens by address' },
      });
    }
    try {
      return asCaller(matched, user(await tokens.verify(text)), undefined);
    } catch (error) {
      throw counted(error, matched, throttle);
    }
  }
}

/** @throws AppError `invalid_request` on a malformed Bearer header, `token_missing` on another scheme. */
function readBearer(authorization: string): string {
  const token = bearer.exec(authorization)?.[1];
  if (token !== undefined) return token;
  if (bearerScheme.test(authorization)) {
    throw new AppError('invalid_request', {
      detail: { reason: 'malformed Authorization' },
      headers: { 'www-authenticate': 'Bearer error="invalid_request"' },
    });
  }
  throw new AppError('token_missing', { detail: { reason: 'another scheme than Bearer' } });
}

function counted(error: unknown, matched: Matched, throttle: FailureThrottle): unknown {
  if (error instanceof AppError && errorTable[error.code as Code].fault === 'caller')
    throttle.failed(addressKey(matched.client.address));
  return error;
}

const anonymous: Caller = { kind: 'anonymous' };

function user(token: VerifiedToken): Caller {
  const { userId, role, tenantId } = token.claims;
  return { kind: 'user', userId, role, tenantId, token };
}
