import { v7 as uuidv7 } from 'uuid';
import { invitationLifetimeSec } from '../../domain/accounts/account-rules.ts';
import { canonicalEmail } from '../../domain/accounts/email.ts';
import { AppError } from '../../errors.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import type { Trx } from '../../store/scope.ts';
import {
  type Invitation,
  insertInvitation,
  listInvitations,
  revokeInvitation,
} from '../../store/tenants/invitations.ts';
import { isMember } from '../../store/tenants/members.ts';
import { recordInTenant } from '../audit/record.ts';
import { orderMail } from '../mail/outbox-messages.ts';
import type { Throttle } from '../sessions/throttle.ts';
import { type Admin, asAdmin } from './as-admin.ts';

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
export type Inviter = Omit<Admin, 'userId'> & Readonly<{ userId: string | null }>;

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

/** Lists invitations that can still be accepted, newest first. */
export function openInvitations(
  db: AuthDatabase,
  tenantId: string,
  page: Readonly<{ before: string | undefined; limit: number }>,
): Promise<Invitation[]> {
  return db.transaction({ role: roles.accounts, tenantId }, (trx) => listInvitations(trx, tenantId, page));
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
