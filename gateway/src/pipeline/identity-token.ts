import { sign } from 'node:crypto';
import type { IdentityContext, RequestToSign } from '@countersign/identity';
import type { Upstream } from '../config/config.ts';
import { type IdentityToken, isReservedId, tokenIssuerOf } from '../config/schema/identity-token.ts';
import { AppError } from '../errors.ts';
import type { GatewayKeySet } from '../keys/key-directory.ts';
import type { GatewayTokenKey } from '../keys/key-files.ts';
import type { SignatureCounts } from '../keys/signing-keys.ts';
import { contextOf, delegationOf } from '../tokens/claims.ts';
import type { VerifiedToken } from '../tokens/verified-tokens.ts';
import { type Caller, tokenStatusOf } from './exchange.ts';

/** One attempt at a request, as the service receives it. A repeat of a refused attempt has the same nonce and time. */
export type TokenAttempt = Readonly<{
  target: string;
  request: Pick<RequestToSign, 'method' | 'contentDigest' | 'contentType' | 'upgrade'>;
  createdSec: number;
  nonce: string;
}>;

export type IdentityTokens = Readonly<{
  /**
   * Appends the header with the token, if the upstream gives this kind of caller one.
   *
   * @throws AppError `identity_form_unsupported` if the service would then receive no identity at all;
   *   `token_claims_invalid`, `token_context_too_long`, `token_expired`, `uri_too_long`, `unavailable`.
   */
  append(headers: string[], caller: Caller, upstream: Upstream, attempt: TokenAttempt): void;
}>;

/** Anonymous callers never get a token. */
type Receiver = Exclude<Caller, { kind: 'anonymous' }>;

type Options = Readonly<{
  keys: Pick<GatewayKeySet, 'tokenKey'>;
  /** `identity.issuer`. */
  issuer: string | undefined;
  openedOf(upstream: Upstream): Readonly<{ signatures: Pick<SignatureCounts, 'tokens'> }>;
}>;

/** The members that depend only on the caller and the upstream, as JSON without the closing brace. */
type Prepared = Readonly<{ expiresAtSec: number | undefined; own: string; copied: string; names: number }>;
type Reusable = Readonly<{ text: string; kid: string; untilSec: number }>;
type Kept = { prepared: Prepared; reusable?: Reusable };

const maxLength = 4096;

/**
 * Creates identity tokens: the facts of the signed headers as a JWT, for services with a JWT library. Prepares each
 * verified token's members once per upstream, and signs each request (`bind: request`) or reuses a token for a third
 * of its lifetime (`bind: none`).
 *
 * @see RFC 7515, RFC 7519
 */
export function createIdentityTokens({ keys, issuer = '', openedOf }: Options): IdentityTokens {
  const known = new WeakMap<VerifiedToken, Map<string, Kept>>();
  const headers = new WeakMap<GatewayTokenKey, string>();

  function keptFor(caller: Receiver, upstream: Upstream): Kept {
    // Only these callers come again with the same facts.
    if (caller.kind === 'service' || (caller.jkt !== undefined && !caller.bound))
      return { prepared: prepare(caller, upstream, issuer) };
    const before = known.get(caller.token)?.get(upstream.name);
    if (before !== undefined) return before;
    const kept = { prepared: prepare(caller, upstream, issuer) };
    known.set(caller.token, (known.get(caller.token) ?? new Map<string, Kept>()).set(upstream.name, kept));
    return kept;
  }

  function signToken(key: GatewayTokenKey, payload: string): string {
    const header = headers.get(key) ?? encode(JSON.stringify({ alg: 'ES256', typ: 'JWT', kid: key.kid }));
    headers.set(key, header);
    const signed = `${header}.${encode(payload)}`;
    const dsaEncoding = 'ieee-p1363'; // The fixed form of 64 bytes (RFC 7518 section 3.4).
    const signature = sign('sha256', Buffer.from(signed, 'latin1'), { key: key.privateKey, dsaEncoding });
    return `${signed}.${signature.toString('base64url')}`;
  }

  function tokenFor(caller: Receiver, upstream: Upstream, { bind, lifetimeSec }: IdentityToken, attempt: TokenAttempt) {
    const { createdSec: iat } = attempt;
    const counts = openedOf(upstream).signatures.tokens;
    const kept = keptFor(caller, upstream);
    const { prepared, reusable } = kept;
    const key = keys.tokenKey(iat);
    if (key === undefined)
      throw new AppError('unavailable', { detail: { reason: 'no ES256 key is currently valid for signing' } });
    const isBound = bind === 'request';
    if (!isBound && reusable !== undefined && reusable.kid === key.kid && iat < reusable.untilSec) {
      counts.reused += 1;
      return reusable.text;
    }
    const exp = Math.min(iat + lifetimeSec, prepared.expiresAtSec ?? Number.POSITIVE_INFINITY);
    // A library without tolerance would refuse the token, although the gateway still accepts the caller's.
    if (exp <= iat) throw new AppError('token_expired');
    const times = `,"iat":${iat},"nbf":${iat},"exp":${exp}`;
    const more = isBound ? `${times}${bindingTo(attempt)}}` : `${times}}`;
    let text = signToken(key, prepared.own + prepared.copied + more);
    if (text.length > maxLength && prepared.copied !== '') {
      counts.claimsLeftOut += prepared.names;
      text = signToken(key, prepared.own + more);
    }
    if (text.length > maxLength) {
      const reason = `the identity token would exceed ${maxLength} characters`;
      throw new AppError(isBound ? 'uri_too_long' : 'token_context_too_long', { detail: { reason } });
    }
    counts[isBound ? 'bound' : 'unbound'] += 1;
    if (!isBound) kept.reusable = { text, kid: key.kid, untilSec: iat + Math.floor((exp - iat) / 3) };
    return text;
  }

  return {
    append(headers, caller, upstream, attempt) {
      const { headers: hasHeaders, token: settings } = upstream.identity;
      if (settings === undefined) return;
      if (caller.kind === 'anonymous' || !settings.callers.includes(caller.kind)) {
        if (hasHeaders) return;
        const reason = `${upstream.name} receives identity tokens alone, for ${settings.callers.join(', ')}; the caller is ${caller.kind}`;
        throw new AppError('identity_form_unsupported', { detail: { reason } });
      }
      const token = tokenFor(caller, upstream, settings, attempt);
      headers.push(settings.header, settings.header === 'authorization' ? `Bearer ${token}` : token);
    },
  };

  function prepare(caller: Receiver, upstream: Upstream, base: string): Prepared {
    const { name } = upstream;
    const own = JSON.stringify({ iss: tokenIssuerOf(base, name), aud: name, ...factsOf(caller) });
    const copied = copiedBy(caller, upstream.identity.token?.claims ?? []);
    openedOf(upstream).signatures.tokens.claimsLeftOut += copied.leftOut;
    return {
      expiresAtSec: tokenStatusOf(caller)?.claims.expiresAtSec,
      own: own.slice(0, -1),
      copied: copied.members.map(([claim, value]) => `,${JSON.stringify(claim)}:${JSON.stringify(value)}`).join(''),
      names: copied.members.length,
    };
  }
}

const encode = (text: string): string => Buffer.from(text).toString('base64url');

/** `jti` and `req`: what a service compares with the request. Each member is there if the signed headers cover it. */
function bindingTo({ target, request, nonce }: TokenAttempt): string {
  const { method, contentDigest, contentType, upgrade } = request;
  const req = {
    m: method,
    t: target,
    // From `sha-256=:…:`, in base64, to base64url.
    ...(contentDigest !== undefined && { d: Buffer.from(contentDigest.slice(9, -1), 'base64').toString('base64url') }),
    ...(contentType !== undefined && { c: contentType }),
    ...(upgrade !== undefined && { u: upgrade.protocol, k: upgrade.key }),
  };
  return `,"jti":"${nonce}","req":${JSON.stringify(req)}`;
}

/** @throws AppError `token_claims_invalid`. JSON leaves out undefined members. */
function factsOf(caller: Receiver) {
  const claims = tokenStatusOf(caller)?.claims;
  const userId = claims?.userId;
  if (userId !== undefined && isReservedId(userId)) {
    throw new AppError('token_claims_invalid', { detail: { reason: 'the user id has a form that is reserved' } });
  }
  const delegated: IdentityContext = claims === undefined ? {} : delegationOf(claims);
  const context = caller.kind === 'service' ? delegated : contextOf(caller.token.claims, caller.jkt);
  const clientId = claims?.kind === 'client' ? claims.clientId : context.client;
  return {
    sub: caller.kind === 'service' ? `service:${caller.serviceId}` : (userId ?? `client:${clientId}`),
    idp: claims?.issuer,
    user_id: userId,
    role: claims?.role,
    tenant_id: claims?.tenantId,
    caller: caller.kind,
    client_id: clientId,
    scope: context.scope?.join(' '),
    sid: context.sid,
    act: context.act,
    auth_time: context.authTime,
    amr: context.amr,
    jkt: context.jkt,
  };
}

/** A nested call carries no claims besides those that every service gets. */
function copiedBy(caller: Receiver, wanted: readonly string[]) {
  const held = caller.kind === 'service' ? undefined : caller.token.claims.copied;
  const members = wanted.flatMap((claim) => {
    const value = held?.get(claim);
    return value === undefined || value === 'unfit' ? [] : [[claim, value.value] as const];
  });
  return { members, leftOut: wanted.filter((claim) => held?.get(claim) === 'unfit').length };
}
