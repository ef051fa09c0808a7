import { remove } from '@countersign/database';
import { v7 as uuidv7 } from 'uuid';
import { adminRole, canonicalEmail, invitationLifetimeSec } from '../../domain/accounts/account-rules.ts';
import { assertGoodPassword } from '../../domain/accounts/password-policy.ts';
import type { Transport } from '../../domain/sessions/session-rules.ts';
import { AppError } from '../../errors.ts';
import { type Candidate, findCandidate, holdActive, insertAccount } from '../../store/accounts/accounts.ts';
import { findInvitationToken } from '../../store/mail/mailed-tokens.ts';
import {
  findOpenInvitation,
  type Invitation,
  insertInvitation,
  listInvitations,
  acceptInvitation as markAccepted,
  revokeInvitation,
} from '../../store/tenants/invitations.ts';
import { findTenantName, holdsRole, isMember } from '../../store/tenants/tenants.ts';
import {
  type AuthDatabase,
  actAs,
  becomeUser,
  databaseNow,
  enterTenant,
  roles,
  type Trx,
} from '../../store/transaction.ts';
import { recordInTenant } from '../audit/record.ts';
import { orderMail } from '../mail/deliver.ts';
import { type Admission, admit, type Proof } from '../sessions/admit.ts';
import { type InSession, type LoginParts, proofOf } from '../sessions/log-in.ts';
import { type HttpCaller, judge, type Throttle, turnOf } from '../sessions/throttle.ts';
import { type Admin, asAdmin, joinTenant } from './members.ts';

/** @throws AppError `already_member`, `already_invited`, `insufficient_role`, `too_many_attempts`. */
export async function invite(
  { db, throttle }: Readonly<{ db: AuthDatabase; throttle: Throttle }>,
  admin: Admin,
  given: Readonly<{ email: string; role: string }>,
): Promise<Invitation> {
  const { tenantId } = admin;
  const email = canonicalEmail(given.email);
  await throttle.reserveInvitation(tenantId, email);
  return asAdmin(db, admin, async (trx) => {
    const invitation = await placeInvitation(trx, { email, role: given.role }, admin);
    await recordInvitation(trx, invitation, admin);
    return invitation;
  });
}

/** `userId` is null if an operator sent the invitation. */
type Inviter = Omit<Admin, 'userId'> & Readonly<{ userId: string | null }>;

/** Stores an invitation and queues its email. @throws AppError `already_member`, `already_invited`. */
export async function placeInvitation(
  trx: Trx,
  { email, role }: Readonly<{ email: string; role: string }>,
  { tenantId, userId, requestId }: Inviter,
): Promise<Invitation> {
  if (await isMember(trx, tenantId, email)) throw new AppError('already_member');
  const wanted = { id: uuidv7(), tenant_id: tenantId, email_ci: email, role, invited_by: userId };
  const invitation = await insertInvitation(trx, wanted, invitationLifetimeSec);
  if (invitation === undefined) throw new AppError('already_invited');
  await orderMail(trx, invitation.id, { kind: 'invitation', invitationId: invitation.id, requestId });
  return invitation;
}

/** The transaction then has access to the tenant's sessions. */
export async function recordInvitation(trx: Trx, { id, email, role }: Invitation, by: Inviter): Promise<void> {
  const detail = { invitation_id: id, email, role };
  await recordInTenant(trx, { ...by, action: 'invitation.created', detail });
}

/** @throws AppError `not_found`, `insufficient_role`. */
export async function withdrawInvitation(db: AuthDatabase, admin: Admin, id: string): Promise<void> {
  await asAdmin(db, admin, async (trx) => {
    const email = await revokeInvitation(trx, admin.tenantId, id);
    if (email === undefined) throw new AppError('not_found');
    const detail = { invitation_id: id, email };
    await recordInTenant(trx, { ...admin, action: 'invitation.revoked', detail });
  });
}

/** Sends an invitation's email again, with another link. @throws AppError `not_found`, `insufficient_role`, `too_many_attempts`. */
export async function resendInvitation(
  { db, throttle }: Readonly<{ db: AuthDatabase; throttle: Throttle }>,
  admin: Admin,
  id: string,
): Promise<void> {
  const { tenantId, requestId } = admin;
  const open = await asAdmin(db, admin, (trx) => findOpenInvitation(trx, id));
  if (open?.tenantId !== tenantId) throw new AppError('not_found');
  await throttle.reserveInvitation(tenantId, open.email);
  await asAdmin(db, admin, async (trx) => {
    await orderMail(trx, id, { kind: 'invitation', invitationId: id, requestId });
    const detail = { invitation_id: id, email: open.email };
    await recordInTenant(trx, { ...admin, action: 'invitation.resent', detail });
  });
}

/** Lists the tenant's open invitations, newest first. @throws AppError `insufficient_role`. */
export const readInvitations = (db: AuthDatabase, admin: Admin, page: Parameters<typeof listInvitations>[2]) =>
  asAdmin(db, admin, (trx) => listInvitations(trx, admin.tenantId, page));

/** `session` is set if the caller is logged in. */
type Acceptance = Readonly<{
  token: string;
  password?: string | undefined;
  /** How other members see the person. */
  name?: string | undefined;
  session?: InSession | undefined;
  transport: Transport;
}>;

const amr = ['pwd'];

/**
 * Reads an invitation's details. The link stays valid, because mail scanners also open links.
 *
 * @returns `hasAccount` decides whether the page asks for the existing password or a new password.
 * @throws AppError `invalid_token`, `invitation_gone`, `too_many_attempts`.
 */
export async function readInvitation({ db, throttle }: LoginParts, token: string, caller: HttpCaller) {
  const { email, tenantId } = await judge(await throttle.reserveToken(caller.ip), () => readOffer(db, token));
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
export async function acceptInvitation(parts: LoginParts, given: Acceptance, caller: HttpCaller): Promise<Admission> {
  const found = await judge(await parts.throttle.reserveToken(caller.ip), () => readOffer(parts.db, given.token));
  const { email, tenantId } = found;
  const offer = { ...found, name: given.name };
  const candidate = await findCandidate(parts.db, email);
  const newPassword = candidate.userId === undefined ? (given.password ?? '') : undefined;
  if (newPassword !== undefined) assertGoodPassword(newPassword, email);
  return admit(parts, caller, {
    refusal: 'invalid_credentials',
    // Counts password guesses together with login attempts.
    reserve: (throttle) => throttle.reserveLogin(email, caller.ip),
    whose: () => ({ email }),
    async verify() {
      const proof =
        newPassword === undefined
          ? await joinWithAccount(parts, offer, await proveAccount(parts, candidate, given, caller), caller)
          : await joinAsNewcomer(parts, offer, newPassword, caller);
      return proof && { ...proof, tenants: { id: tenantId }, transport: given.transport };
    },
  });
}

type Offer = Awaited<ReturnType<typeof readOffer>> & Pick<Acceptance, 'name'>;

async function readOffer(db: AuthDatabase, token: string) {
  return db.transaction({ role: roles.accounts }, async (trx) => {
    const named = await findInvitationToken(trx, token);
    if (named === undefined) throw new AppError('invalid_token');
    await enterTenant(trx, named.tenantId);
    const invitation = await findOpenInvitation(trx, named.invitationId);
    if (invitation === undefined) throw new AppError('invitation_gone');
    const offer = { ...named, ...invitation };
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

async function joinWithAccount(
  { db }: LoginParts,
  offer: Offer,
  proof: Proof | undefined,
  { requestId }: HttpCaller,
): Promise<Proof | undefined> {
  if (proof === undefined) return undefined;
  const { userId } = proof;
  return db.transaction({ role: roles.app, tenantId: offer.tenantId, userId }, async (trx) => {
    // Reads the account's status again under a lock. Either this transaction sees that an operator disabled the
    // account, or the operator's transaction sees the new membership.
    if (!(await holdActive(trx, 'users', userId))) return undefined;
    await actAs(trx, roles.accounts);
    await join(trx, offer, userId, requestId);
    return proof;
  });
}

/** @returns undefined if the caller did not prove that the account is theirs. */
async function proveAccount(
  parts: LoginParts,
  candidate: Candidate,
  { password, session }: Acceptance,
  caller: HttpCaller,
): Promise<Proof | undefined> {
  const { userId, readAt: provenAt, active } = candidate;
  if (password === undefined) {
    return active && session !== undefined && session.userId === userId ? proofOf(parts, session, caller) : undefined;
  }
  const matches = await parts.passwords.verify(password, candidate.password, turnOf(caller));
  return matches && active && userId !== undefined ? { userId, provenAt, amr } : undefined;
}

async function joinAsNewcomer(
  { db, passwords }: LoginParts,
  offer: Offer,
  password: string,
  caller: HttpCaller,
): Promise<Proof> {
  const { requestId } = caller;
  const stored = await passwords.hash(password, turnOf(caller));
  const { tenantId, email } = offer;
  const userId = uuidv7();
  return db.transaction({ role: roles.accounts, tenantId, userId }, async (trx) => {
    // If a concurrent request created the account, its password is required.
    if (!(await insertAccount(trx, { userId, email, password: stored }))) throw new AppError('invalid_credentials');
    await remove(trx, 'registrations', { email_ci: email });
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
  const { invitationId, tenantId, email, name } = offer;
  await assertInviter(trx, offer);
  const accepted = await markAccepted(trx, invitationId, userId);
  if (accepted === undefined) throw new AppError('invitation_gone');
  const { role } = accepted;
  await becomeUser(trx, userId);
  if (!(await joinTenant(trx, { tenantId, userId, email, role, name }))) throw new AppError('already_member');
  const event = { tenantId, userId, requestId };
  await recordInTenant(trx, { ...event, action: 'invitation.accepted', detail: { invitation_id: invitationId } });
  await recordInTenant(trx, { ...event, action: 'member.joined', detail: { role, by: 'invitation' } });
}
