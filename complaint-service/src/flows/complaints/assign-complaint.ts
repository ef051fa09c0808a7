import type { UserIdentity } from '@countersign/identity';
import { afterAssigning, afterUnassigning, mayBeAssigned } from '../../domain/complaints/workflow.ts';
import { mayTakeComplaints } from '../../domain/people.ts';
import { AppError } from '../../errors.ts';
import { addWatcher } from '../../store/complaints/watchers.ts';
import { findNews, lockMember } from '../../store/members/members.ts';
import type { Complaint } from '../../store/schema/complaints.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import type { AssertCurrent, FlowParts } from '../parts.ts';
import { reachComplaint } from './reach-complaint.ts';
import { recordChange } from './record-change.ts';

/**
 * Gives a complaint to an agent. To give it to the same agent again changes nothing.
 *
 * @throws AppError `not_found`, `unknown_assignee`, `people_unavailable` or `complaint_locked`, and what `assertCurrent`
 * throws.
 */
export async function assignComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, assigneeId, assertCurrent }: Readonly<{ id: string; assigneeId: string; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  // Check the complaint first. Otherwise the answer would reveal whether any id is an agent.
  await asUser(parts.db, user, (trx) => reachComplaint(trx, id, 'read'));
  if (!mayTakeComplaints(await parts.people.find(user, assigneeId))) throw new AppError('unknown_assignee');
  return asUser(parts.db, user, async (trx) => {
    await lockMember(trx, { tenantId: user.tenantId, userId: assigneeId });
    const news = await findNews(trx, assigneeId);
    if (news !== undefined && !mayTakeComplaints(news)) throw new AppError('unknown_assignee');
    const current = await reachComplaint(trx, id, 'change');
    if (!mayBeAssigned(current)) throw new AppError('complaint_locked');
    assertCurrent(current.revision);
    if (current.assignee_id === assigneeId) return current;
    const at = parts.now();
    await addWatcher(trx, current, assigneeId, at);
    return setAssignee(trx, parts, current, { assigneeId, actor: user, at });
  });
}

/**
 * Returns a complaint to the queue. Without an assignee, nothing changes.
 *
 * @throws AppError `not_found` or `complaint_locked`, and what `assertCurrent` throws.
 */
export async function unassignComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, reason, assertCurrent }: Readonly<{ id: string; reason?: string | undefined; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  return asUser(parts.db, user, async (trx) => {
    const current = await reachComplaint(trx, id, 'change');
    if (!mayBeAssigned(current)) throw new AppError('complaint_locked');
    assertCurrent(current.revision);
    if (current.assignee_id === null) return current;
    return setAssignee(trx, parts, current, { assigneeId: null, actor: user, at: parts.now(), reason });
  });
}

type Assignment = Readonly<{
  assigneeId: string | null;
  actor: Readonly<{ userId: string; role: string }>;
  at: Date;
  reason?: string | undefined;
}>;

/** Changes the assignee of a locked complaint, and the status that follows from it. */
function setAssignee(
  trx: Trx,
  parts: Pick<FlowParts, 'newId'>,
  current: Complaint,
  { assigneeId, actor, at, reason }: Assignment,
): Promise<Complaint> {
  const status = assigneeId === null ? afterUnassigning(current.status) : afterAssigning(current.status);
  const detail = {
    from: current.assignee_id,
    to: assigneeId,
    ...(status !== current.status && { status: { from: current.status, to: status } }),
    ...(reason !== undefined && { reason }),
  };
  const event = { action: assigneeId === null ? 'unassigned' : 'assigned', detail } as const;
  return recordChange(trx, parts, current, { actor, at, changes: { assignee_id: assigneeId, status }, event });
}
