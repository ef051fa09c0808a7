import { sql } from 'kysely';
import { inSeconds, now } from '../clock.ts';
import type { Row } from '../schema.ts';
import type { Trx } from '../scope.ts';

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
  await revocationOf(trx, invitation.tenant_id, invitation.email_ci).where('expires_at', '<=', now).execute();
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
  let query = trx.selectFrom('invitations').select(columns).where('tenant_id', '=', tenantId).where(isOpen);
  if (before !== undefined) query = query.where('id', '<', before);
  return query.orderBy('id', 'desc').limit(limit).execute();
}

/** Withdraws an invitation. @returns Its address, or undefined if no such invitation is pending. */
export async function revokeInvitation(trx: Trx, tenantId: string, id: string): Promise<string | undefined> {
  const row = await trx
    .updateTable('invitations')
    .set({ revoked_at: now })
    .where('tenant_id', '=', tenantId)
    .where('id', '=', id)
    .where(isPending)
    .returning('email_ci')
    .executeTakeFirst();
  return row?.email_ci;
}

/** Withdraws the pending invitations to this address in the tenant. */
export async function revokeInvitationsTo(trx: Trx, tenantId: string, email: string): Promise<void> {
  await revocationOf(trx, tenantId, email).execute();
}

export type WithdrawnInvitation = Readonly<{ id: string; tenantId: string; email: string }>;

/** Withdraws the open invitations that a user sent, in one tenant or in all. */
export function revokeInvitationsBy(trx: Trx, userId: string, tenantId?: string): Promise<WithdrawnInvitation[]> {
  let query = trx.updateTable('invitations').set({ revoked_at: now }).where('invited_by', '=', userId).where(isOpen);
  if (tenantId !== undefined) query = query.where('tenant_id', '=', tenantId);
  return query.returning(['id', 'tenant_id as tenantId', 'email_ci as email']).execute();
}

/** The update that withdraws pending invitations to an address. */
const revocationOf = (trx: Trx, tenantId: string, email: string) =>
  trx
    .updateTable('invitations')
    .set({ revoked_at: now })
    .where('tenant_id', '=', tenantId)
    .where('email_ci', '=', email)
    .where(isPending);

/** An invitation that can still be accepted. */
export type OpenInvitation = Readonly<{
  tenantId: string;
  email: string;
  role: string;
  /** Null if an operator sent the invitation. */
  invitedBy: string | null;
  expiresInSec: number;
}>;

/** @returns undefined if the invitation was accepted or withdrawn, or has expired. */
export function findOpenInvitation(trx: Trx, id: string): Promise<OpenInvitation | undefined> {
  return trx
    .selectFrom('invitations')
    .select([
      'tenant_id as tenantId',
      'email_ci as email',
      'role',
      'invited_by as invitedBy',
      sql<number>`ceil(extract(epoch from expires_at - clock_timestamp()))::int`.as('expiresInSec'),
    ])
    .where('id', '=', id)
    .where(isOpen)
    .executeTakeFirst();
}

/** Accepts an invitation. Of two concurrent calls, one succeeds. @returns undefined if it is no longer open. */
export function acceptInvitation(
  trx: Trx,
  id: string,
  userId: string,
): Promise<Readonly<{ role: string }> | undefined> {
  return trx
    .updateTable('invitations')
    .set({ accepted_at: now, accepted_by: userId })
    .where('id', '=', id)
    .where(isOpen)
    .returning('role')
    .executeTakeFirst();
}

/** Whether this address has an open invitation. */
export async function isInvited(trx: Trx, email: string): Promise<boolean> {
  const row = await trx
    .selectFrom('invitations')
    .select('id')
    .where('email_ci', '=', email)
    .where(isOpen)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
