import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyRing } from '../keys/key-ring.ts';
import { seal, unseal } from '../keys/sealing.ts';

/** Parameters that every authenticator app supports. Some apps ignore other values in the URI. */
const digits = 6;
const stepSec = 30;
/** How many steps before and after the current one are accepted (RFC 6238 section 5.2). */
const window = 1;

export const totpSecretBytes = 20;

/** Computes a code (RFC 6238) from the number of 30-second steps. */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  // RFC 4226 section 5.3: the last four bits are the offset of the code's 31 bits.
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits).padStart(digits, '0');
}

export const totpStep = (now: Date): number => Math.floor(now.getTime() / 1000 / stepSec);

/**
 * @param lastStep The step of the last accepted code, or null. That code and older ones are refused (RFC 6238 section
 *   5.2).
 * @returns The code's step, or undefined if the code is not valid now.
 */
export function matchTotp(
  secret: Uint8Array,
  code: string,
  { now, lastStep }: Readonly<{ now: Date; lastStep: number | null }>,
): number | undefined {
  const given = Buffer.from(code);
  const current = totpStep(now);
  let matched: number | undefined;
  // Computes every step, so that the timing does not reveal which one matches.
  for (let step = current - window; step <= current + window; step += 1) {
    const wanted = Buffer.from(totpCode(secret, step));
    const equal = given.length === wanted.length && timingSafeEqual(given, wanted);
    if (equal && (lastStep === null || step > lastStep)) matched ??= step;
  }
  return matched;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Encodes in base32 (RFC 4648 section 6) without padding, as users type a secret into an app. */
export function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}

/** Builds the key URI that authenticator apps read from a QR code. */
export function totpUri(secret: Uint8Array, email: string): string {
  const issuer = 'Countersign';
  const query = new URLSearchParams({
    secret: base32(secret),
    issuer,
    algorithm: 'SHA1',
    digits: String(digits),
    period: String(stepSec),
  });
  return `otpauth://totp/${issuer}:${encodeURIComponent(email)}?${query}`;
}

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

/** An encrypted secret, as the database stores it. */
export type SealedTotp = Readonly<{ user_id: string; secret_enc: Buffer; kek_id: string }>;

export const sealSecret = (secret: Uint8Array, userId: string, keks: KeyRing): SealedTotp => ({
  user_id: userId,
  secret_enc: seal(keks.current.bytes, secret, contextOf(userId)),
  kek_id: keks.current.id,
});

/** @throws Error if the secret cannot be decrypted. That is a server fault and must not look like a wrong code. */
export function openSecret({ user_id, secret_enc, kek_id }: SealedTotp, keks: KeyRing): Buffer {
  const kek = keks.find(kek_id);
  const secret = kek && unseal(kek, secret_enc, contextOf(user_id));
  if (secret === undefined) throw new Error(`a TOTP secret cannot be decrypted with the key "${kek_id}"`);
  return secret;
}

export const resealSecret = (sealed: SealedTotp, keks: KeyRing) =>
  sealSecret(openSecret(sealed, keks), sealed.user_id, keks);

/** Binds the secret to the person, so that it cannot be decrypted for another one. */
const contextOf = (userId: string): string => `totp ${userId}`;
