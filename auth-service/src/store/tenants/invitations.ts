import { rowsWith, updating } from '@countersign/database';
import { sql } from 'kysely';
import type { Row } from '../schema.ts';
import { inSeconds, now, type Trx } from '../transaction.ts';

const isPending = sql<boolean>`(accepted_at is null and revoked_at is null)`;
const isOpen = sql<boolean>`(${isPending} and expires_at > clock_timestamp())`;

export type Invitation = Readonly<{ email: string }> &
  Pick<Row<'invitations'>, 'id' | 'role' | 'invited_by' | 'created_at' | 'expires_at'>;

const columns = ['id', 'email_ci as email', 'role', 'invited_by', 'created_at', 'expires_at'] as const;

/** @returns undefined if the address already has a pending invitation to this tenant. */
export async function insertInvitation(
  trx: Trx,
  invitation: Pick<Row<'invitations'>, 'id' | 'tenant_id' | 'email_ci' | 'role' | 'invited_by'>,
  lifetimeSec: number,
): Promise<Invitation | undefined> {
  // An expired invitation does not block a new one.
  const earlier = revocationIn(trx, invitation.tenant_id).where('email_ci', '=', invitation.email_ci);
  await earlier.where('expires_at', '<=', now).execute();
  return trx
    .insertInto('invitations')
    .values({ ...invitation, expires_at: inSeconds(lifetimeSec) })
    .onConflict((conflict) => conflict.doNothing())
    .returning(columns)
    .executeTakeFirst();
}

/** Lists a tenant's open invitations, newest first. */
export function listInvitations(
  trx: Trx,
  tenantId: string,
  { before, limit }: Readonly<{ before: string | undefined; limit: number }>,
): Promise<Invitation[]> {
  let query = rowsWith(trx, 'invitations', { tenant_id: tenantId }).select(columns).where(isOpen);
  if (before !== undefined) query = query.where('id', '<', before);
  return query.orderBy('id', 'desc').limit(limit).execute();
}

/** The update that withdraws a tenant's pending invitations. */
const revocationIn = (trx: Trx, tenantId: string) =>
  updating(trx, 'invitations', { tenant_id: tenantId }, { revoked_at: now }).where(isPending);

/** Withdraws an invitation. @returns Its address, or undefined if no such invitation is pending. */
export async function revokeInvitation(trx: Trx, tenantId: string, id: string): Promise<string | undefined> {
  const row = await revocationIn(trx, tenantId).where('id', '=', id).returning('email_ci').executeTakeFirst();
  return row?.email_ci;
}

/** Withdraws the pending invitations to this address in the tenant. */
export async function revokeInvitationsTo(trx: Trx, tenantId: string, email: string): Promise<void> {
  await revocationIn(trx, tenantId).where('email_ci', '=', email).execute();
}

export type WithdrawnInvitation = Awaited<ReturnType<typeof revokeInvitationsBy>>[number];

/** Withdraws the open invitations that a user sent, in one tenant or in all. */
export function revokeInvitationsBy(trx: Trx, userId: string, tenantId?: string) {
  const theirs = { invited_by: userId, ...(tenantId !== undefined && { tenant_id: tenantId }) };
  const open = updating(trx, 'invitations', theirs, { revoked_at: now }).where(isOpen);
  return open.returning(['id', 'tenant_id as tenantId', 'email_ci as email']).execute();
}

/** Finds an invitation that can still be accepted. `invitedBy` is null if an operator sent it. */
export const findOpenInvitation = (trx: Trx, id: string) =>
  rowsWith(trx, 'invitations', { id })
    .select(['tenant_id as tenantId', 'email_ci as email', 'role', 'invited_by as invitedBy'])
    .select(sql<number>`ceil(extract(epoch from expires_at - clock_timestamp()))::int`.as('expiresInSec'))
    .where(isOpen)
    .executeTakeFirst();

/** Accepts an invitation. Of two concurrent calls, one succeeds. @returns undefined if it is no longer open. */
export const acceptInvitation = (trx: Trx, id: string, userId: string) =>
  updating(trx, 'invitations', { id }, { accepted_at: now, accepted_by: userId })
    .where(isOpen)
    .returning('role')
    .executeTakeFirst();

export async function isInvited(trx: Trx, email: string): Promise<boolean> {
  const open = rowsWith(trx, 'invitations', { email_ci: email }).select('id').where(isOpen);
  return (await open.limit(1).executeTakeFirst()) !== undefined;
}
