import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { decodeBase64url, parseStrictObject, verifyJws } from '@countersign/jwks';
import { readContext } from '../contract/context.ts';
import { isNonce, isUnixSeconds, uuidV7 } from '../contract/grammar.ts';
import type { ClientIdentity, ServiceIdentity, UserIdentity } from '../contract/identity.ts';
import { newRequestId } from '../contract/ids.ts';
import { IdentityRefused } from '../contract/refusal.ts';
import { assertFresh } from './freshness.ts';
import { parseIdentityHeaders } from './identity-headers.ts';
import { parseRawHeaders } from './raw-headers.ts';
import { claimNonce, isReadMethod } from './signed-message.ts';
import { assertBodyCovered, type RequestHead, type VerifierOptions } from './verify.ts';

/** `issuer` is `identity.issuer` of gateway.yaml, a slash, and the audience. `keys` are those for ES256. */
export type IdentityTokenOptions = Readonly<{ issuer: string }> &
  Pick<VerifierOptions, 'audience' | 'keys' | 'replay' | 'toleranceSec' | 'nowMs'>;

/** `requestId` is the unsigned `x-request-id`, for logs. There is no `txnToken`. `claims` are those of the access token. */
export type TokenIdentity = (UserIdentity | ClientIdentity | ServiceIdentity) &
  Readonly<{ claims: Readonly<Record<string, unknown>> }>;

type WholeRequest = RequestHead & Readonly<{ body?: Uint8Array }>;

/**
 * Verifies that the gateway recently signed a token for this service and, if it has `req`, for this request, and that it
 * is not a replay. A copy of a token without `req` works for any request until it expires.
 *
 * @param token From the header that gateway.yaml names, without `Bearer`.
 * @throws IdentityRefused, with the reasons of the headers; IdentityUnavailable.
 */
export async function verifyIdentityToken(
  token: string | undefined,
  request: WholeRequest,
  { issuer, audience, keys, replay, toleranceSec = 5, nowMs = Date.now }: IdentityTokenOptions,
): Promise<TokenIdentity> {
  if (token === undefined) throw new IdentityRefused('signature_missing');
  const parts = token.length <= 4096 ? token.split('.') : [];
  const [header, payload] = parts.slice(0, 2).map(parsePart);
  if (parts.length !== 3 || header === undefined || payload === undefined) throw malformed();
  const { kid, alg, typ, crit } = header;
  if (alg !== 'ES256') throw new IdentityRefused('algorithm_mismatch');
  // RFC 7515 section 4.1.11: `crit` names extensions that a verifier must know.
  if (typ !== 'JWT' || crit !== undefined) throw new IdentityRefused('tag_mismatch');
  if (payload.iss !== issuer || payload.aud !== audience) throw new IdentityRefused('audience_mismatch');
  const { iat, nbf, exp, jti, req } = payload;
  if (typeof kid !== 'string' || !isUnixSeconds(iat) || !isUnixSeconds(nbf) || !isUnixSeconds(exp)) throw malformed();
  const life = { createdSec: Math.max(iat, nbf), expiresSec: exp, nonce: `jti:${jti}` }; // No nonce has a colon.
  const rules = { toleranceSec, maxLifetimeSec: req === undefined ? 300 : 60 };
  const nowSec = Math.floor(nowMs() / 1000);
  assertFresh(life, nowSec, rules);
  const key = await keys.lookupTokenKey?.(kid);
  if (key === undefined) throw new IdentityRefused('key_unknown');
  if (!verifyJws(token, key, 'ES256')) throw new IdentityRefused('signature_invalid');
  const { values: headers } = parseRawHeaders(request.rawHeaders);
  const identity = identityOf(payload, headers.get('x-request-id') ?? '');
  if (req === undefined) return identity;
  if (typeof jti !== 'string' || !isNonce(jti)) throw malformed();
  assertTokenRequest(payload, request);
  const isRead = isReadMethod(request.method) && !headers.has('upgrade');
  await claimNonce(replay, audience, life, { nowSec, rules, isRead });
  return identity;
}

const malformed = () => new IdentityRefused('signature_malformed');

function parsePart(part: string): Readonly<Record<string, unknown>> {
  try {
    return parseStrictObject(decodeBase64url(part) ?? new Uint8Array(0));
  } catch {
    throw malformed(); // Without the error, whose message may quote the token.
  }
}

/**
 * Checks that a token is for this request: the check of `req` alone, for claims that a JWT library has verified. The
 * service must also accept each `jti` once.
 *
 * @throws IdentityRefused `coverage_insufficient` with the differing member of `req`, `content_digest_missing`,
 *   `content_digest_mismatch`, or `header_malformed` for a body in a content coding.
 */
export function assertTokenRequest({ req }: Readonly<{ req?: unknown }>, request: WholeRequest): void {
  const { values: headers, hasBody } = parseRawHeaders(request.rawHeaders);
  const { method, target, body = new Uint8Array(0) } = request;
  const given = new Map<string, unknown>(Object.entries(req ?? {}));
  const digest = given.get('d') as string | undefined;
  const type = digest === undefined ? undefined : headers.get('content-type');
  const [u, k] = [headers.get('upgrade'), headers.get('sec-websocket-key')];
  const actual: Readonly<Record<string, string | undefined>> = { m: method, t: target, c: type, u, k };
  for (const member of new Set([...Object.keys(actual), ...given.keys()])) {
    if (member !== 'd' && actual[member] !== given.get(member)) {
      throw new IdentityRefused('coverage_insufficient', member);
    }
  }
  assertBodyCovered(request, headers, digest, hasBody || request.hasBody === true || body.byteLength > 0);
  if (digest !== undefined && hash('sha256', body, 'base64url') !== digest) {
    throw new IdentityRefused('content_digest_mismatch');
  }
}

/** The claims of the gateway, each with its header or its member of the context. Every other claim is copied. */
const forms: Readonly<Record<string, string>> = {
  ...{ aud: 'x-identity-audience', caller: 'x-identity', client_id: 'x-client-id', user_id: 'x-user-id' },
  ...{ role: 'x-user-role', tenant_id: 'x-tenant-id', idp: 'iss', sid: 'sid', jkt: 'jkt', scope: 'scope' },
  ...{ auth_time: 'auth-time', amr: 'amr', act: 'act' },
};
const ownClaims = new Set([...Object.keys(forms), 'iss', 'sub', 'iat', 'nbf', 'exp', 'jti', 'req']);

/** Reads the caller. Its claims have the grammar of the headers, and each kind of caller has those of its headers. */
function identityOf(payload: Readonly<Record<string, unknown>>, requestId: string): TokenIdentity {
  const headers = new Map([['x-request-id', uuidV7.matches(requestId) ? requestId : newRequestId()]]);
  const members: [name: string, value: unknown][] = [];
  for (const [claim, form] of Object.entries(forms)) {
    const value = payload[claim];
    const isText = form.startsWith('x-') || claim === 'scope';
    if (value === undefined || (claim === 'amr' && isDeepStrictEqual(value, []))) continue;
    if (!isText) members.push([form, value]);
    else if (typeof value !== 'string') throw malformed();
    else if (claim === 'scope') members.push([form, value.split(' ')]);
    else headers.set(form, value);
  }
  const { sub } = payload;
  const [caller = '', user, client] = ['x-identity', 'x-user-id', 'x-client-id'].map((name) => headers.get(name));
  if (caller === 'service' && typeof sub === 'string' && sub.startsWith('service:')) {
    headers.set('x-service-id', sub.slice('service:'.length));
  } else if (!['user', 'client'].includes(caller) || sub !== (user ?? `client:${client}`)) throw malformed();
  // A user comes through the client.
  if (user !== undefined && headers.delete('x-client-id')) members.push(['client', client]);
  // A token may have more of it than a header.
  const { identity } = parseIdentityHeaders(headers.set('x-identity-context', ''));
  const context = readContext(members);
  if (context === undefined) throw malformed();
  const claims = Object.fromEntries(Object.entries(payload).filter(([name]) => !ownClaims.has(name)));
  return { ...(identity as TokenIdentity), context, claims };
}
