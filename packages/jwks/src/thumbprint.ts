import { createHash } from 'node:crypto';

/** Returns the RFC 7638 thumbprint of an imported key, with SHA-256: 43 characters. */
export function jwkThumbprint({ kty, crv, x, y, n, e }: Readonly<Record<string, unknown>>): string {
  // The required members, sorted by name (RFC 7638 section 3.2, RFC 8037 section 2).
  const members = kty === 'RSA' ? { e, kty, n } : kty === 'OKP' ? { crv, kty, x } : { crv, kty, x, y };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}
