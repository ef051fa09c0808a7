import type { GatewayConfig } from '../config/config.ts';
import type { Finding } from '../tokens/claim-mapping/finding.ts';
import type { Claims } from '../tokens/claims.ts';

/** The settings that decide which bound tokens the public listener can accept. */
export type Listener = Pick<GatewayConfig, 'publicOrigins' | 'certificate'>;

/** Finds the bindings that the listener cannot check. It refuses tokens with such a binding, whatever the client sends. */
export function bindingFindings(
  { jkt, certificate }: Pick<Claims, 'jkt' | 'certificate'>,
  listener: Listener,
): readonly Finding[] {
  const findings: Finding[] = [];
  if (certificate !== undefined && listener.certificate?.clients === undefined) {
    findings.push({
      code: 'token_certificate_unsupported',
      claim: 'cnf',
      wanted: 'no x5t#S256, because the listener does not ask clients for a certificate',
      found: 'x5t#S256',
      fix: 'set listen.tls.clients',
    });
  }
  if (jkt !== undefined && listener.publicOrigins.length === 0) {
    findings.push({
      code: 'token_proof_missing',
      claim: 'cnf',
      wanted: 'no jkt, because DPoP proofs cannot be checked without publicOrigins',
      found: 'jkt',
      fix: 'set publicOrigins',
    });
  }
  return findings;
}
