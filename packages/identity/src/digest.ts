import { hash } from 'node:crypto';

const wellFormed = /^sha-256=:[A-Za-z0-9+/]{43}=:$/;

/** `Content-Digest` of a body in its one allowed form, `sha-256=:…:` (RFC 9530 section 2). */
export function contentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}

/** `Content-Digest` of no body at all, which requests without one carry too. */
export const emptyContentDigest = contentDigest(new Uint8Array(0));

/** One member, SHA-256, canonical base64. Other algorithms are refused: we could not check them. */
export function isContentDigest(value: string): boolean {
  if (!wellFormed.test(value)) return false;
  const encoded = value.slice(9, -1);
  return Buffer.from(encoded, 'base64').toString('base64') === encoded;
}
