import {
  contentDigest,
  type IdentityContext,
  type IdentityFacts,
  newNonce,
  type PreparedIdentity,
  prepareIdentity,
  type SigningKey,
  signRequest,
} from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { type Admitted, type Caller, type Header, type Signed, tokenStatusOf, type Unmarked } from '../exchange.ts';
import { filterCookies } from '../http/cookies.ts';
import { maxDepth, type Transaction, type TxnTokens } from '../tokens/txn-token.ts';
import { assertStillValid } from '../tokens/verified-token.ts';
import { hasContent, takeContent } from './read-body.ts';

export type SignOptions = Readonly<{
  keyFor(upstream: Upstream, nowSec: number): SigningKey;
  txnTokens: Pick<TxnTokens, 'mint'>;
  lifetimeSec: number;
  nowMs(): number;
}>;

type Body = Signed['outbound']['body'];

const emptyDigest = contentDigest(new Uint8Array(0));

/**
 * Signs the caller's identity for this one request, and settles exactly what the service receives. The route's body
 * mode is applied here, because in digest mode the signature covers the body. `signAgain` is for a retry: the same
 * request id and body, a new nonce and time.
 *
 * Both throw AppError `body_not_allowed`, `unsupported_media_type`, `payload_too_large`, `request_timeout` and
 * `call_too_deep`. They check the token again, because a slow body can outlive a logout: see {@link assertStillValid}
 * for its codes.
 */
export function createSign(options: SignOptions): Readonly<{
  sign(admitted: Admitted): Signed | Promise<Signed>;
  signAgain(signed: Signed): Signed;
}> {
  const { keyFor, txnTokens, lifetimeSec, nowMs } = options;
  const anonymous = new Map<string, PreparedIdentity>();

  function preparedFor(caller: Caller, audience: string): PreparedIdentity {
    // Each nested call has a txn-token of its own, so a cache would never hit.
    if (caller.kind === 'service') return prepareCaller(caller, audience);
    // The key of a proof without a bound token belongs to this request only.
    if (caller.jkt !== undefined && !(caller.kind === 'user' && caller.bound)) return prepareCaller(caller, audience);
    const known = caller.kind === 'user' ? caller.token.prepared : anonymous;
    let identity = known.get(audience);
    if (identity === undefined) {
      identity = prepareCaller(caller, audience);
      known.set(audience, identity);
    }
    return identity;
  }

  function signAttempt(admitted: Admitted, body: Body): Signed {
    const { method, path, query, route, caller, client, record, upgrade } = admitted;
    const now = nowMs();
    const token = tokenStatusOf(caller);
    if (token !== undefined) assertStillValid(token, now);
    const { upstream } = route;
    const transaction = upstream.txnToken ? nextTransaction(admitted) : undefined;
    const nowSec = Math.floor(now / 1000);
    const digested = route.body.mode === 'digest' && hasContent(method);
    const identityHeaders = signRequest(
      keyFor(upstream, nowSec),
      preparedFor(caller, upstream.name),
      {
        method,
        path,
        query,
        requestId: record.requestId,
        ip: client.address,
        ...(transaction && { txnToken: txnTokens.mint(transaction, upstream.name) }),
        ...(digested && { contentDigest: Buffer.isBuffer(body) ? contentDigest(body) : emptyDigest }),
        ...(digested && admitted.body.type !== undefined && { contentType: admitted.body.type }),
        ...(upgrade && { upgrade }),
      },
      { createdSec: nowSec, lifetimeSec, nonce: newNonce() },
    );
    record.decidedMs ??= performance.now() - record.startedAt;
    const headers = [...forwardedHeaders(admitted), ...identityHeaders];
    const signed: Unmarked<Signed> = { ...admitted, outbound: { method, target: path + query, headers, body } };
    return signed as Signed;
  }

  return {
    sign(admitted) {
      const content = admitted.content ?? takeContent(admitted);
      return content instanceof Promise
        ? content.then((bytes) => signAttempt(admitted, bytes))
        : signAttempt(admitted, content);
    },
    signAgain: (signed) => signAttempt(signed, signed.outbound.body),
  };
}

/** The transaction that the service may continue in a nested call; undefined if there is no user. */
function nextTransaction({ caller, record }: Admitted): Transaction | undefined {
  if (caller.kind === 'user') {
    const { userId, role, tenantId, token } = caller;
    return { id: record.requestId, depth: 1, userId, role, tenantId, token };
  }
  if (caller.kind === 'anonymous' || caller.user === undefined) return undefined;
  const depth = caller.user.depth + 1;
  if (depth > maxDepth) throw new AppError('call_too_deep', { detail: { depth } });
  return { ...caller.user, depth };
}

/** The client's headers that may pass, and what the gateway knows of the client. */
function forwardedHeaders({ headers, credentials, client, route }: Admitted): Header[] {
  const passing: Header[] = [
    ...headers,
    ['x-forwarded-for', client.address],
    ['x-forwarded-proto', client.protocol],
    ['x-forwarded-host', client.host],
  ];
  const { authorization, dpop, cookie } = credentials;
  if (authorization !== undefined && route.forward.authorization) passing.push(['authorization', authorization]);
  if (dpop !== undefined && route.forward.dpop) passing.push(['dpop', dpop]);
  const cookies = cookie === undefined ? undefined : filterCookies(cookie, route.forward.cookies);
  if (cookies !== undefined) passing.push(['cookie', cookies]);
  return passing;
}

/**
 * Prepares what is signed about a caller. The result can be reused for the same caller and audience.
 *
 * @throws AppError `token_claims_invalid` if a claim does not fit the contract.
 */
function prepareCaller(caller: Caller, audience: string): PreparedIdentity {
  try {
    return prepareIdentity(factsOf(caller), audience);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError('token_claims_invalid', { cause });
  }
}

function factsOf(caller: Caller): IdentityFacts {
  switch (caller.kind) {
    case 'anonymous':
      return caller.jkt === undefined ? { kind: 'anonymous' } : { kind: 'anonymous', context: { jkt: caller.jkt } };
    case 'user': {
      const { userId, role, tenantId, token, jkt } = caller;
      const { issuer, sessionId, authTimeSec, authMethods } = token.claims;
      const context: IdentityContext = {
        ...originOf(issuer, sessionId),
        ...(authTimeSec !== undefined && { authTime: authTimeSec }),
        ...(authMethods !== undefined && { amr: authMethods }),
        ...(jkt !== undefined && { jkt }),
      };
      return { kind: 'user', userId, role, tenantId, context };
    }
    case 'service': {
      const { serviceId, user } = caller;
      if (user === undefined) return { kind: 'service', serviceId };
      const { userId, role, tenantId, token } = user;
      const context = originOf(token.issuer.config.issuer, token.claims.sessionId);
      return { kind: 'service', serviceId, user: { userId, role, tenantId }, context };
    }
  }
}

const originOf = (iss: string, sid: string | undefined): IdentityContext => ({
  iss,
  ...(sid !== undefined && { sid }),
});
