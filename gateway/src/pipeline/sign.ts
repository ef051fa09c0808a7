import {
  appendSignedHeaders,
  ContextTooLong,
  contentDigest,
  emptyContentDigest,
  type IdentityClaims,
  newNonce,
  type PreparedIdentity,
  prepareIdentity,
  type RequestToSign,
} from '@countersign/identity';
import { AppError } from '../errors.ts';
import { filterCookies } from '../http/cookies.ts';
import type { KeyFor, Repeat } from '../keys/signing-keys.ts';
import { contextOf, delegationOf } from '../tokens/claims.ts';
import { maxDepth, type Transaction, type TxnTokens } from '../tokens/txn-token.ts';
import { assertStillValid } from '../tokens/verified-tokens.ts';
import {
  type Admitted,
  type Caller,
  type Exchange,
  hasContent,
  type Outbound,
  type Signed,
  type SignedOutbound,
  tokenStatusOf,
} from './exchange.ts';
import type { IdentityTokens } from './identity-token.ts';
import { takeContent } from './read-body.ts';

export type SignStageOptions = Readonly<{
  keyFor: KeyFor;
  txnTokens: Pick<TxnTokens, 'mint'>;
  identityTokens: IdentityTokens;
  lifetimeSec: number;
  nowMs(): number;
  /** Whether another proxy forwards the request. */
  isForwardedElsewhere?: boolean;
}>;

type Body = Outbound['body'];

/**
 * Signs the caller's identity for this one request, and fixes exactly what the service receives. Applies the route's
 * body mode, because in digest mode the signature covers the body. `signAgain` signs a retry, with the same request id
 * and body and a new nonce and time. The retry gets its own outbound request, which the first attempt never sees. If
 * `refused` is an attempt that was not handled, the retry keeps its nonce and time, so that the service can accept
 * only one of the two. Otherwise an attacker on the network path could hold back the first one and refuse it in the
 * service's name.
 *
 * Both functions throw AppError `body_not_allowed`, `unsupported_media_type`, `payload_too_large`, `request_timeout`
 * and `call_too_deep`. They check the token again, because a slow body can outlive a logout: see
 * {@link assertStillValid} for the codes.
 */
export function createSign(options: SignStageOptions): Readonly<{
  sign(admitted: Admitted): Signed | Promise<Signed>;
  signAgain(signed: Signed, refused?: SignedOutbound): SignedOutbound;
}> {
  const { keyFor, txnTokens, identityTokens, lifetimeSec, nowMs, isForwardedElsewhere = false } = options;
  const anonymous = new Map<string, PreparedIdentity>();

  function preparedFor(caller: Caller, audience: string): PreparedIdentity {
    // Each nested call has a different txn-token, so a cache entry would never be used again.
    if (caller.kind === 'service') return prepareCaller(caller, audience);
    // If a proof comes without a bound token, its key belongs only to this request.
    if (caller.jkt !== undefined && (caller.kind === 'anonymous' || !caller.bound))
      return prepareCaller(caller, audience);
    const known = caller.kind === 'anonymous' ? anonymous : caller.token.prepared;
    let identity = known.get(audience);
    if (identity === undefined) {
      identity = prepareCaller(caller, audience);
      known.set(audience, identity);
    }
    return identity;
  }

  function signAttempt(admitted: Admitted, body: Body, refused?: Outbound): SignedOutbound {
    const { method, path, query, route, policy, caller, record } = admitted;
    const now = nowMs();
    const token = tokenStatusOf(caller);
    if (token !== undefined) {
      record.rule = policy[0].text;
      assertStillValid(token, now);
      record.rule = undefined;
    }
    const { upstream } = route;
    const nowSec = Math.floor(now / 1000);
    const { createdSec, nonce } = refused ?? { createdSec: nowSec, nonce: newNonce() };
    const transaction = upstream.txnToken ? nextTransaction(admitted) : undefined;
    const txnToken = transaction && txnTokens.mint(transaction, upstream.name);
    const headers = forwardedHeaders(admitted);
    const trustedFrom = headers.length;
    const { trace } = record;
    if (trace !== undefined)
      headers.push('traceparent', isForwardedElsewhere ? trace.traceparent() : trace.nextAttempt());
    const requestTarget = path + query;
    const request = requestToSign(admitted, body, txnToken);
    const { identity } = upstream;
    if (identity.headers) {
      const key = keyFor(upstream, nowSec, repeatOf(admitted, body));
      const prepared = preparedFor(caller, upstream.name);
      appendSignedHeaders(headers, key, prepared, request, { createdSec, lifetimeSec, nonce });
    } else appendUnsigned(headers, request);
    if (identity.token !== undefined) {
      identityTokens.append(headers, caller, upstream, { target: requestTarget, request, createdSec, nonce });
    }
    record.decidedMs ??= performance.now() - record.startedAt;
    const outbound: Outbound = { method, requestTarget, headers, trustedFrom, body, createdSec, nonce };
    return outbound as SignedOutbound;
  }

  function signFirst(admitted: Admitted, body: Body): Signed {
    const exchange: Exchange = admitted;
    exchange.outbound = signAttempt(admitted, body);
    return admitted as Signed;
  }

  return {
    sign(admitted) {
      if (!admitted.body.present) return signFirst(admitted, undefined);
      const content = admitted.content ?? takeContent(admitted);
      return content instanceof Promise
        ? content.then((bytes) => signFirst(admitted, bytes))
        : signFirst(admitted, content);
    },
    signAgain: (signed, refused) => signAttempt(signed, signed.outbound.body, refused),
  };
}

/** For a service that gets its identity from a token alone. */
function appendUnsigned(headers: string[], { requestId, txnToken }: RequestToSign): void {
  headers.push('x-request-id', requestId);
  if (txnToken !== undefined) headers.push('txn-token', txnToken);
}

/** Upgrades and streamed bodies cannot be sent again if the service does not know the key. */
const repeatOf = ({ upgrade }: Admitted, body: Body): Repeat =>
  body === 'stream' || upgrade !== undefined ? 'once' : 'repeatable';

/** Returns what the signature covers in this request. That includes an empty body, except in stream mode. */
function requestToSign(admitted: Admitted, body: Body, txnToken: string | undefined): RequestToSign {
  const { method, path, query, route, client, record, upgrade } = admitted;
  const isDigested = route.body.mode !== 'stream' && hasContent(method);
  return {
    method,
    path,
    query,
    requestId: record.requestId,
    ip: client.address,
    txnToken,
    contentDigest: isDigested ? digestOf(body) : undefined,
    contentType: isDigested ? admitted.body.type : undefined,
    upgrade,
  };
}

const digestOf = (body: Body): string => (Buffer.isBuffer(body) ? contentDigest(body) : emptyContentDigest);

/** What the service may continue in a nested call. Undefined without a user or an OAuth client. */
function nextTransaction({ caller, record }: Admitted): Transaction | undefined {
  if (caller.kind === 'anonymous') return undefined;
  if (caller.kind !== 'service') return { id: record.requestId, depth: 1, token: caller.token };
  if (caller.principal === undefined) return undefined;
  const depth = caller.principal.depth + 1;
  if (depth > maxDepth) throw new AppError('call_too_deep', { detail: { depth } });
  return { ...caller.principal, depth };
}

/** Returns the client's headers to forward, and the gateway's headers about the client, as a new list to append to. */
function forwardedHeaders({ headers, credentials, client, route }: Admitted): string[] {
  const passing = headers.slice();
  passing.push(
    'x-forwarded-for',
    client.address,
    'x-forwarded-proto',
    client.protocol,
    'x-forwarded-host',
    client.host,
  );
  const { authorization, dpop, cookie } = credentials;
  if (authorization !== undefined && route.forward.authorization) passing.push('authorization', authorization);
  if (dpop !== undefined && route.forward.dpop) passing.push('dpop', dpop);
  const cookies = cookie === undefined ? undefined : filterCookies(cookie, route.forward);
  if (cookies !== undefined) passing.push('cookie', cookies);
  return passing;
}

/** @throws AppError `token_context_too_long`, `token_claims_invalid`. Reusable for this caller and audience. */
function prepareCaller(caller: Caller, audience: string): PreparedIdentity {
  try {
    return prepareIdentity(factsOf(caller), audience);
  } catch (cause) {
    if (cause instanceof ContextTooLong) throw new AppError('token_context_too_long', { cause });
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError('token_claims_invalid', { cause });
  }
}

function factsOf(caller: Caller): IdentityClaims {
  const { kind } = caller;
  if (kind === 'anonymous') return { kind, context: caller.jkt === undefined ? undefined : { jkt: caller.jkt } };
  if (kind === 'service') {
    const { serviceId, principal } = caller;
    if (principal === undefined) return { kind, serviceId };
    const { claims } = principal.token;
    const context = delegationOf(claims);
    return claims.kind === 'client'
      ? { kind, serviceId, client: claims, context }
      : { kind, serviceId, user: claims, context };
  }
  const { claims } = caller.token;
  return { ...claims, context: contextOf(claims, caller.jkt) };
}
