import { update } from '@countersign/database';
import type { Turn } from '@countersign/process-kit';
import { canonicalEmail } from '../../domain/accounts/account-rules.ts';
import type { Passwords } from '../../domain/accounts/passwords.ts';
import { knownBrowserIn } from '../../domain/sessions/cookies.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { type Candidate, findCandidate } from '../../store/accounts/accounts.ts';
import { readSessionProof, type SessionKey, takeStep } from '../../store/sessions/sessions.ts';
import { roles } from '../../store/transaction.ts';
import { type Admission, type AdmitParts, admit, type LoginAttempt, type Proof, type Proven } from './admit.ts';
import { type HttpCaller, knownBrowserLimit, turnOf } from './throttle.ts';

export type LoginParts = AdmitParts & Readonly<{ passwords: Passwords }>;

type Credentials = Readonly<{
  email: string;
  password: string;
  tenant?: string | undefined;
  transport: Transport;
  /** The request's `Cookie` header. */
  cookie?: string | undefined;
}>;

const amr = ['pwd'];

/**
 * Logs in with a password. Runs bcrypt once in every case, so that all refusals look alike and take the same time.
 * In a browser that logged in to this account before, the attempt can use a kept place in the hash queue.
 *
 * @throws AppError `invalid_credentials`, `too_many_attempts`, `login_busy`.
 */
export async function logIn(parts: LoginParts, given: Credentials, caller: HttpCaller): Promise<Admission> {
  const email = canonicalEmail(given.email);
  const isCurrent = knownBrowserIn(given.cookie, email, parts.macKeys, Date.now());
  const attemptIn = (place: Turn, share: () => Turn): LoginAttempt => ({
    refusal: 'invalid_credentials',
    whose: () => ({ email }),
    reserve: (throttle) => throttle.reserveLogin(email, caller.ip),
    async verify() {
      const candidate = await findCandidate(parts.db, email);
      const isVoid =
        isCurrent !== undefined &&
        !(isCurrent(candidate.passwordChangedAt) && (await parts.throttle.allows(knownBrowserLimit(email))));
      const turn = isVoid ? share() : place;
      const matches = await parts.passwords.verify(given.password, candidate.password, turn);
      const { userId, active, readAt: provenAt, memberships } = candidate;
      if (!matches || userId === undefined || !active) return undefined;
      const tenants = memberships.filter(({ slug }) => given.tenant === undefined || slug === given.tenant);
      const onAdmitted = () => renewHash(parts, given.password, candidate, turn);
      return { userId, tenants, provenAt, amr, transport: given.transport, onAdmitted };
    },
  });
  const turn = { ...turnOf(caller), keptFor: isCurrent && email };
  return parts.passwords.withPlace(turn, (place, share) => admit(parts, caller, attemptIn(place, share)));
}

/**
 * @param given.mayUse Throws if the caller cannot receive tokens by the transport that the login requested.
 * @throws AppError `invalid_selection_token`, `too_many_attempts`, and any error from `mayUse`.
 */
export async function chooseTenant(
  parts: AdmitParts,
  given: Readonly<{ selectionToken: string; tenantId: string; mayUse(transport: Transport): void }>,
  caller: HttpCaller,
): Promise<Admission> {
  return admit(parts, caller, {
    refusal: 'invalid_selection_token',
    async verify() {
      const step = await parts.db.transaction({ role: roles.login }, (trx) =>
        takeStep(trx, given.selectionToken, 'tenant_selection'),
      );
      if (step !== undefined) given.mayUse(step.transport);
      return step && { ...step, tenants: { id: given.tenantId } };
    },
  });
}

/** Updates a hash that was made with older settings. */
async function renewHash(
  { db, passwords, logger }: LoginParts,
  password: string,
  { userId, password: stored }: Candidate,
  turn: Turn,
): Promise<void> {
  if (userId === undefined || stored === undefined || !passwords.isStale(stored)) return;
  try {
    const renewed = await passwords.hash(password, turn);
    // Keeps a password that was changed meanwhile.
    await db.transaction({ role: roles.login, userId }, (trx) =>
      update(trx, 'credentials', { user_id: userId, hash: stored.hash }, renewed),
    );
  } catch (error) {
    // The login succeeds anyway, and the next login retries.
    logger.warn({ err: error, user_id: userId }, 'a password hash could not be updated');
  }
}

/** The session that an access token names. */
export type InSession = SessionKey & Readonly<{ userId: string }>;

/**
 * Starts a session in another tenant, with the authentication methods and login time of the current one. The current
 * session continues.
 *
 * @throws AppError `not_a_member`, `session_revoked`, `too_many_attempts`.
 */
export function switchTenant(
  parts: AdmitParts,
  from: InSession,
  given: Readonly<{ tenantId: string; transport: Proven['transport'] }>,
  caller: HttpCaller,
): Promise<Admission> {
  return admit(parts, caller, {
    refusal: 'not_a_member',
    async verify() {
      return { ...(await proofOf(parts, from, caller)), tenants: { id: given.tenantId }, transport: given.transport };
    },
  });
}

/** @throws AppError `session_revoked` if the session ended, or needs the proof of another key (DPoP). */
export async function proofOf(
  { db }: Pick<AdmitParts, 'db'>,
  { userId, tenantId, sessionId }: InSession,
  caller: HttpCaller,
): Promise<Proof> {
  const from = { tenantId, sessionId };
  const proof = await db.transaction({ role: roles.app, tenantId, userId }, (trx) =>
    readSessionProof(trx, from, userId),
  );
  if (proof === undefined || proof.jkt !== caller.jkt) throw new AppError('session_revoked');
  return { userId, provenAt: proof.authTime, amr: proof.amr, from };
}
