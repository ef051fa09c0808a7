import type { Scheme } from './config/config.ts';
import { type Code, errorTable } from './errors.ts';
import type { RequestRecord } from './exchange.ts';
import { proofAlgorithms } from './tokens/dpop/dpop-key.ts';

const algorithms = `algs="${proofAlgorithms.join(' ')}"`;

/** What only a proof, or a token that is bound, would mend: said under DPoP, whatever the client came with. */
const aboutProofs: Partial<Record<Code, string>> = {
  token_proof_missing: 'invalid_token',
  token_unbound: 'invalid_token',
  token_key_mismatch: 'invalid_token',
  dpop_proof_invalid: 'invalid_dpop_proof',
  dpop_proof_mismatch: 'invalid_dpop_proof',
  dpop_proof_expired: 'invalid_dpop_proof',
  dpop_proof_replayed: 'invalid_dpop_proof',
  dpop_nonce_required: 'use_dpop_nonce',
};

/**
 * `WWW-Authenticate` of a refusal, in the scheme that the client used. Who brought no token is told which scheme would do here, and nothing
 * else: a bare `Bearer`, except where only a bound token would.
 *
 * @see RFC 6750 section 3, RFC 9449 section 7.1
 */
export function challengeFor(
  code: Code,
  { scheme = 'Bearer', schemes = ['Bearer'] }: Pick<RequestRecord, 'scheme' | 'schemes'>,
): Readonly<Record<string, string>> {
  if (code === 'token_missing')
    return { 'www-authenticate': schemes.includes('Bearer') ? 'Bearer' : `DPoP ${algorithms}` };
  if (code === 'insufficient_role') return challenge(scheme, 'insufficient_scope');
  const { status, title } = errorTable[code];
  const proofError = aboutProofs[code];
  if (proofError !== undefined) return challenge('DPoP', proofError, title);
  if (status !== 401) return {};
  // A service proves itself by its signature, for which no scheme is registered; one must be named (RFC 9110 section 15.5.2).
  return code.startsWith('token_') ? challenge(scheme, 'invalid_token', title) : { 'www-authenticate': 'Countersign' };
}

function challenge(scheme: Scheme, error: string, description?: string): Readonly<Record<string, string>> {
  const parameters = [
    `error="${error}"`,
    ...(description === undefined ? [] : [`error_description="${description}"`]),
    ...(scheme === 'DPoP' ? [algorithms] : []),
  ];
  return { 'www-authenticate': `${scheme} ${parameters.join(', ')}` };
}
