import { createHash, randomBytes } from 'node:crypto';
import { base32 } from './totp.ts';

const count = 10;
const bytes = 10;

/** Ten codes with 80 random bits each, as `ABCD-EFGH-IJKL-MNOP`. A fast, unsalted hash is safe for so many bits. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: count }, () => (base32(randomBytes(bytes)).match(/.{4}/g) ?? []).join('-'));
}

/** Normalizes an entered code: ignores case, dashes and spaces. */
export function recoveryCodeHash(code: string): Buffer {
  return createHash('sha256').update(code.toUpperCase().replaceAll(/[\s-]/g, '')).digest();
}
