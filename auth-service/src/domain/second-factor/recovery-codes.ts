import { createHash, randomBytes } from 'node:crypto';
import { base32 } from './totp.ts';

const count = 10;
const bytes = 10;

/** Ten codes of 80 bits, as `ABCD-EFGH-IJKL-MNOP`: enough that their plain hashes can be stored. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: count }, () => (base32(randomBytes(bytes)).match(/.{4}/g) ?? []).join('-'));
}

/** The same however a person types it: in either case, with or without dashes and spaces. */
export function recoveryCodeHash(code: string): Buffer {
  return createHash('sha256').update(code.toUpperCase().replaceAll(/[\s-]/g, '')).digest();
}
