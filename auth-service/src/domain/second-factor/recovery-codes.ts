import { createHash, randomBytes } from 'node:crypto';
import { base32 } from './totp.ts';

const count = 10;
const bytes = 10;

/** Ten codes of 80 bits, as `ABCD-EFGH-IJKL-MNOP`. That is enough entropy to store a fast, unsalted hash. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: count }, () => (base32(randomBytes(bytes)).match(/.{4}/g) ?? []).join('-'));
}

/** Normalizes a typed code: ignores case, dashes and spaces. */
export function recoveryCodeHash(code: string): Buffer {
  return createHash('sha256').update(code.toUpperCase().replaceAll(/[\s-]/g, '')).digest();
}
