import { createHash } from 'node:crypto';

/** The keyid of an hmac secret: tells two secrets apart, and says nothing about either (both are random). */
export function secretKeyid(secret: Uint8Array): string {
  return createHash('sha256').update('countersign hmac keyid\0').update(secret).digest('base64url').slice(0, 22);
}
