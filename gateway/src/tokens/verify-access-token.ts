import { KeySetUnavailable, kidPattern } from '@countersign/jwks';
import { compactVerify } from 'jose';
import { AppError } from '../errors.ts';
import { readClaims } from './claims.ts';
import { parseCompactToken } from './compact-token.ts';
import type { TrustedIssuer, VerifiedToken } from './verified-token.ts';

const accessTokenTypes: readonly unknown[] = ['at+jwt', 'application/at+jwt'];
// With the first four, a token could choose its own key (CVE-2018-0114, RFC 8725 section 3.10). `crit` and `b64` change the
// meaning of the signature (RFC 7515 section 4.1.11, RFC 7797).
const refusedParameters = ['jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64'] as const;

/**
 * Creates the verifier of access tokens (RFC 9068). The token's issuer selects the key set and the allowed algorithms, so
 * the key of one issuer never verifies a token of another.
 *
 * The returned function throws AppError: `token_*` when the token is invalid, `issuer_keys_unavailable` when its key
 * cannot be looked up.
 */
export function createTokenVerifier(
  issuers: ReadonlyMap<string, TrustedIssuer>,
  nowMs: () => number,
): (token: string) => Promise<VerifiedToken> {
  return async (token) => {
    const { header, payload } = parseCompactToken(token);
    const { named, kid } = readHeader(header);
    // RFC 9864 renames EdDSA to Ed25519. The configuration uses the old name.
    const algorithm = named === 'Ed25519' ? 'EdDSA' : named;
    const issuer = typeof payload.iss === 'string' ? issuers.get(payload.iss) : undefined;
    if (issuer === undefined) throw new AppError('token_issuer_unknown');
    if (!(issuer.config.algorithms as readonly string[]).includes(algorithm)) {
      throw new AppError('token_algorithm_refused', { detail: { algorithm: algorithm.slice(0, 32) } });
    }

    if (!issuer.keys.ready || issuer.keys.find(kid, algorithm) === undefined) await lookUpKey(issuer, kid, algorithm);
    // Read the generation together with the key: a later change of the key set makes the cached result void.
    const { generation } = issuer.keys;
    const key = issuer.keys.find(kid, algorithm);
    if (key === undefined) throw new AppError('token_key_unknown', { detail: { kid } });
    try {
      await compactVerify(token, key, { algorithms: [named] });
    } catch (cause) {
      // Any error of jose is the token's fault, including an ECDSA signature in DER or with r = s = 0.
      throw new AppError('token_signature_invalid', { cause });
    }
    const claims = readClaims(payload, issuer.config, nowMs());
    return { claims, kid, issuer, generation, prepared: new Map(), bucketKeys: undefined };
  };
}

function readHeader(header: Readonly<Record<string, unknown>>): { named: string; kid: string } {
  for (const name of refusedParameters) {
    if (Object.hasOwn(header, name)) throw new AppError('token_header_refused', { detail: { parameter: name } });
  }
  if (!Object.hasOwn(header, 'typ') || !accessTokenTypes.includes(header.typ)) {
    throw new AppError('token_type_refused');
  }
  const named = Object.hasOwn(header, 'alg') ? header.alg : undefined;
  if (typeof named !== 'string') throw new AppError('token_algorithm_refused');
  const kid = Object.hasOwn(header, 'kid') ? header.kid : undefined;
  if (typeof kid !== 'string' || !kidPattern.test(kid)) throw new AppError('token_key_unknown');
  return { named, kid };
}

/** Looks up an unknown key, which may be new. The key set limits how often it fetches. */
async function lookUpKey({ keys, config }: TrustedIssuer, kid: string, algorithm: string): Promise<void> {
  try {
    await keys.lookup(kid, algorithm);
  } catch (cause) {
    if (!(cause instanceof KeySetUnavailable)) throw cause;
    throw new AppError('issuer_keys_unavailable', { cause, detail: { issuer: config.issuer } });
  }
}
