import { randomBytes } from 'node:crypto';
import type { Logger } from '@countersign/service-kit';
import { canonicalEmail } from '../domain/email.ts';
import type { KeyRing } from '../domain/key-ring.ts';
import { networkOf } from '../domain/network.ts';
import type { Passwords } from '../domain/passwords.ts';
import { selectionLifetimeSec } from '../domain/session-rules.ts';
import { AppError } from '../errors.ts';
import { type Candidate, findCandidate, type Membership, replaceHash } from '../store/accounts.ts';
import type { AuthDatabase } from '../store/database.ts';
import { saveSelectionToken, takeSelectionToken } from '../store/one-time-tokens.ts';
import type { Caller, Grant } from './grant.ts';
import { startSession } from './start-session.ts';
import type { Reservation, Throttle } from './throttle.ts';

export type LoginParts = Readonly<{
  db: AuthDatabase;
  passwords: Passwords;
  throttle: Throttle;
  macKeys: KeyRing;
  logger: Logger;
}>;

export type Credentials = Readonly<{ email: string; password: string; tenant: string | undefined }>;

export type LoginResult =
  | Readonly<{ kind: 'granted'; grant: Grant }>
  | Readonly<{ kind: 'choose'; selectionToken: string; tenants: readonly Membership[] }>;

const amr = ['pwd'];

/**
 * Reserve, look up, one bcrypt, and only then decide: whatever the cause, a refusal looks and takes the same.
 *
 * @throws AppError `invalid_credentials`, `too_many_attempts`, `login_busy`.
 */
export async function logIn(parts: LoginParts, given: Credentials, caller: Caller): Promise<LoginResult> {
  const email = canonicalEmail(given.email);
  const reservation = await parts.throttle.reserveLogin(email, networkOf(caller.ip ?? undefined));
  const candidate = await findCandidate(parts.db, email);
  const matches = await verifyOrCancel(parts.passwords, given.password, candidate, reservation);
  const { userId, active, readAt } = candidate;
  if (!matches || userId === undefined || !active) throw new AppError('invalid_credentials');

  const open = candidate.memberships.filter(({ slug }) => given.tenant === undefined || slug === given.tenant);
  const [only, another] = open;
  if (only === undefined) throw new AppError('invalid_credentials');
  if (another !== undefined) {
    const selectionToken = randomBytes(32).toString('base64url');
    await saveSelectionToken(parts.db, selectionToken, { userId, provenAt: readAt, lifetimeSec: selectionLifetimeSec });
    await passed(parts, given.password, candidate, reservation);
    return { kind: 'choose', selectionToken, tenants: open };
  }
  const grant = await startSession(parts, { userId, tenantId: only.tenantId, provenAt: readAt, amr }, caller);
  if (grant === undefined) throw new AppError('invalid_credentials');
  await passed(parts, given.password, candidate, reservation);
  return { kind: 'granted', grant };
}

/** @throws AppError `invalid_selection_token`, `too_many_attempts`. */
export async function chooseTenant(
  parts: Pick<LoginParts, 'db' | 'throttle' | 'macKeys'>,
  given: Readonly<{ selectionToken: string; tenantId: string }>,
  caller: Caller,
): Promise<Grant> {
  const reservation = await parts.throttle.reserveToken(networkOf(caller.ip ?? undefined));
  const holder = await takeSelectionToken(parts.db, given.selectionToken);
  if (holder === undefined) throw new AppError('invalid_selection_token');
  const grant = await startSession(parts, { ...holder, tenantId: given.tenantId, amr }, caller);
  if (grant === undefined) throw new AppError('invalid_selection_token');
  await reservation.succeeded();
  return grant;
}

async function verifyOrCancel(
  passwords: Passwords,
  password: string,
  { password: stored }: Candidate,
  reservation: Reservation,
): Promise<boolean> {
  try {
    return await passwords.verify(password, stored);
  } catch (error) {
    await reservation.cancelled();
    throw error;
  }
}

/** The password was right: takes the attempt back, and renews a hash that was made under older settings. */
async function passed(
  { db, passwords, logger }: LoginParts,
  password: string,
  { userId, password: stored }: Candidate,
  reservation: Reservation,
): Promise<void> {
  await reservation.succeeded();
  if (userId === undefined || stored === undefined || !passwords.isStale(stored)) return;
  try {
    await replaceHash(db, userId, { from: stored.hash, to: await passwords.hash(password) });
  } catch (error) {
    // The login stands; the next one tries again.
    logger.warn({ err: error, user_id: userId }, 'a password hash could not be renewed');
  }
}
