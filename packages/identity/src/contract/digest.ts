import { hash } from 'node:crypto';

/** Computes the `Content-Digest` of a body in the contract's form, `sha-256=:…:` (RFC 9530 section 2). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}

/** The digest of an empty body, which every request without a body has in digest mode, except GET and HEAD. */
export const emptyContentDigest = contentDigest(new Uint8Array(0));
