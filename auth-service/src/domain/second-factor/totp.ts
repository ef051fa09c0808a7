import { createHmac, timingSafeEqual } from 'node:crypto';

/** What every authenticator app supports; some ignore whatever else the URI asks for. */
const digits = 6;
const stepSec = 30;
/** How many steps before and after now are taken as well (RFC 6238 section 5.2). */
const window = 1;

export const totpSecretBytes = 20;

/** RFC 6238: HMAC-SHA-1 over the number of 30-second steps. */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  // RFC 4226 section 5.3: the last four bits say where the 31 bits begin.
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits).padStart(digits, '0');
}

export const totpStep = (now: Date): number => Math.floor(now.getTime() / 1000 / stepSec);

/**
 * @param lastStep The step of the last code that was taken, or null. A code is taken once (RFC 6238 section 5.2), and none
 * from before it.
 * @returns The step whose code this is; undefined when it is none of now.
 */
export function matchTotp(
  secret: Uint8Array,
  code: string,
  { now, lastStep }: Readonly<{ now: Date; lastStep: number | null }>,
): number | undefined {
  const given = Buffer.from(code);
  const current = totpStep(now);
  let matched: number | undefined;
  // Every step is computed, so that the time taken says nothing about which one it was.
  for (let step = current - window; step <= current + window; step += 1) {
    const wanted = Buffer.from(totpCode(secret, step));
    const equal = given.length === wanted.length && timingSafeEqual(given, wanted);
    if (equal && (lastStep === null || step > lastStep)) matched ??= step;
  }
  return matched;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 section 6, without padding: how apps take a secret that is typed. */
export function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => alphabet[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}

/** What the QR code says: the key URI that authenticator apps read. */
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
