import {
  contentDigest,
  type IdentityFacts,
  newNonce,
  type PreparedIdentity,
  prepareIdentity,
  type SigningKey,
  signRequest,
} from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import { AppError } from '../errors.ts';
import type { Admitted, Caller, Header, Signed, Unmarked } from '../exchange.ts';
import { assertStillGood, type VerifiedToken } from '../tokens/verified-token.ts';
import { passingCookies } from './cookies.ts';
import { readBody } from './read-body.ts';

export type SignOptions = Readonly<{
  keyFor(upstream: Upstream, nowSec: number): SigningKey;
  lifetimeSec: number;
  nowMs(): number;
}>;

type Body = Signed['outbound']['body'];

const emptyDigest = contentDigest(new Uint8Array(0));

/**
 * Writes down who calls, bound to this one request, and settles everything that goes to the service. The route's body
 * mode is carried out here, since in digest mode the signature covers the body. Called again for each attempt.
 *
 * The stage throws AppError `body_not_allowed`, `unsupported_media_type`, `payload_too_large`, `request_timeout`, and whatever has
 * become true of the token since it was verified: a slow body can outlive a logout.
 */
export function createSign(options: SignOptions): (admitted: Admitted) => Signed | Promise<Signed> {
  const { keyFor, lifetimeSec, nowMs } = options;
  const anonymous = new Map<string, PreparedIdentity>();

  function prepared(caller: Caller, audience: string): PreparedIdentity {
    const known = caller.kind === 'user' ? caller.token.prepared : anonymous;
    let identity = known.get(audience);
    if (identity === undefined) {
      identity =
        caller.kind === 'user' ? prepareUser(caller.token, audience) : prepareIdentity({ kind: 'anonymous' }, audience);
      known.set(audience, identity);
    }
    return identity;
  }

  function seal(admitted: Admitted, body: Body): Signed {
    const { method, path, query, route, caller, client, record, upgrade } = admitted;
    const now = nowMs();
    if (caller.kind === 'user') assertStillGood(caller.token, now);
    const { upstream } = route;
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
        ...(digested && { contentDigest: Buffer.isBuffer(body) ? contentDigest(body) : emptyDigest }),
        ...(digested && admitted.body.type !== undefined && { contentType: admitted.body.type }),
        ...(upgrade && { upgrade }),
      },
      { createdSec: nowSec, lifetimeSec, nonce: newNonce() },
    );
    record.decidedMs = performance.now() - record.startedAt;
    const headers = [...forwardedHeaders(admitted), ...identityHeaders];
    const signed: Unmarked<Signed> = { ...admitted, outbound: { method, target: path + query, headers, body } };
    return signed as Signed;
  }

  return (admitted) => {
    const { route, method, body } = admitted;
    if (!body.present) return seal(admitted, undefined);
    if (route.body.mode === 'none' || !hasContent(method)) throw new AppError('body_not_allowed');
    if ((body.length ?? 0) > route.body.maxBytes) throw new AppError('payload_too_large');
    if (route.body.mode === 'stream') return seal(admitted, 'stream');
    // Whoever decodes it would see other bytes than the ones that are signed, and perhaps very many of them.
    if (body.encoding !== undefined)
      throw new AppError('unsupported_media_type', { detail: { reason: 'content-encoding' } });
    admitted.acceptBody();
    return readBody(admitted.request, route.body.maxBytes).then((bytes) => seal(admitted, bytes));
  };
}

/** A body of GET and HEAD has no meaning that all would agree on (RFC 9110 section 9.3.1). */
const hasContent = (method: string): boolean => method !== 'GET' && method !== 'HEAD';

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

/** @throws AppError `token_claims_invalid` where a claim does not fit the contract. */
function prepareUser({ claims }: VerifiedToken, audience: string): PreparedIdentity {
  const { userId, role, tenantId, issuer, sessionId, authTimeSec, authMethods } = claims;
  const facts: IdentityFacts = {
    kind: 'user',
    userId,
    role,
    tenantId,
    context: {
      iss: issuer,
      ...(sessionId !== undefined && { sid: sessionId }),
      ...(authTimeSec !== undefined && { authTime: authTimeSec }),
      ...(authMethods !== undefined && { amr: authMethods }),
    },
  };
  try {
    return prepareIdentity(facts, audience);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AppError('token_claims_invalid', { cause });
  }
}
