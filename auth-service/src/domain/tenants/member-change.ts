import { adminRole } from '../accounts/account-rules.ts';

export type MemberState = Readonly<{ userId: string; role: string; status: 'active' | 'disabled' }>;

export type KnownMember = MemberState & Readonly<{ accountActive: boolean }>;

export type WantedChange = Readonly<{ role?: string | undefined; status?: 'active' | 'disabled' | undefined }>;

type MemberDecision =
  | Readonly<{ kind: 'change'; from: MemberState; to: MemberState }>
  | Readonly<{ kind: 'same'; member: MemberState }>
  | Readonly<{ kind: 'refuse'; code: 'insufficient_role' | 'not_found' | 'last_admin' }>;

/**
 * Decides whether a member may be changed.
 *
 * @param known The member and all administrators of the tenant, under locks.
 */
export function decideMemberChange(
  known: readonly KnownMember[],
  { actor, memberId }: Readonly<{ actor: string; memberId: string }>,
  wanted: WantedChange,
): MemberDecision {
  const administers = (member: KnownMember) =>
    member.role === adminRole && member.status === 'active' && member.accountActive;
  // Of two administrators who demote each other at the same time, the second is no longer an administrator.
  if (!known.some((member) => member.userId === actor && administers(member))) {
    return { kind: 'refuse', code: 'insufficient_role' };
  }
  const member = known.find(({ userId }) => userId === memberId);
  if (member === undefined) return { kind: 'refuse', code: 'not_found' };
  const from: MemberState = { userId: member.userId, role: member.role, status: member.status };
  const to: MemberState = { ...from, role: wanted.role ?? from.role, status: wanted.status ?? from.status };
  if (to.role === from.role && to.status === from.status) return { kind: 'same', member: from };
  const after = known.map((each) => (each.userId === memberId ? { ...each, ...to } : each));
  if (!after.some(administers)) return { kind: 'refuse', code: 'last_admin' };
  return { kind: 'change', from, to };
}
