import { adminRole } from '../../domain/accounts/account-rules.ts';
import { decideMemberChange, type MemberState, type WantedChange } from '../../domain/tenants/member-change.ts';
import { AppError } from '../../errors.ts';
import { type AuditQuery, readNewest, type StoredEntry } from '../../store/audit/audit.ts';
import { lastLogins, lockOwnSessions } from '../../store/sessions/sessions.ts';
import { revokeInvitationsBy } from '../../store/tenants/invitations.ts';
import {
  holdsRole,
  insertMember,
  listMembers,
  lockMemberAndAdmins,
  readAccounts,
  updateMember,
} from '../../store/tenants/tenants.ts';
import { type AuthDatabase, actAs, roles, type Trx } from '../../store/transaction.ts';
import { recordInTenant, recordWithdrawn } from '../audit/record.ts';
import { queueMembership } from '../mail/deliver.ts';
import { endSessions } from '../sessions/end-sessions.ts';

export type Admin = Readonly<{ tenantId: string; userId: string; sessionId: string | null; requestId: string }>;

/**
 * Runs a transaction in the tenant with the `accounts` database role. Locks the membership and checks it again, because
 * the administrator may just have lost the role.
 *
 * @throws AppError `insufficient_role`.
 */
export function asAdmin<T>(db: AuthDatabase, admin: Admin, work: (trx: Trx) => Promise<T>): Promise<T> {
  const { tenantId, userId } = admin;
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    if (!(await holdsRole(trx, { tenantId, userId, role: adminRole }))) throw new AppError('insufficient_role');
    return work(trx);
  });
}

/**
 * Changes a member's role or status. The same transaction ends the member's sessions in this tenant and revokes their
 * tokens, so that they must log in again to get the new rights. It also withdraws invitations that they sent, unless
 * they are still an administrator.
 *
 * @throws AppError `insufficient_role`, `not_found`, `last_admin`.
 */
export async function changeMember(
  db: AuthDatabase,
  admin: Admin,
  { userId, wanted }: Readonly<{ userId: string; wanted: WantedChange }>,
): Promise<MemberState & Readonly<{ email: string }>> {
  const { tenantId } = admin;
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    const { decision, email, active } = await decideUnderLocks(trx, admin, { userId, wanted });
    if (decision.kind === 'same') return { ...decision.member, email };
    const { from, to } = decision;
    const sequence = await updateMember(trx, tenantId, to);
    // A disabled account is inactive in every tenant, whatever its membership status.
    const state = { role: to.role, status: active ? to.status : 'disabled' } as const;
    await queueMembership(trx, { sequence, tenant_id: tenantId, user_id: userId, email, ...state });
    await recordChange(trx, admin, { from, to });
    return { ...to, email };
  });
}

/** @throws AppError `insufficient_role`, `not_found`, `last_admin`. */
async function decideUnderLocks(
  trx: Trx,
  { tenantId, userId: actor }: Admin,
  { userId, wanted }: Readonly<{ userId: string; wanted: WantedChange }>,
) {
  const members = await lockMemberAndAdmins(trx, { tenantId, userId, adminRole });
  const accounts = await readAccounts(trx, [userId, ...members.map((member) => member.userId)]);
  const known = members.map((each) => ({ ...each, accountActive: accounts.get(each.userId)?.active ?? false }));
  const decision = decideMemberChange(known, { actor, memberId: userId }, wanted);
  if (decision.kind === 'refuse') throw new AppError(decision.code);
  return { decision, ...(accounts.get(userId) ?? { email: '', active: false }) };
}

/** Records the changed member as the entry's subject, and the administrator in its detail. */
async function recordChange(
  trx: Trx,
  { tenantId, userId: by, sessionId, requestId }: Admin,
  { from, to }: Readonly<{ from: MemberState; to: MemberState }>,
): Promise<void> {
  const { userId } = to;
  const stateOf = ({ role, status }: MemberState) => ({ role, status });
  const detail = { by, by_session: sessionId, from: stateOf(from), to: stateOf(to) };
  await actAs(trx, roles.app);
  // Locks the sessions before the audit chain, as every flow does: a concurrent logout locks a session and then waits
  // for the chain.
  const open = await lockOwnSessions(trx, userId, tenantId);
  await actAs(trx, roles.accounts);
  const mayInvite = to.role === adminRole && to.status === 'active';
  const withdrawn = mayInvite ? [] : await revokeInvitationsBy(trx, userId, tenantId);
  await recordInTenant(trx, { tenantId, userId, requestId, action: 'member.changed', detail });
  const reason = 'member_changed';
  await recordWithdrawn(trx, withdrawn, { userId: by, sessionId, requestId, inviter: userId, reason });
  const also = { kind: 'member', user_id: userId, tenant_id: tenantId } as const;
  await endSessions(trx, userId, open, { reason, requestId, also });
}

const membersPerPage = 50;

/** Lists members by address, from the one after `after`. Shows no other tenant's data. @throws AppError `insufficient_role`. */
export const readMembers = (db: AuthDatabase, admin: Admin, after: string | undefined) =>
  asAdmin(db, admin, async (trx) => {
    const found = await listMembers(trx, admin.tenantId, { after, limit: membersPerPage + 1 });
    await actAs(trx, roles.app);
    const page = found.slice(0, membersPerPage);
    const ids = page.map(({ userId }) => userId);
    const logins = await lastLogins(trx, admin.tenantId, ids);
    const members = page.map((member) => ({ ...member, lastLogin: logins.get(member.userId) }));
    return { members, next: found.length > membersPerPage ? ids.at(-1) : undefined };
  });

/** Ends a member's sessions in the tenant, and revokes their tokens. @throws AppError `insufficient_role`, `not_found`. */
export function endMemberSessions(db: AuthDatabase, admin: Admin, userId: string): Promise<void> {
  const { tenantId, requestId, userId: by, sessionId } = admin;
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    await decideUnderLocks(trx, admin, { userId, wanted: {} });
    await actAs(trx, roles.app);
    const open = await lockOwnSessions(trx, userId, tenantId);
    const detail = { by, by_session: sessionId };
    await recordInTenant(trx, { tenantId, userId, requestId, action: 'member.sessions_ended', detail });
    const also = { kind: 'member', user_id: userId, tenant_id: tenantId } as const;
    await endSessions(trx, userId, open, { reason: 'admin', requestId, also });
  });
}

/** Reads the addresses of members, by id. @throws AppError `insufficient_role`. */
export const readAddresses = (db: AuthDatabase, admin: Admin, userIds: readonly string[]) =>
  asAdmin(db, admin, async (trx) => (userIds.length === 0 ? new Map() : readAccounts(trx, userIds)));

/** Reads the tenant's audit log. @throws AppError `insufficient_role`. */
export const readAuditLog = (db: AuthDatabase, admin: Admin, query: AuditQuery): Promise<StoredEntry[]> =>
  asAdmin(db, admin, async (trx) => {
    await actAs(trx, roles.app);
    return readNewest(trx, admin.tenantId, query);
  });

type NewMember = Readonly<{ tenantId: string; userId: string; email: string; role: string; name: string | undefined }>;

/** Also queues an update for other services. @returns false if the person is already a member. */
export async function joinTenant(trx: Trx, { tenantId, userId, email, role, name }: NewMember): Promise<boolean> {
  const member = { tenant_id: tenantId, user_id: userId, role };
  const sequence = await insertMember(trx, member);
  if (sequence === undefined) return false;
  await queueMembership(trx, { sequence, ...member, email, status: 'active', display_name: name });
  return true;
}
