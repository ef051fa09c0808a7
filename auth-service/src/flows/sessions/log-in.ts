import { canonicalEmail } from '../../domain/accounts/email.ts';
import type { Passwords } from '../../domain/accounts/passwords.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { type Candidate, findCandidate, replaceHash } from '../../store/accounts/accounts.ts';
import { roles } from '../../store/roles.ts';
import { takeStep } from '../../store/sessions/one-time-tokens.ts';
import { type Admission, type AdmitParts, type Attempt, admit } from './admit.ts';
import type { Caller } from './grant.ts';

export type LoginParts = AdmitParts & Readonly<{ passwords: Passwords }>;

export type Credentials = Readonly<{
  email: string;
  password: string;
  tenant?: string | undefined;
  transport: Transport;
}>;

const amr = ['pwd'];

/**
 * Logs in with a password. Runs bcrypt once in every case, so that all refusals look alike and take the same time.
 *
 * @throws AppError `invalid_credentials`, `too_many_attempts`, `login_busy`.
 */
export async function logIn(parts: LoginParts, given: Credentials, caller: Caller): Promise<Admission> {
  const email = canonicalEmail(given.email);
  const attempt: Attempt = {
    refusal: 'invalid_credentials',
    whose: () => ({ email }),
    reserve: (throttle) => throttle.reserveLogin(email, caller.ip),
    async verify() {
      const candidate = await findCandidate(parts.db, email);
      const matches = await parts.passwords.verify(given.password, candidate.password);
      const { userId, active, readAt: provenAt, memberships } = candidate;
      if (!matches || userId === undefined || !active) return undefined;
      const tenants = memberships.filter(({ slug }) => given.tenant === undefined || slug === given.tenant);
      const onAdmitted = () => renewHash(parts, given.password, candidate);
      return { userId, tenants, provenAt, amr, transport: given.transport, onAdmitted };
    },
  };
  return parts.passwords.admit(() => admit(parts, attempt, caller));
}

/**
 * @param given.mayUse Throws if the caller cannot receive tokens by the transport that the login requested.
 * @throws AppError `invalid_selection_token`, `too_many_attempts`, and any error from `mayUse`.
 */
export async function chooseTenant(
  parts: AdmitParts,
  given: Readonly<{ selectionToken: string; tenantId: string; mayUse(transport: Transport): void }>,
  caller: Caller,
): Promise<Admission> {
  return admit(
    parts,
    {
      refusal: 'invalid_selection_token',
      reserve: (throttle) => throttle.reserveToken(caller.ip),
      async verify() {
        const step = await parts.db.transaction({ role: roles.login }, (trx) =>
          takeStep(trx, given.selectionToken, 'tenant_selection'),
        );
        if (step !== undefined) given.mayUse(step.transport);
        return step && { ...step, tenants: { id: given.tenantId } };
      },
    },
    caller,
  );
}

/** Updates a hash that was made with older settings. */
async function renewHash(
  { db, passwords, logger }: LoginParts,
  password: string,
  { userId, password: stored }: Candidate,
): Promise<void> {
  if (userId === undefined || stored === undefined || !passwords.isStale(stored)) return;
  try {
    await replaceHash(db, userId, { from: stored.hash, to: await passwords.hash(password) });
  } catch (error) {
    // The login succeeds anyway, and the next login retries.
    logger.warn({ err: error, user_id: userId }, 'a password hash could not be updated');
  }
}
