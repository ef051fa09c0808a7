import { createHash } from 'node:crypto';

/** One counted thing. `refuseAbove` undefined: it never refuses, so that nobody can lock a victim out by e-mail alone. */
export type Limit = Readonly<{ key: string; windowSec: number; refuseAbove: number | undefined }>;

export type LoginLimits = Readonly<{ pair: Limit; address: Limit; email: Limit }>;

const quarterHourSec = 900;
const hourSec = 3600;
const emailFreeAttempts = 100;

/** @param network An IPv4 address or IPv6 /64, see `networkOf`. @param email Canonical. */
export function loginLimits(email: string, network: string): LoginLimits {
  return {
    pair: { key: keyOf('pair', email, network), windowSec: quarterHourSec, refuseAbove: 10 },
    address: addressLimit(network),
    email: { key: keyOf('email', email), windowSec: hourSec, refuseAbove: undefined },
  };
}

export const addressLimit = (network: string): Limit => ({
  key: keyOf('address', network),
  windowSec: quarterHourSec,
  refuseAbove: 100,
});

/**
 * Six digits are soon guessed: 30 wrong ones an hour for a person, from wherever, are one chance in ten thousand. Whoever
 * gets so far as to use them up has the password.
 */
export const codeLimits = (userId: string, network: string): readonly [pair: Limit, person: Limit] => [
  { key: keyOf('code', userId, network), windowSec: quarterHourSec, refuseAbove: 10 },
  { key: keyOf('code', userId), windowSec: hourSec, refuseAbove: 30 },
];

/** What anybody can have mailed to an address. Counted apart, so that asking for one keeps nobody from another. */
export type MailPurpose = 'registration' | 'verification' | 'password_reset';

export type MailRequest = Readonly<{ purpose: MailPurpose; email: string }>;

/** So that nobody's mailbox is flooded through us; and from one place so few that the owner of it is left some. */
export const mailLimits = (
  { purpose, email }: MailRequest,
  network: string,
): Readonly<{ pair: Limit; mailbox: Limit }> => ({
  pair: { key: keyOf('mail', purpose, email, network), windowSec: hourSec, refuseAbove: 5 },
  mailbox: { key: keyOf('mail', purpose, email), windowSec: hourSec, refuseAbove: 20 },
});

/** Who invites and withdraws again and again would fill somebody's mailbox through us. */
export const invitationLimit = (tenantId: string, email: string): Limit => ({
  key: keyOf('invitation', tenantId, email),
  windowSec: hourSec,
  refuseAbove: 5,
});

/** How long an attempt waits once an e-mail was tried more than 100 times in the hour: slower and slower, up to 2 s. */
export function slowdownMs(emailAttempts: number): number {
  return Math.min(2_000, Math.max(0, emailAttempts - emailFreeAttempts) * 50);
}

/** A hash, so that the store holds no address and no part can run into the next. */
function keyOf(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
