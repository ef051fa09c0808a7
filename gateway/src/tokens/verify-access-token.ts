import { keyIssuer } from '@countersign/jwks';
import { TurnQueue } from '@countersign/process-kit';
import { AppError } from '../errors.ts';
import { verifySignature } from '../keys/verify-signature.ts';
import { claimOf } from './claim-mapping/claim-path.ts';
import { examineHeader, headerFindings, issuerFinding, keyIssuerFinding } from './claim-mapping/examine-header.ts';
import { findIssuer } from './claim-mapping/find-issuer.ts';
import { type Finding, refusalFor } from './claim-mapping/finding.ts';
import { compileClaims } from './claim-mapping/read-claims.ts';
import { parseJwt } from './parse-jwt.ts';
import { type Asker, operator, type TrustedIssuer, type VerifiedToken } from './verified-tokens.ts';

/**
 * Creates the access token verifier (RFC 9068). The token's issuer selects the key set and the allowed algorithms, so
 * one issuer's key never verifies another issuer's token.
 *
 * The returned function throws AppError: `token_*` if the token is invalid, `issuer_keys_unavailable` if the key
 * lookup fails.
 */
export function createTokenVerifier(
  issuers: ReadonlyMap<string, TrustedIssuer>,
  nowMs: () => number,
): (token: string, asker?: Asker) => Promise<VerifiedToken> {
  // Compiled before the first token arrives.
  const compiled = new Map(
    Array.from(issuers, ([iss, issuer]) => [
      iss,
      { issuer, config: issuer.config, readClaims: compileClaims(issuer.config), lookups: lookupQueue(iss) },
    ]),
  );

  return async (token, asker = operator) => {
    const { header, payload } = parseJwt(token);
    refuseFirst(headerFindings(header));
    const [alg, kid] = [String(header.alg), String(header.kid)];
    const iss = claimOf(payload, 'iss');
    const found = typeof iss === 'string' ? findIssuer(compiled, iss) : undefined;
    if (found === undefined) throw refusalFor(issuerFinding(iss, issuers.values()));
    const { issuer, config, readClaims, lookups } = found;
    refuseFirst(examineHeader(header, config), config.issuer);
    const { key, generation } = await verifySignature(token, { alg, kid }, issuer.keys, config.issuer, (lookup) =>
      lookups.run(asker, lookup),
    );
    refuseFirst(keyIssuerFinding(keyIssuer(key), String(iss), config), config.issuer);
    const { claims, findings } = readClaims(header, payload, nowMs());
    refuseFirst(findings, config.issuer, payload.sub);
    return { claims, kid, issuer, generation, prepared: new Map() };
  };
}

/** The lookups of unknown keys. They wait for the same fetch, so a client that makes up keys must not crowd it. */
const lookupQueue = (issuer: string): TurnQueue =>
  new TurnQueue({
    concurrency: 32,
    maxWaiting: 1_000,
    maxWaitMs: 5_000,
    refusal: (reason) => new AppError('issuer_keys_unavailable', { detail: { issuer, reason } }),
  });

export function refuseFirst([first]: readonly Finding[], issuer?: string, subject?: unknown): void {
  if (first !== undefined) throw refusalFor(first, issuer, subject);
}
