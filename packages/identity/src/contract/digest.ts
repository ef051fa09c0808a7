import { hash } from 'node:crypto';

/** `Content-Digest` of a body in its one allowed form, `sha-256=:…:` (RFC 9530 section 2). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}

/** The digest of an empty body, which a request without a body carries too. */
export const emptyContentDigest = contentDigest(new Uint8Array(0));
