import { adminRole } from '../../domain/accounts/account-rules.ts';
import { decideMemberChange, type MemberState, type WantedChange } from '../../domain/tenants/member-change.ts';
import { AppError } from '../../errors.ts';
import type { AuthDatabase } from '../../store/database.ts';
import { roles } from '../../store/roles.ts';
import { actAs, type Trx } from '../../store/scope.ts';
import { lockOwnSessions } from '../../store/sessions/sessions.ts';
import { revokeInvitationsBy } from '../../store/tenants/invitations.ts';
import { lockMemberAndAdmins, readAccounts, updateMember } from '../../store/tenants/members.ts';
import { recordInTenant, recordWithdrawn } from '../audit/record.ts';
import { queueMembership } from '../mail/outbox-messages.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Admin } from './as-admin.ts';

export type ChangedMember = MemberState & Readonly<{ email: string }>;

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
): Promise<ChangedMember> {
  const { tenantId } = admin;
  return db.transaction({ role: roles.accounts, tenantId }, async (trx) => {
    const members = await lockMemberAndAdmins(trx, { tenantId, userId, adminRole });
    const accounts = await readAccounts(trx, [userId, ...members.map((member) => member.userId)]);
    const known = members.map((member) => ({
      ...member,
      accountActive: accounts.get(member.userId)?.active ?? false,
    }));
    const decision = decideMemberChange(known, { actor: admin.userId, memberId: userId }, wanted);
    if (decision.kind === 'refuse') throw new AppError(decision.code);
    const { email = '', active = false } = accounts.get(userId) ?? {};
    if (decision.kind === 'same') return { ...decision.member, email };
    const { from, to } = decision;
    const sequence = await updateMember(trx, tenantId, to);
    const { role } = to;
    // A disabled account is inactive in every tenant, whatever its membership status.
    const status = active ? to.status : 'disabled';
    const about = { tenant_id: tenantId, user_id: userId, email };
    await queueMembership(trx, { sequence, ...about, role, status });
    await recordChange(trx, admin, { from, to });
    return { ...to, email };
  });
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
  await recordInTenant(trx, { tenantId, userId, sessionId: null, requestId, action: 'member.changed', detail });
  const event = { userId: by, sessionId, requestId };
  await recordWithdrawn(trx, withdrawn, { ...event, inviter: userId, reason: 'member_changed' });
  const revocations = [{ kind: 'member', user_id: userId, tenant_id: tenantId } as const];
  await endSessions(trx, userId, open, { reason: 'member_changed', requestId, revocations });
}
