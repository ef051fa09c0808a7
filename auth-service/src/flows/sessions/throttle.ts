import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@countersign/service-kit';
import { networkOf } from '../../domain/accounts/network.ts';
import {
  addressLimit,
  codeLimits,
  invitationLimit,
  type Limit,
  loginLimits,
  type MailRequest,
  mailLimits,
  oauthClientLimits,
  slowdownMs,
} from '../../domain/sessions/login-limits.ts';
import { AppError, errors } from '../../errors.ts';
import type { Attempts, Count } from '../../store/sessions/attempts.ts';

/** An attempt that already counts as a failure. */
export type Reservation = Readonly<{
  /** The attempt succeeded. Takes it back from every counter, and resets this pair's counter. */
  succeeded(): Promise<void>;
  /** The server lacked capacity to make the attempt. Takes it back from every counter. */
  cancelled(): Promise<void>;
}>;

/** The IP address that the gateway reported, if any. */
type Ip = string | null | undefined;

/**
 * Limits attempts in every flow that issues a token. Attempts are counted before they are verified, so that parallel
 * guesses all count.
 */
export type Throttle = Readonly<{
  /** @throws AppError `too_many_attempts` with `retry-after`. */
  reserveLogin(email: string, ip: Ip): Promise<Reservation>;
  /** For emailed links and login tokens. @throws AppError `too_many_attempts` with `retry-after`. */
  reserveToken(ip: Ip): Promise<Reservation>;
  /** For this person's second-factor codes. @throws AppError `too_many_attempts` with `retry-after`. */
  reserveCode(userId: string, ip: Ip): Promise<Reservation>;
  /** For this OAuth client's credentials. @throws AppError `too_many_attempts` with `retry-after`. */
  reserveOAuthClient(clientId: string, ip: Ip): Promise<Reservation>;
  /**
   * For requests that send an email, whether or not the address has an account.
   *
   * @returns Whether to send the email: at most five an hour for each network, and twenty in total. The response is the
   *   same either way, so that it reveals nothing about other requests.
   * @throws AppError `too_many_attempts` with `retry-after` if this network has made too many requests.
   */
  reserveMail(request: MailRequest, ip: Ip): Promise<boolean>;
  /** For invitations by a tenant's administrators. @throws AppError `too_many_attempts` with `retry-after`. */
  reserveInvitation(tenantId: string, email: string): Promise<void>;
  /** For audit log entries about refused logins. @returns Whether to write the entry. */
  mayRecord(limit: Limit): Promise<boolean>;
}>;

export function createThrottle(attempts: Attempts): Throttle {
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
    async reserveLogin(email, ip) {
      const { pair, address, email: perEmail } = loginLimits(email, networkOf(ip));
      const [, , emailCount] = await reserve([pair, address, perEmail]);
      await delay(slowdownMs(emailCount?.count ?? 0));
      return reservation(pair, [address, perEmail]);
    },
    async reserveToken(ip) {
      const limits = [addressLimit(networkOf(ip))];
      await reserve(limits);
      const takeBack = () => attempts.takeBack(limits);
      return { succeeded: takeBack, cancelled: takeBack };
    },
    async reserveCode(userId, ip) {
      const network = networkOf(ip);
      const [pair, person] = codeLimits(userId, network);
      const address = addressLimit(network);
      await reserve([pair, person, address]);
      return reservation(pair, [person, address]);
    },
    async reserveOAuthClient(clientId, ip) {
      const [pair, address] = oauthClientLimits(clientId, networkOf(ip));
      await reserve([pair, address]);
      return reservation(pair, [address]);
    },
    async reserveMail(request, ip) {
      const network = networkOf(ip);
      await reserve([addressLimit(network)]);
      const { pair, mailbox } = mailLimits(request, network);
      const [atPlace, inAll] = await attempts.add([pair, mailbox]);
      if (!isOver({ limit: pair, count: atPlace })) return !isOver({ limit: mailbox, count: inAll });
      // Likewise, one network must not use up the mailbox's limit.
      await attempts.takeBack([mailbox]);
      return false;
    },
    async reserveInvitation(tenantId, email) {
      await reserve([invitationLimit(tenantId, email)]);
    },
    async mayRecord(limit) {
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

const leftAloneMs = 1_000;

/**
 * Counts in the second store while the first store fails, so that attempts are always limited. After a failure it skips
 * the first store for a second and then retries with one operation. Otherwise every operation of a login would wait for
 * a Redis that hangs.
 *
 * @param nowMs A monotonic clock.
 */
export function withFallback(
  first: Attempts,
  second: Attempts,
  logger: Logger,
  nowMs: () => number = () => performance.now(),
): Attempts {
  /** Undefined while the first store works. */
  let failingUntilMs: number | undefined;
  const either = async <T>(use: (store: Attempts) => Promise<T>): Promise<T> => {
    if (failingUntilMs !== undefined) {
      if (nowMs() < failingUntilMs) return use(second);
      failingUntilMs = nowMs() + leftAloneMs;
    }
    try {
      const result = await use(first);
      failingUntilMs = undefined;
      return result;
    } catch (error) {
      failingUntilMs = nowMs() + leftAloneMs;
      logger.warn({ err: error }, 'Redis does not respond; attempts are counted in the database');
      return use(second);
    }
  };
  return {
    add: (limits) => either((store) => store.add(limits)),
    takeBack: (limits) => either((store) => store.takeBack(limits)),
    clear: (limit) => either((store) => store.clear(limit)),
  };
}
