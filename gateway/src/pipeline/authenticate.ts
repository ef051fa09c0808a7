import { addressKey } from '@countersign/process-kit';
import type { Scheme } from '../config/config.ts';
import { AppError, type Code, errorTable } from '../errors.ts';
import type { LocalLimiter } from '../limits/limiter.ts';
import { type CertificateCheck, createCertificateCheck } from '../tokens/certificate-binding.ts';
import type { ProvenRequest } from '../tokens/dpop-proof.ts';
import type { Dpop } from '../tokens/dpop-replay.ts';
import { type LoggedPart, loggedPartOf } from '../tokens/logged-caller.ts';
import type { AccessTokens, TokenStatus, VerifiedToken } from '../tokens/verified-tokens.ts';
import { type Authenticated, type Caller, type Exchange, type Matched, tokenStatusOf } from './exchange.ts';

export type AuthenticateOptions = Readonly<{
  tokens: AccessTokens;
  /** Counts refused tokens by address, in this process: it protects the process from verification work. */
  throttle: Pick<LocalLimiter, 'take' | 'waitSec'>;
  /** If undefined, proofs cannot be checked, so bound tokens are refused. */
  dpop: Dpop | undefined;
  /** Checks the client certificate of tokens that are bound to one. Default: such tokens are refused. */
  certificates?: CertificateCheck;
}>;

/**
 * Identifies the caller by the access token. The authorize stage decides whether the caller may make the request.
 * Routes with `auth: public` ignore the token. On `optional` routes, the token may be missing but not invalid
 * (CVE-2021-21378). A token that is bound to a key needs a proof of that key.
 *
 * The stage throws AppError `invalid_request` for a malformed header, and `token_*` and `dpop_*`. A valid token
 * without a role or tenant gets `role_missing` or `tenant_missing`. Token endpoints get `invalid_dpop_proof` and
 * `use_dpop_nonce`. An address with too many refused tokens gets `rate_limited`. The codes for the gateway's own
 * faults are `issuer_keys_unavailable`, `introspection_unavailable`, `revocations_unavailable` and
 * `dpop_replay_unavailable`. The stage throws synchronously for a malformed header or a cached bearer token, and
 * otherwise rejects.
 */
export function createAuthenticate({
  tokens,
  throttle,
  dpop,
  certificates = createCertificateCheck(undefined),
}: AuthenticateOptions): (matched: Matched) => Authenticated | Promise<Authenticated> {
  return (matched) => {
    const { route, record, credentials } = matched;
    const { authorization } = credentials;
    const hasSenderProof = credentials.dpop !== undefined && route.forward.dpop;
    if (route.auth === 'public' || authorization === undefined) {
      return hasSenderProof ? withoutToken(matched) : toAuthenticated(matched, anonymous, undefined);
    }
    // The cache holds only tokens that were parsed before, so most requests need no parsing. A cached token that
    // expired or was revoked does not count as an attempt, because it needs no verification. Otherwise clients that
    // have not noticed a logout would block others at their address.
    if (authorization.startsWith('Bearer ') && !hasSenderProof) {
      record.scheme = 'Bearer';
      const known = tokens.find(authorization.slice('Bearer '.length));
      if (known !== undefined) return asBearer(matched, known, undefined);
    }
    const { scheme, text } = readCredentials(authorization, route.schemes);
    record.scheme = scheme;
    return withToken(matched, text, hasSenderProof);
  };

  async function withToken(matched: Matched, text: string, hasSenderProof: boolean): Promise<Authenticated> {
    const remembered = tokens.find(text);
    // A known valid token passes, even if other clients at the same address send invalid ones.
    if (remembered === undefined) assertNotThrottled(matched);
    try {
      const asker = { address: matched.client.address, assertAllowed: () => assertNotThrottled(matched) };
      const token = remembered ?? (await tokens.verify(text, asker));
      if (matched.record.scheme !== 'DPoP') {
        const jkt = hasSenderProof ? await proveSender(matched) : undefined;
        return asBearer(matched, token, jkt);
      }
      const { claims } = token;
      certificates(claims, matched.peer);
      if (claims.jkt === undefined) throw new AppError('token_unbound');
      return toAuthenticated(matched, bearerCaller(token, await prove(matched, { text, jkt: claims.jkt })), undefined);
    } catch (error) {
      throw countFailure(error, matched);
    }
  }

  /** @throws AppError `token_proof_missing` for a bound token, because a thief could use it without the proof. */
  function asBearer(matched: Matched, token: VerifiedToken, jkt: string | undefined): Authenticated {
    if (token.claims.jkt !== undefined) throw new AppError('token_proof_missing');
    if (token.claims.certificate !== undefined) certificates(token.claims, matched.peer);
    return toAuthenticated(matched, bearerCaller(token, jkt), undefined);
  }

  async function withoutToken(matched: Matched): Promise<Authenticated> {
    assertNotThrottled(matched);
    try {
      return toAuthenticated(matched, { kind: 'anonymous', jkt: await proveSender(matched) }, undefined);
    } catch (error) {
      throw countFailure(error, matched);
    }
  }

  /** Returns the thumbprint of the proof's key. A protected resource refuses with 401 (RFC 9449 section 7.1). */
  async function prove(matched: Matched, token: ProvenRequest['token']): Promise<string> {
    const { method, record, requestTarget, credentials } = matched;
    if (dpop === undefined || credentials.dpop === undefined) throw new AppError('token_proof_missing');
    const nonce = dpop.nonce();
    if (nonce !== undefined) record.nonce = ['dpop-nonce', nonce];
    // Uses the path before any rewrite, because a client makes its proof for the URL that it requests.
    const [path = ''] = requestTarget.split('?', 1);
    return dpop.prove(credentials.dpop, { method, path, token });
  }

  /** The route forwards proofs, so it is a token endpoint, which refuses with 400 (RFC 9449 sections 5 and 8). */
  async function proveSender(matched: Matched): Promise<string> {
    try {
      return await prove(matched, undefined);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const detail = { ...error.detail, code: error.code };
      if (error.code === 'dpop_nonce_required') throw new AppError('use_dpop_nonce', { cause: error, detail });
      if (error.code.startsWith('dpop_proof_')) throw new AppError('invalid_dpop_proof', { cause: error, detail });
      throw error;
    }
  }

  /** A cached token skips the throttle, so its invalid proof meets the throttle here. */
  function countFailure(error: unknown, matched: Matched): unknown {
    if (countsAsAttempt(error)) {
      assertNotThrottled(matched);
      throttle.take(addressKey(matched.client.address));
    }
    return error;
  }

  function assertNotThrottled({ client, record }: Matched): void {
    const waitSec = throttle.waitSec(addressKey(client.address));
    if (waitSec === 0) return;
    record.rule = undefined;
    throw new AppError('rate_limited', {
      headers: { 'retry-after': String(waitSec) },
      detail: { limit: 'refused tokens by address' },
    });
  }
}

/** A client gets its first nonce from a refusal, and a token without a role is still valid. */
const uncounted: ReadonlySet<Code> = new Set([
  'dpop_nonce_required',
  'use_dpop_nonce',
  'role_missing',
  'tenant_missing',
]);

function countsAsAttempt(error: unknown): boolean {
  return error instanceof AppError && errorTable[error.code as Code].fault === 'caller' && !uncounted.has(error.code);
}

const anonymous: Caller = { kind: 'anonymous', jkt: undefined };

/** Builds the caller from a token. `jkt` identifies the key whose proof came with the request. */
export function bearerCaller(token: VerifiedToken, jkt: string | undefined) {
  const { kind, jkt: key, certificate } = token.claims;
  return { kind, token, bound: key !== undefined || certificate !== undefined, jkt } satisfies Caller;
}

// A scheme in any case (RFC 9110 section 11.1), one space and one token, without a list or parameters. See RFC 6750
// section 2.1 and RFC 9449 section 7.1.
const credentials = /^(bearer|dpop) ([A-Za-z0-9._~+/-]+=*)$/i;
const knownScheme = /^(bearer|dpop)(?:[^!-~]|,|$)/i;

/**
 * Parses an `Authorization` header.
 *
 * @param offered The schemes that the route accepts. If the route does not offer DPoP, DPoP counts as unknown, because
 *   proofs cannot be checked without public origins. Bearer is always parsed, so that the error can say what is wrong
 *   with the token.
 * @throws AppError `invalid_request` if the header is malformed, `token_missing` for any other scheme.
 */
function readCredentials(
  authorization: string,
  offered: readonly Scheme[],
): Readonly<{ scheme: Scheme; text: string }> {
  const [, named, text] = credentials.exec(authorization) ?? [];
  if (named !== undefined && text !== undefined) {
    const scheme = schemeOf(named);
    if (scheme === 'Bearer' || offered.includes(scheme)) return { scheme, text };
  } else {
    const scheme = knownScheme.exec(authorization)?.[1];
    if (scheme !== undefined) {
      throw new AppError('invalid_request', {
        detail: { reason: 'malformed Authorization header' },
        headers: { 'www-authenticate': `${schemeOf(scheme)} error="invalid_request"` },
      });
    }
  }
  throw new AppError('token_missing', { detail: { reason: 'a scheme other than Bearer or DPoP' } });
}

const schemeOf = (named: string): Scheme => (named.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer');

const knownParts = new WeakMap<TokenStatus, LoggedPart>();

/** Serializes the claims for log lines once for each token. */
function knownPartOf(token: TokenStatus): LoggedPart {
  const known = knownParts.get(token);
  if (known !== undefined) return known;
  const part = loggedPartOf(token);
  knownParts.set(token, part);
  return part;
}

/** The last step of authenticate and authenticate-service. */
export function toAuthenticated(matched: Matched, caller: Caller, content: Buffer | undefined): Authenticated {
  const exchange: Exchange = matched;
  const { record } = exchange;
  record.identity = caller.kind;
  const token = tokenStatusOf(caller);
  record.claims = token?.claims;
  record.caller = token && knownPartOf(token);
  if (caller.kind === 'service') record.transactionId = caller.principal?.id;
  exchange.caller = caller;
  exchange.content = content;
  return matched as Authenticated;
}
