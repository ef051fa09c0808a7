import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { addressKey, type Turn } from '@countersign/process-kit';
import { AppError, errors } from '../../errors.ts';
import type { Attempts, Count } from '../../store/sessions/attempts.ts';

export type HttpCaller = Readonly<{
  requestId: string;
  ip: string | null;
  userAgent: string | null;
  /** Thumbprint of the key whose DPoP proof the gateway verified. */
  jkt: string | null;
}>;

/** The caller's turn in the hash queue. */
export const turnOf = ({ ip }: HttpCaller): Turn => ({ address: networkOf(ip) });

/** An attempt that already counts as a failure. */
export type Reservation = Readonly<{
  /** The attempt succeeded. Takes it back from every counter, and resets this pair's counter. */
  succeeded(): Promise<void>;
  /** The server lacked capacity to make the attempt. Takes it back from every counter. */
  cancelled(): Promise<void>;
}>;

export type Throttle = ReturnType<typeof createThrottle>;

/**
 * Limits attempts in every flow that issues a token. Attempts are counted before they are verified, so that parallel
 * guesses all count. Each `reserve` throws AppError `too_many_attempts` with `retry-after`.
 */
export function createThrottle(attempts: Attempts) {
  const reserve = async (limits: readonly Limit[]) => {
    const counts = await attempts.add(limits);
    const counted = limits.map((limit, index) => ({ limit, count: counts[index] }));
    const [over, within] = [counted.filter(isOver), counted.filter((each) => !isOver(each))];
    if (over.length === 0) return counts;
    // A refused attempt is not a guess, so it does not count: an attacker at one IP address must not use up a person's
    // attempts from other addresses.
    await attempts.takeBack(within.map(({ limit }) => limit));
    const waitSec = Math.max(...over.map(({ count }) => count?.resetsInSec ?? 0));
    throw new AppError('too_many_attempts', { headers: { 'retry-after': String(waitSec) } });
  };
  const reservation = (pair: Limit, others: readonly Limit[]): Reservation => ({
    async succeeded() {
      await attempts.clear(pair);
      await attempts.takeBack(others);
    },
    cancelled: () => attempts.takeBack([pair, ...others]),
  });
  return {
    async reserveLogin(email: string, ip: HttpCaller['ip']): Promise<Reservation> {
      const { pair, address, email: perEmail } = loginLimits(email, networkOf(ip));
      const [, , emailCount] = await reserve([pair, address, perEmail]);
      await delay(slowdownMs(emailCount?.count ?? 0));
      return reservation(pair, [address, perEmail]);
    },
    /** For emailed links and login tokens. */
    async reserveToken(ip: HttpCaller['ip']): Promise<Reservation> {
      const limits = [addressLimit(networkOf(ip))];
      await reserve(limits);
      const takeBack = () => attempts.takeBack(limits);
      return { succeeded: takeBack, cancelled: takeBack };
    },
    /** For this person's second-factor codes. */
    async reserveCode(userId: string, ip: HttpCaller['ip']): Promise<Reservation> {
      const network = networkOf(ip);
      const { pair, person } = codeLimits(userId, network);
      const address = addressLimit(network);
      await reserve([pair, person, address]);
      return reservation(pair, [person, address]);
    },
    async reserveOAuthClient(clientId: string, ip: HttpCaller['ip']): Promise<Reservation> {
      const { pair, address } = oauthClientLimits(clientId, networkOf(ip));
      await reserve([pair, address]);
      return reservation(pair, [address]);
    },
    /**
     * For requests that send an email, whether or not the address has an account.
     *
     * @returns Whether to send the email: at most five an hour for each network, and twenty in total. The response is
     *   the same either way, so that it reveals nothing about other requests.
     */
    async reserveMail(request: MailRequest, ip: HttpCaller['ip']): Promise<boolean> {
      const network = networkOf(ip);
      await reserve([addressLimit(network)]);
      const { pair, mailbox } = mailLimits(request, network);
      const [atPlace, inAll] = await attempts.add([pair, mailbox]);
      if (!isOver({ limit: pair, count: atPlace })) return !isOver({ limit: mailbox, count: inAll });
      // Likewise, one network must not use up the mailbox's limit.
      await attempts.takeBack([mailbox]);
      return false;
    },
    reserveInvitation: (tenantId: string, email: string) => reserve([invitationLimit(tenantId, email)]),
    /** Counts an event. @returns Whether the limit allows it. */
    async allows(limit: Limit): Promise<boolean> {
      const [count] = await attempts.add([limit]);
      return !isOver({ limit, count });
    },
  };
}

/** Runs an attempt that is already counted. A refusal leaves it counted. Success or a server fault takes it back. */
export async function judge<T>(reservation: Reservation, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    const isRefusal = error instanceof AppError && errors[error.code].fault === 'caller';
    if (!isRefusal) await reservation.cancelled();
    throw error;
  }
  await reservation.succeeded();
  return result;
}

const isOver = ({ limit, count }: Readonly<{ limit: Limit; count: Count | undefined }>): boolean =>
  limit.refuseAbove !== undefined && (count?.count ?? 0) > limit.refuseAbove;

/**
 * Returns the network that rate limits count: an IPv4 address, or the /64 of an IPv6 address, which usually belongs to
 * one subscriber. All other values share one bucket, so that a missing address cannot bypass a limit.
 */
export const networkOf = (address: string | null | undefined): string =>
  !address || address.includes('%') || isIP(address) === 0 ? 'unknown' : addressKey(address);

/** If `refuseAbove` is undefined, the counter never refuses: an email address is not enough to lock out its owner. */
export type Limit = Readonly<{ key: string; windowSec: number; refuseAbove: number | undefined }>;

/** The key is a hash, so that the store holds no addresses. The boundaries of its parts are unambiguous. */
const limit = (windowSec: number, refuseAbove: number | undefined, ...parts: string[]): Limit => ({
  key: createHash('sha256').update(JSON.stringify(parts)).digest('base64url'),
  windowSec,
  refuseAbove,
});

const quarterHourSec = 900;
const hourSec = 3600;
const emailFreeAttempts = 100;

/** @param network The result of `networkOf`. */
export const loginLimits = (email: string, network: string) => ({
  pair: limit(quarterHourSec, 10, 'pair', email, network),
  address: addressLimit(network),
  email: limit(hourSec, undefined, 'email', email),
});

export const addressLimit = (network: string) => limit(quarterHourSec, 100, 'address', network);

/** 30 guesses an hour are a chance of one in ten thousand. Only someone with the password can use them up. */
export const codeLimits = (userId: string, network: string) => ({
  pair: limit(quarterHourSec, 10, 'code', userId, network),
  person: limit(hourSec, 30, 'code', userId),
});

/**
 * Limits failed authentications of OAuth clients. Their secrets have 256 random bits, so these limits only bound the
 * work: many instances of an OAuth client may start at once behind one address. Logins of people have separate
 * counters, so that an OAuth client with a wrong secret never blocks them.
 */
export const oauthClientLimits = (clientId: string, network: string) => ({
  pair: limit(quarterHourSec, 60, 'client', clientId, network),
  address: limit(quarterHourSec, 300, 'client-address', network),
});

/** Emails that anyone can request. Each kind has its own limit. */
export type MailRequest = Readonly<{
  purpose: 'registration' | 'verification_again' | 'password_reset';
  email: string;
}>;

/** Prevents flooding. The limit per network is lower, so that one network cannot use up the mailbox's limit. */
export const mailLimits = ({ purpose, email }: MailRequest, network: string) => ({
  pair: limit(hourSec, 5, 'mail', purpose, email, network),
  mailbox: limit(hourSec, 20, 'mail', purpose, email),
});

/** Limits invitations to an address, because repeatedly inviting and withdrawing would flood its mailbox. */
export const invitationLimit = (tenantId: string, email: string) => limit(hourSec, 5, 'invitation', tenantId, email);

/** Limits how often known browsers go first at an account. Further attempts wait like those of unknown browsers. */
export const knownBrowserLimit = (email: string) => limit(hourSec, 10, 'known', email);

const recordedPerHour = { 'login.failed': 10, 'login.throttled': 10, known: 1_000, unknown: 100 } as const;

/**
 * Limits audit log entries about refused logins, so that an attacker cannot flood the log. The limits are per person,
 * per network, and in total, with separate totals for known and unknown addresses.
 */
export const auditLimit = (kind: keyof typeof recordedPerHour, subject: string) =>
  limit(hourSec, recordedPerHour[kind], 'audit', kind, subject);

/** Delays attempts for an email address with more than 100 attempts in the hour, by up to 2 s. */
export const slowdownMs = (emailAttempts: number): number =>
  Math.min(2_000, Math.max(0, emailAttempts - emailFreeAttempts) * 50);
