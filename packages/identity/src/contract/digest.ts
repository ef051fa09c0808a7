import { hash } from 'node:crypto';

/** Computes the `Content-Digest` of a body in the contract's form, `sha-256=:…:` (RFC 9530 section 2). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}

/**
 * The digest of an empty body. In digest mode a request without a body carries it, unless the method is GET or HEAD.
 */
export const emptyContentDigest = contentDigest(new Uint8Array(0));
