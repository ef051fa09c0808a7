import { contentDigest, newNonce, type PreparedIdentity, type SigningKey, signRequest } from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import { AppError } from '../errors.ts';
import { type Admitted, type Caller, type Header, type Signed, tokenStatusOf, type Unmarked } from '../exchange.ts';
import { passingCookies } from '../http/cookies.ts';
import { maxDepth, type Transaction, type TxnTokens } from '../tokens/txn-token.ts';
import { assertStillValid } from '../tokens/verified-token.ts';
import { hasContent, takeContent } from './content.ts';
import { prepareCaller } from './identity-facts.ts';

export type SignOptions = Readonly<{
  keyFor(upstream: Upstream, nowSec: number): SigningKey;
  txnTokens: Pick<TxnTokens, 'mint'>;
  lifetimeSec: number;
  nowMs(): number;
}>;

type Body = Signed['outbound']['body'];

const emptyDigest = contentDigest(new Uint8Array(0));

/**
 * Writes down who calls, bound to this one request, and settles everything that goes to the service. The route's body
 * mode is carried out here, since in digest mode the signature covers the body. `signAgain` is for another attempt: the same
 * request id and body, another nonce and time.
 *
 * Both throw AppError `body_not_allowed`, `unsupported_media_type`, `payload_too_large`, `request_timeout`, `call_too_deep`, and
 * whatever has become true of the token since it was verified: a slow body can outlive a logout.
 */
export function createSign(options: SignOptions): Readonly<{
  sign(admitted: Admitted): Signed | Promise<Signed>;
  signAgain(signed: Signed): Signed;
}> {
  const { keyFor, txnTokens, lifetimeSec, nowMs } = options;
  const anonymous = new Map<string, PreparedIdentity>();

  function prepared(caller: Caller, audience: string): PreparedIdentity {
    // Nested calls come with a txn-token of their own each time, so there is nothing to remember.
    if (caller.kind === 'service') return prepareCaller(caller, audience);
    // A key that is not the token's is this request's alone.
    if (caller.jkt !== undefined && !(caller.kind === 'user' && caller.bound)) return prepareCaller(caller, audience);
    const known = caller.kind === 'user' ? caller.token.prepared : anonymous;
    let identity = known.get(audience);
    if (identity === undefined) {
      identity = prepareCaller(caller, audience);
      known.set(audience, identity);
    }
    return identity;
  }

  function seal(admitted: Admitted, body: Body): Signed {
    const { method, path, query, route, caller, client, record, upgrade } = admitted;
    const now = nowMs();
    const status = tokenStatusOf(caller);
    if (status !== undefined) assertStillValid(status, now);
    const { upstream } = route;
    const transaction = upstream.txnToken ? nextTransaction(admitted) : undefined;
    const nowSec = Math.floor(now / 1000);
    const digested = route.body.mode === 'digest' && hasContent(method);
    const identityHeaders = signRequest(
      keyFor(upstream, nowSec),
      prepared(caller, upstream.name),
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
      return content instanceof Promise ? content.then((bytes) => seal(admitted, bytes)) : seal(admitted, content);
    },
    signAgain: (signed) => seal(signed, signed.outbound.body),
  };
}

/** What the service may go on with: nothing, where nobody is acted for. */
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

/** What the client sent and may pass here, and what the gateway saw of the client. */
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
  const cookies = cookie === undefined ? undefined : passingCookies(cookie, route.forward.cookies);
  if (cookies !== undefined) passing.push(['cookie', cookies]);
  return passing;
}
