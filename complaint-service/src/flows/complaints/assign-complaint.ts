import type { UserIdentity } from '@countersign/identity';
import { afterAssigning, afterUnassigning, mayBeAssigned } from '../../domain/complaints/workflow.ts';
import { mayTakeComplaints } from '../../domain/people.ts';
import { AppError } from '../../errors.ts';
import { findTeam } from '../../store/catalogue/teams.ts';
import { addWatcher } from '../../store/complaints/watchers.ts';
import { findMembershipUpdate, lockMember } from '../../store/members/members.ts';
import type { Complaint } from '../../store/schema/complaints.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import type { AssertCurrent, FlowParts } from '../parts.ts';
import { getComplaint } from './get-complaint.ts';
import { recordChange } from './record-change.ts';

/** The new assignee: an agent, a team, or both. */
export type Wanted = Readonly<{
  id: string;
  assigneeId?: string | undefined;
  /** Null removes the complaint from its team. */
  teamId?: string | null | undefined;
  assertCurrent: AssertCurrent;
}>;

/**
 * Assigns a complaint to an agent or a team. Does nothing if it already is.
 *
 * @throws AppError `not_found`, `unknown_assignee`, `unknown_team`, `people_unavailable` or `complaint_locked`, and any
 *   error from `assertCurrent`.
 */
export async function assignComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, assigneeId, teamId, assertCurrent }: Wanted,
): Promise<Complaint> {
  // Checks the complaint first. Otherwise anyone could find out whether an id belongs to an agent.
  await asUser(parts.db, user, (trx) => getComplaint(trx, id, 'read'));
  if (assigneeId !== undefined && !mayTakeComplaints(await parts.people.find(user, assigneeId))) {
    throw new AppError('unknown_assignee');
  }
  return asUser(parts.db, user, async (trx) => {
    if (assigneeId !== undefined) {
      await lockMember(trx, { tenantId: user.tenantId, userId: assigneeId });
      if (await hasLeft(trx, assigneeId)) throw new AppError('unknown_assignee');
    }
    if (typeof teamId === 'string' && (await findTeam(trx, teamId)) === undefined) throw new AppError('unknown_team');
    const current = await getComplaint(trx, id, 'change');
    if (!mayBeAssigned(current)) throw new AppError('complaint_locked');
    assertCurrent(current.revision);
    const next = {
      assigneeId: assigneeId ?? current.assignee_id,
      teamId: teamId === undefined ? current.team_id : teamId,
    };
    if (current.assignee_id === next.assigneeId && current.team_id === next.teamId) return current;
    const at = parts.now();
    if (assigneeId !== undefined) await addWatcher(trx, current, assigneeId, at);
    return setAssignee(trx, parts, current, { ...next, actor: user, at });
  });
}

/** Whether an assignee has left or changed roles, even after the users-service responded. */
export async function hasLeft(trx: Trx, assigneeId: string | null): Promise<boolean> {
  const update = assigneeId === null ? undefined : await findMembershipUpdate(trx, assigneeId);
  return update !== undefined && !mayTakeComplaints(update);
}

/**
 * Returns a complaint to the queue, if it has an assignee.
 *
 * @throws AppError `not_found` or `complaint_locked`, and any error from `assertCurrent`.
 */
export async function unassignComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, reason, assertCurrent }: Readonly<{ id: string; reason?: string | undefined; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  return asUser(parts.db, user, async (trx) => {
    const current = await getComplaint(trx, id, 'change');
    if (!mayBeAssigned(current)) throw new AppError('complaint_locked');
    assertCurrent(current.revision);
    if (current.assignee_id === null) return current;
    return setAssignee(trx, parts, current, { assigneeId: null, actor: user, at: parts.now(), reason });
  });
}

type Assignment = Readonly<{
  assigneeId: string | null;
  /** If undefined, the complaint keeps its team. */
  teamId?: string | null;
  actor: Readonly<{ userId: string; role: string }>;
  at: Date;
  reason?: string | undefined;
}>;

/** Changes a locked complaint's assignee, and its status accordingly. */
export function setAssignee(
  trx: Trx,
  parts: Pick<FlowParts, 'newId'>,
  current: Complaint,
  { assigneeId, teamId = current.team_id, actor, at, reason }: Assignment,
): Promise<Complaint> {
  const isSame = assigneeId === current.assignee_id;
  const follows = assigneeId === null ? afterUnassigning : afterAssigning;
  const status = isSame ? current.status : follows(current.status);
  const detail = {
    from: current.assignee_id,
    to: assigneeId,
    ...(status !== current.status && { status: { from: current.status, to: status } }),
    ...(teamId !== current.team_id && { team: { from: current.team_id, to: teamId } }),
    ...(reason !== undefined && { reason }),
  };
  const event = { action: assigneeId === null && !isSame ? 'unassigned' : 'assigned', detail } as const;
  const changes = { assignee_id: assigneeId, status, ...(teamId !== current.team_id && { team_id: teamId }) };
  return recordChange(trx, parts, current, { actor, at, changes, event });
}
