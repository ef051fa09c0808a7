import { keyAlgorithmOf } from '@countersign/jwks';
import { parseJwt } from '@countersign/strict-jwt';
import { toleranceMs } from '../../config/config.ts';
import { verifySignature } from '../../keys/verify-signature.ts';
import { claimOf, type Payload, textsOf } from '../claim-mapping/claim-path.ts';
import { headerFindings } from '../claim-mapping/examine-header.ts';
import type { TrustedIssuer } from '../verified-tokens.ts';

/** What an issuer says about a token. `kid` is the key that signed it, and empty if none did. */
export type Answer = Readonly<{ members: Payload; kid: string }>;

const types: readonly unknown[] = ['token-introspection+jwt', 'application/token-introspection+jwt'];

/**
 * Verifies a signed answer (RFC 9701 section 5). It must be for this gateway's client and made after the question, so
 * that neither an answer to another service nor an older one can be replayed.
 *
 * @throws Error with the reason. The token is not at fault.
 */
export async function readSignedAnswer(
  text: string,
  { config, keys }: TrustedIssuer,
  clientId: string,
  { askedAtMs, nowMs }: Readonly<{ askedAtMs: number; nowMs: number }>,
): Promise<Answer> {
  const { header, payload } = parseJwt(text);
  const [finding] = headerFindings(header);
  if (finding !== undefined) throw new Error(`the signed answer has a wrong ${finding.claim}`);
  const [alg, kid] = [String(header.alg), String(header.kid)];
  require(types.includes(header.typ), 'typ');
  require((config.algorithms as readonly string[]).includes(keyAlgorithmOf(alg)), 'alg');
  await verifySignature(text, { alg, kid }, keys, config.issuer);
  require(claimOf(payload, 'iss') === config.issuer, 'iss');
  require(textsOf(claimOf(payload, 'aud'), ['aud'])?.includes(clientId) === true, 'aud');
  const iat = claimOf(payload, 'iat');
  const madeMs = typeof iat === 'number' ? iat * 1000 : Number.NaN;
  // `iat` has whole seconds.
  require(madeMs + 1000 > askedAtMs - toleranceMs && madeMs <= nowMs + toleranceMs, 'iat');
  const members = claimOf(payload, 'token_introspection');
  require(typeof members === 'object' && members !== null && !Array.isArray(members), 'token_introspection');
  return { members: members as Payload, kid };
}

function require(holds: boolean, what: string): void {
  if (!holds) throw new Error(`the signed answer has a wrong ${what}`);
}
