import { AppError } from '../../errors.ts';
import { roles } from '../../store/roles.ts';
import type { SessionKey } from '../../store/sessions/refresh-family.ts';
import { readSessionProof } from '../../store/sessions/sessions.ts';
import { type Admission, type AdmitParts, admit, type Proven } from './admit.ts';
import type { Caller } from './grant.ts';
import type { Proof } from './start-session.ts';

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
  caller: Caller,
): Promise<Admission> {
  return admit(
    parts,
    {
      refusal: 'not_a_member',
      reserve: (throttle) => throttle.reserveToken(caller.ip),
      async verify() {
        return { ...(await proofOf(parts, from, caller)), tenants: { id: given.tenantId }, transport: given.transport };
      },
    },
    caller,
  );
}

/**
 * @throws AppError `session_revoked` if the session has ended, or if it is bound to a key and the request has no DPoP
 *   proof for that key.
 */
export async function proofOf(
  { db }: Pick<AdmitParts, 'db'>,
  { userId, tenantId, sessionId }: InSession,
  caller: Caller,
): Promise<Proof> {
  const from = { tenantId, sessionId };
  const proof = await db.transaction({ role: roles.app, tenantId, userId }, (trx) =>
    readSessionProof(trx, from, userId),
  );
  if (proof === undefined || proof.jkt !== caller.jkt) throw new AppError('session_revoked');
  return { userId, provenAt: proof.authTime, amr: proof.amr, from };
}
