import { KeySetUnavailable, keyIssuer } from '@countersign/jwks';
import { AppError } from '../errors.ts';
import { sourcesOf } from './claim-mapping/claim-reader.ts';
import { examineHeader, headerFindings, issuerFinding, keyIssuerFinding } from './claim-mapping/examine-header.ts';
import { findIssuer } from './claim-mapping/find-issuer.ts';
import { type Finding, refusalFor } from './claim-mapping/finding.ts';
import { readClaims } from './claim-mapping/read-claims.ts';
import { parseCompactToken } from './compact-token.ts';
import type { TrustedIssuer, VerifiedToken } from './verified-tokens.ts';
import { keyAlgorithmOf, verifySignature } from './verify-signature.ts';

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
    const algorithm = keyAlgorithmOf(named);
    const iss = Object.hasOwn(payload, 'iss') ? payload.iss : undefined;
    const issuer = typeof iss === 'string' ? findIssuer(issuers, iss) : undefined;
    if (issuer === undefined) throw refusalFor(issuerFinding(iss, issuers.values()));
    const { config, keys } = issuer;
    refuseFirst(examineHeader(header, config), config);

    if (!keys.ready || keys.find(kid, algorithm) === undefined) await lookUpKey(issuer, kid, algorithm);
    const detail = { kid, issuer: config.issuer };
    if (keys.find(kid, algorithm) === undefined) throw new AppError('token_key_unknown', { detail });
    const signature = await verifySignature(token, keys, kid, named);
    if (signature === undefined) {
      const reason = 'the token was changed or forged, or the key may have changed and kept its kid';
      throw new AppError('token_signature_invalid', { detail: { ...detail, reason } });
    }
    const { key, generation } = signature;
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
