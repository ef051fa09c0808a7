import { v7 as uuidv7 } from 'uuid';
import { adminRole } from '../../domain/accounts/account-rules.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { type Candidate, findCandidate, isActiveAccount } from '../../store/accounts/accounts.ts';
import { insertAccount } from '../../store/accounts/credentials.ts';
import { dropRegistrations } from '../../store/accounts/registrations.ts';
import { databaseNow } from '../../store/clock.ts';
import { findInvitationToken } from '../../store/mail/mailed-tokens.ts';
import { roles } from '../../store/roles.ts';
import { actAs, becomeUser, enterTenant, type Trx } from '../../store/scope.ts';
import { findOpenInvitation, acceptInvitation as markAccepted } from '../../store/tenants/invitations.ts';
import { holdsRole } from '../../store/tenants/members.ts';
import { findTenantName } from '../../store/tenants/tenants.ts';
import { assertGoodPassword } from '../accounts/assert-good-password.ts';
import { recordInTenant } from '../audit/record.ts';
import { type Admission, admit } from '../sessions/admit.ts';
import type { Caller } from '../sessions/grant.ts';
import type { LoginParts } from '../sessions/log-in.ts';
import type { Proof } from '../sessions/start-session.ts';
import { type InSession, proofOf } from '../sessions/switch-tenant.ts';
import { judge } from '../sessions/throttle.ts';
import { joinTenant } from './join-tenant.ts';

/** `session` is set if the caller is logged in. */
export type Acceptance = Readonly<{
  token: string;
  password?: string | undefined;
  session?: InSession | undefined;
  transport: Transport;
}>;

const amr = ['pwd'];

type Offer = Readonly<{ invitationId: string; tenantId: string; email: string; invitedBy: string | null }>;

/**
 * The details of an invitation. `hasAccount` decides whether the page asks for the existing password or a new password.
 */
export type InvitationPreview = Readonly<{ email: string; tenantName: string; hasAccount: boolean }>;

/**
 * Reads an invitation's details. The link stays valid, because mail scanners also open links.
 *
 * @throws AppError `invalid_token`, `invitation_gone`, `too_many_attempts`.
 */
export async function readInvitation(
  parts: Pick<LoginParts, 'db' | 'throttle'>,
  token: string,
  caller: Caller,
): Promise<InvitationPreview> {
  const { db, throttle } = parts;
  const { email, tenantId } = await judge(await throttle.reserveToken(caller.ip), () => readOffer(parts, token));
  const tenantName = await db.transaction({ role: roles.accounts, tenantId }, (trx) => findTenantName(trx, tenantId));
  if (tenantName === undefined) throw new AppError('invitation_gone');
  const { userId } = await findCandidate(db, email);
  return { email, tenantName, hasAccount: userId !== undefined };
}

/**
 * Makes the invited person a member, and starts a session.
 *
 * The emailed token proves only that the person receives email at the address. A new person chooses a password. A
 * person with an account must also prove that it is theirs, with the password or a session, and pass all login checks.
 * Access to a mailbox must not be enough to enter an account.
 *
 * @throws AppError `invalid_token`, `invitation_gone`, `invalid_credentials`, `already_member`, `validation_failed`,
 *   `too_many_attempts`, `login_busy`.
 */
export async function acceptInvitation(parts: LoginParts, given: Acceptance, caller: Caller): Promise<Admission> {
  const offer = await judge(await parts.throttle.reserveToken(caller.ip), () => readOffer(parts, given.token));
  const { email, tenantId } = offer;
  const candidate = await findCandidate(parts.db, email);
  const newPassword = candidate.userId === undefined ? (given.password ?? '') : undefined;
  if (newPassword !== undefined) assertGoodPassword(newPassword, email);
  return admit(
    parts,
    {
      refusal: 'invalid_credentials',
      // Counts password guesses together with login attempts.
      reserve: (throttle) => throttle.reserveLogin(email, caller.ip),
      whose: () => ({ email }),
      async verify() {
        const { transport } = given;
        const proof =
          newPassword === undefined
            ? await joinWithAccount(parts, offer, { candidate, given, caller })
            : await joinAsNewcomer(parts, offer, newPassword, caller);
        return proof && { ...proof, tenants: { id: tenantId }, transport };
      },
    },
    caller,
  );
}

async function readOffer({ db }: Pick<LoginParts, 'db'>, token: string): Promise<Offer> {
  return db.transaction({ role: roles.accounts }, async (trx) => {
    const named = await findInvitationToken(trx, token);
    if (named === undefined) throw new AppError('invalid_token');
    await enterTenant(trx, named.tenantId);
    const invitation = await findOpenInvitation(trx, named.invitationId);
    if (invitation === undefined) throw new AppError('invitation_gone');
    const { email, invitedBy } = invitation;
    const offer = { ...named, email, invitedBy };
    await assertInviter(trx, offer);
    return offer;
  });
}

/**
 * Locks the inviter's membership, so that the inviter stays an active administrator until the transaction ends.
 *
 * @throws AppError `invitation_gone` if the inviter is no longer an active administrator.
 */
async function assertInviter(trx: Trx, { tenantId, invitedBy }: Offer): Promise<void> {
  if (invitedBy === null) return;
  const inviter = { tenantId, userId: invitedBy, role: adminRole };
  if (!(await holdsRole(trx, inviter))) throw new AppError('invitation_gone');
}

/** @returns undefined if the caller did not prove that the account is theirs. */
async function joinWithAccount(
  parts: LoginParts,
  offer: Offer,
  by: Readonly<{ candidate: Candidate; given: Acceptance; caller: Caller }>,
): Promise<Proof | undefined> {
  const proof = await proveAccount(parts, by);
  if (proof === undefined) return undefined;
  const { userId } = proof;
  return parts.db.transaction({ role: roles.app, tenantId: offer.tenantId, userId }, async (trx) => {
    // Reads the account's status again under a lock. Either this transaction sees that an operator disabled the
    // account, or the operator's transaction sees the new membership.
    if (!(await isActiveAccount(trx, userId))) return undefined;
    await actAs(trx, roles.accounts);
    await join(trx, offer, userId, by.caller.requestId);
    return proof;
  });
}

async function proveAccount(
  parts: LoginParts,
  { candidate, given, caller }: Readonly<{ candidate: Candidate; given: Acceptance; caller: Caller }>,
): Promise<Proof | undefined> {
  const { userId, readAt: provenAt, active } = candidate;
  const { password, session } = given;
  if (password === undefined) {
    return active && session !== undefined && session.userId === userId ? proofOf(parts, session, caller) : undefined;
  }
  const matches = await parts.passwords.verify(password, candidate.password);
  return matches && active && userId !== undefined ? { userId, provenAt, amr } : undefined;
}

async function joinAsNewcomer(
  { db, passwords }: LoginParts,
  offer: Offer,
  password: string,
  { requestId }: Caller,
): Promise<Proof> {
  const stored = await passwords.hash(password);
  const { tenantId, email } = offer;
  const userId = uuidv7();
  return db.transaction({ role: roles.accounts, tenantId, userId }, async (trx) => {
    // If a concurrent request created the account, its password is required.
    if (!(await insertAccount(trx, { userId, email, password: stored }))) throw new AppError('invalid_credentials');
    await dropRegistrations(trx, email);
    const provenAt = await databaseNow(trx);
    await join(trx, offer, userId, requestId);
    return { userId, provenAt, amr };
  });
}

/**
 * @throws AppError `invitation_gone` if the invitation was accepted or withdrawn, has expired, or its inviter can no
 *   longer invite people; `already_member`.
 */
async function join(trx: Trx, offer: Offer, userId: string, requestId: string): Promise<void> {
  const { invitationId, tenantId, email } = offer;
  await assertInviter(trx, offer);
  const accepted = await markAccepted(trx, invitationId, userId);
  if (accepted === undefined) throw new AppError('invitation_gone');
  const { role } = accepted;
  await becomeUser(trx, userId);
  if (!(await joinTenant(trx, { tenantId, userId, email, role }))) throw new AppError('already_member');
  const event = { tenantId, userId, sessionId: null, requestId };
  await recordInTenant(trx, { ...event, action: 'invitation.accepted', detail: { invitation_id: invitationId } });
  await recordInTenant(trx, { ...event, action: 'member.joined', detail: { role, by: 'invitation' } });
}
