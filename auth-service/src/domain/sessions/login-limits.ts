import { createHash } from 'node:crypto';

/**
 * One counter. If `refuseAbove` is undefined it never refuses, so that an attacker cannot lock out a user by email
 * address alone.
 */
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
 * Limits guesses of six-digit codes to 30 an hour for a person from all networks: one chance in ten thousand. Locking
 * out a person this way requires their password.
 */
export const codeLimits = (userId: string, network: string): readonly [pair: Limit, person: Limit] => [
  { key: keyOf('code', userId, network), windowSec: quarterHourSec, refuseAbove: 10 },
  { key: keyOf('code', userId), windowSec: hourSec, refuseAbove: 30 },
];

/**
 * Limits failed authentications of OAuth clients. Their secrets have 256 random bits, so the limits only bound the
 * work: many instances of a client may start at once behind one address. Failures of clients and people are counted
 * separately, so that a client with a wrong secret never blocks logins from its address.
 */
export const clientLimits = (clientId: string, network: string): readonly [pair: Limit, address: Limit] => [
  { key: keyOf('client', clientId, network), windowSec: quarterHourSec, refuseAbove: 60 },
  { key: keyOf('client-address', network), windowSec: quarterHourSec, refuseAbove: 300 },
];

/**
 * Emails that can be requested without a session. Counted by kind, so that requests for one kind do not block another.
 */
export type MailPurpose = 'registration' | 'verification' | 'password_reset';

export type MailRequest = Readonly<{ purpose: MailPurpose; email: string }>;

/**
 * Protects mailboxes from being flooded. The limit per network is lower, so that one network cannot use up the owner's.
 */
export const mailLimits = (
  { purpose, email }: MailRequest,
  network: string,
): Readonly<{ pair: Limit; mailbox: Limit }> => ({
  pair: { key: keyOf('mail', purpose, email, network), windowSec: hourSec, refuseAbove: 5 },
  mailbox: { key: keyOf('mail', purpose, email), windowSec: hourSec, refuseAbove: 20 },
});

/** Limits invitations to an address: repeatedly inviting and withdrawing would flood its mailbox. */
export const invitationLimit = (tenantId: string, email: string): Limit => ({
  key: keyOf('invitation', tenantId, email),
  windowSec: hourSec,
  refuseAbove: 5,
});

const recordedPerHour = { 'login.failed': 10, 'login.throttled': 10, known: 1_000, unknown: 100 } as const;

/**
 * Limits entries of the audit log about refused logins, so that an attacker cannot flood it: failures of one person,
 * throttled attempts from one network, and in total for each action, about users with an account and about addresses
 * without one.
 */
export const auditLimit = (kind: keyof typeof recordedPerHour, subject: string): Limit => ({
  key: keyOf('audit', kind, subject),
  windowSec: hourSec,
  refuseAbove: recordedPerHour[kind],
});

/** Delay of an attempt once an email address was tried more than 100 times within the hour; it grows up to 2 s. */
export function slowdownMs(emailAttempts: number): number {
  return Math.min(2_000, Math.max(0, emailAttempts - emailFreeAttempts) * 50);
}

/** Hashes the parts, so that the store holds no address and the boundaries between parts are unambiguous. */
function keyOf(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
