import type { UserIdentity } from '@countersign/identity';
import { clocksAfterMove } from '../../domain/complaints/service-level.ts';
import { judgeTransition, nextOf, type Status } from '../../domain/complaints/workflow.ts';
import { AppError } from '../../errors.ts';
import { findCategory } from '../../store/catalogue/categories.ts';
import { hasDuplicates, lockComplaints } from '../../store/complaints/complaints.ts';
import { lockMember } from '../../store/members/members.ts';
import type { Complaint, ComplaintChanges } from '../../store/schema/complaints.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import type { AssertCurrent, FlowParts } from '../parts.ts';
import { hasLeft } from './assign-complaint.ts';
import { getComplaint } from './get-complaint.ts';
import { recordChange } from './record-change.ts';

export type Move = Readonly<{
  to: Status;
  reason?: string | undefined;
  /** The original complaint, for the status `duplicate`. */
  duplicateOf?: string | undefined;
}>;

/**
 * Moves a complaint to another status.
 *
 * @throws AppError `not_found`, `complaint_locked`, `insufficient_role`, `illegal_transition` or `invalid_duplicate`,
 *   and any error from `assertCurrent`.
 */
export async function moveComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, move, assertCurrent }: Readonly<{ id: string; move: Move; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  const { to, reason, duplicateOf } = move;
  return asUser(parts.db, user, async (trx) => {
    if (to === 'reopened') await lockAssignee(trx, user, id);
    const original = duplicateOf === undefined ? undefined : await lockBoth(trx, id, duplicateOf);
    const current = await getComplaint(trx, id, 'change');
    const verdict = judgeTransition(user, current.status, to);
    if (verdict === 'illegal_transition') throw illegalTransition(current.status);
    if (verdict !== 'allowed') throw new AppError(verdict);
    assertCurrent(current.revision);
    if (duplicateOf !== undefined) await assertOriginal(trx, current, original);
    const at = parts.now();
    const changes = await changesOf(trx, current, move, at);
    const detail = {
      from: current.status,
      to,
      ...(reason !== undefined && { reason }),
      ...(duplicateOf !== undefined && { duplicate_of: duplicateOf }),
    };
    return recordChange(trx, parts, current, { actor: user, at, changes, event: { action: 'moved', detail } });
  });
}

async function changesOf(trx: Trx, current: Complaint, { to, duplicateOf }: Move, at: Date): Promise<ComplaintChanges> {
  const category = await findCategory(trx, current.category_id);
  if (category === undefined) throw new Error('a complaint has no category');
  return {
    status: to,
    duplicate_of: duplicateOf ?? null,
    ...clocksAfterMove(current, to, at, category),
    // Active complaints of a former agent return to the queue.
    ...(to === 'reopened' && (await hasLeft(trx, current.assignee_id)) && { assignee_id: null }),
  };
}

/**
 * Locks the agent before the complaint, as `assignComplaint` does. Otherwise the complaint could become active just
 * after all the agent's complaints returned to the queue.
 */
async function lockAssignee(trx: Trx, { tenantId }: UserIdentity, id: string): Promise<void> {
  const { assignee_id: userId } = await getComplaint(trx, id, 'read');
  if (userId !== null) await lockMember(trx, { tenantId, userId });
}

/**
 * Locks a complaint and its original in a fixed order. Otherwise two complaints that refer to each other would
 * deadlock.
 */
async function lockBoth(trx: Trx, id: string, duplicateOf: string): Promise<Complaint | undefined> {
  await getComplaint(trx, id, 'read');
  const locked = await lockComplaints(trx, [id, duplicateOf]);
  return locked.find((each) => each.id === duplicateOf);
}

async function assertOriginal(trx: Trx, current: Complaint, original: Complaint | undefined): Promise<void> {
  const problem =
    original === undefined
      ? 'is not a complaint of this tenant'
      : original.id === current.id
        ? 'is this complaint'
        : original.status === 'duplicate'
          ? 'is itself a duplicate'
          : (await hasDuplicates(trx, current.id))
            ? 'cannot be set: other complaints are duplicates of this one'
            : undefined;
  if (problem !== undefined)
    throw new AppError('invalid_duplicate', { errors: [{ path: 'duplicate_of', message: problem }] });
}

function illegalTransition(from: Status): Error {
  const message = `from ${from}, it can move to ${nextOf(from).join(', ')}`;
  return new AppError('illegal_transition', { errors: [{ path: 'to', message }] });
}
