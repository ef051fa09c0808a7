import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM: returns `nonce | ciphertext | tag`. Only the same `context` (associated data) decrypts it. */
export function seal(key: Uint8Array, plain: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined if the key, the context or the bytes differ from those used for encryption. */
export function unseal(key: Uint8Array, sealed: Uint8Array, context: string): Buffer | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes))
    .setAAD(Buffer.from(context))
    .setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
  } catch {
    // final() throws only if the tag does not match.
    return undefined;
  }
}

/** Derives a key from the refresh token's random part, so that the database alone cannot decrypt the value. */
export function successorKey(random: Uint8Array, sessionId: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', random, sessionId, 'countersign refresh successor v1', 32));
}
