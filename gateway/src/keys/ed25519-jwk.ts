import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/** The public key as services fetch it, without `d`. */
export type PublicJwk = Readonly<{ kty: 'OKP'; crv: 'Ed25519'; x: string; kid: string; alg: 'EdDSA'; use: 'sig' }>;

export function publicJwkOf({ keyid, privateKey }: Readonly<{ keyid: string; privateKey: KeyObject }>): PublicJwk {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (x === undefined) throw new Error('not an ed25519 key');
  return { kty: 'OKP', crv: 'Ed25519', x, kid: keyid, alg: 'EdDSA', use: 'sig' };
}

/** The thumbprint of a public key (RFC 7638 section 3.2), with the members of RFC 8037 appendix A.3. */
export function thumbprintOf(x: string): string {
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url');
}
