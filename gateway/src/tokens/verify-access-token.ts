import { KeySetUnavailable, keyIssuer } from '@countersign/jwks';
import { compactVerify } from 'jose';
import { AppError } from '../errors.ts';
import { parseCompactToken } from './compact-token.ts';
import { sourcesOf } from './providers/claim-reader.ts';
import { examineHeader, headerFindings, issuerFinding, keyIssuerFinding } from './providers/examine-header.ts';
import { findIssuer } from './providers/find-issuer.ts';
import { type Finding, refusalFor } from './providers/finding.ts';
import { readClaims } from './providers/read-claims.ts';
import type { TrustedIssuer, VerifiedToken } from './verified-tokens.ts';

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
  // Compiled before the first token arrives.
  for (const { config } of issuers.values()) sourcesOf(config);

  return async (token) => {
    const { header, payload } = parseCompactToken(token);
    const { algorithm: named, kid } = readHeader(header);
    // RFC 9864 renames EdDSA to Ed25519. The configuration uses the old name.
    const algorithm = named === 'Ed25519' ? 'EdDSA' : named;
    const iss = Object.hasOwn(payload, 'iss') ? payload.iss : undefined;
    const issuer = typeof iss === 'string' ? findIssuer(issuers, iss) : undefined;
    if (issuer === undefined) throw refusalFor(issuerFinding(iss, issuers.values()));
    const { config, keys } = issuer;
    refuseFirst(examineHeader(header, config), config);

    if (!keys.ready || keys.find(kid, algorithm) === undefined) await lookUpKey(issuer, kid, algorithm);
    // Read the generation together with the key: a later change of the key set makes the cached result void.
    const { generation } = keys;
    const key = keys.find(kid, algorithm);
    if (key === undefined) throw new AppError('token_key_unknown', { detail: { kid, issuer: config.issuer } });
    try {
      await compactVerify(token, key, { algorithms: [named] });
    } catch (cause) {
      // Any error of jose is the token's fault, including an ECDSA signature in DER or with r = s = 0.
      throw new AppError('token_signature_invalid', { cause, detail: { kid, issuer: config.issuer } });
    }
    refuseFirst(keyIssuerFinding(keyIssuer(key), String(iss), config), config);
    const claims = readClaims(header, payload, config, nowMs());
    return { claims, kid, issuer, generation, prepared: new Map(), bucketKeys: undefined };
  };
}

function refuseFirst([first]: readonly Finding[], { issuer }: TrustedIssuer['config']): void {
  if (first !== undefined) throw refusalFor(first, issuer);
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

/** @throws AppError for a header that no issuer may send. */
function readHeader(header: Readonly<Record<string, unknown>>): { algorithm: string; kid: string } {
  const [first] = headerFindings(header);
  if (first !== undefined) throw refusalFor(first);
  return { algorithm: String(header.alg), kid: String(header.kid) };
}
