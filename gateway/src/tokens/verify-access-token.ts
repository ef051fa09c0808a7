import { keyIssuer } from '@countersign/jwks';
import { verifySignature } from '../keys/verify-signature.ts';
import { sourcesOf } from './claim-mapping/claim-reader.ts';
import { examineHeader, headerFindings, issuerFinding, keyIssuerFinding } from './claim-mapping/examine-header.ts';
import { findIssuer } from './claim-mapping/find-issuer.ts';
import { type Finding, refusalFor } from './claim-mapping/finding.ts';
import { readClaims } from './claim-mapping/read-claims.ts';
import { parseCompactToken } from './compact-token.ts';
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
    const { alg, kid } = readHeader(header);
    const iss = Object.hasOwn(payload, 'iss') ? payload.iss : undefined;
    const issuer = typeof iss === 'string' ? findIssuer(issuers, iss) : undefined;
    if (issuer === undefined) throw refusalFor(issuerFinding(iss, issuers.values()));
    const { config, keys } = issuer;
    refuseFirst(examineHeader(header, config), config);

    const { key, generation } = await verifySignature(token, { alg, kid }, keys, config.issuer);
    refuseFirst(keyIssuerFinding(keyIssuer(key), String(iss), config), config);
    const claims = readClaims(header, payload, config, nowMs());
    return { claims, kid, issuer, generation, prepared: new Map() };
  };
}

function refuseFirst([first]: readonly Finding[], { issuer }: TrustedIssuer['config']): void {
  if (first !== undefined) throw refusalFor(first, issuer);
}

/** @throws AppError for a header that no issuer may send. */
function readHeader(header: Readonly<Record<string, unknown>>): { alg: string; kid: string } {
  const [first] = headerFindings(header);
  if (first !== undefined) throw refusalFor(first);
  return { alg: String(header.alg), kid: String(header.kid) };
}
