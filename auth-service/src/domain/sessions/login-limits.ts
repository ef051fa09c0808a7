import { createHash } from 'node:crypto';

/**
 * A counter. If `refuseAbove` is undefined, it never refuses, so that an email address is not enough to lock out its
 * owner.
 */
export type Limit = Readonly<{ key: string; windowSec: number; refuseAbove: number | undefined }>;

const quarterHourSec = 900;
const hourSec = 3600;
const emailFreeAttempts = 100;

/**
 * @param email The canonical address.
 * @param network The result of `networkOf`.
 */
export function loginLimits(email: string, network: string): Readonly<Record<'pair' | 'address' | 'email', Limit>> {
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
 * Limits guesses of six-digit codes to 30 an hour per person from all networks, a chance of one in ten thousand. Only
 * an attacker with the person's password can lock them out this way.
 */
export const codeLimits = (userId: string, network: string): readonly [pair: Limit, person: Limit] => [
  { key: keyOf('code', userId, network), windowSec: quarterHourSec, refuseAbove: 10 },
  { key: keyOf('code', userId), windowSec: hourSec, refuseAbove: 30 },
];

/**
 * Limits failed authentications of OAuth clients. Their secrets have 256 random bits, so these limits only bound the
 * work: many instances of an OAuth client may start at once behind one address. Logins of people have separate
 * counters, so that an OAuth client with a wrong secret never blocks them.
 */
export const oauthClientLimits = (clientId: string, network: string): readonly [pair: Limit, address: Limit] => [
  { key: keyOf('client', clientId, network), windowSec: quarterHourSec, refuseAbove: 60 },
  { key: keyOf('client-address', network), windowSec: quarterHourSec, refuseAbove: 300 },
];

/** Emails that anyone can request. Each kind has its own limit. */
export type MailRequest = Readonly<{
  purpose: 'registration' | 'verification_again' | 'password_reset';
  email: string;
}>;

/**
 * Keeps attackers from flooding mailboxes. The limit per network is lower, so that one network cannot use up the
 * owner's limit.
 */
export const mailLimits = (
  { purpose, email }: MailRequest,
  network: string,
): Readonly<{ pair: Limit; mailbox: Limit }> => ({
  pair: { key: keyOf('mail', purpose, email, network), windowSec: hourSec, refuseAbove: 5 },
  mailbox: { key: keyOf('mail', purpose, email), windowSec: hourSec, refuseAbove: 20 },
});

/** Limits invitations to an address, because repeatedly inviting and withdrawing would flood its mailbox. */
export const invitationLimit = (tenantId: string, email: string): Limit => ({
  key: keyOf('invitation', tenantId, email),
  windowSec: hourSec,
  refuseAbove: 5,
});

const recordedPerHour = { 'login.failed': 10, 'login.throttled': 10, known: 1_000, unknown: 100 } as const;

/**
 * Limits audit log entries about refused logins, so that an attacker cannot flood the log. The limits are per person,
 * per network, and in total, with separate totals for known and unknown addresses.
 */
export const auditLimit = (kind: keyof typeof recordedPerHour, subject: string): Limit => ({
  key: keyOf('audit', kind, subject),
  windowSec: hourSec,
  refuseAbove: recordedPerHour[kind],
});

/** Delays attempts for an email address with more than 100 attempts in the hour, by up to 2 s. */
export function slowdownMs(emailAttempts: number): number {
  return Math.min(2_000, Math.max(0, emailAttempts - emailFreeAttempts) * 50);
}

/** Hashes the parts, so that the store holds no addresses and part boundaries are unambiguous. */
function keyOf(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
