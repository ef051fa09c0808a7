import { rowsWith } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { clocksAfterMove } from '../../domain/complaints/service-level.ts';
import * as workflow from '../../domain/complaints/workflow.ts';
import { mayTakeComplaints } from '../../domain/people.ts';
import { countDeltas, timesEnded } from '../../domain/statistics.ts';
import { AppError } from '../../errors.ts';
import { findTeam } from '../../store/catalogue.ts';
import { addHistory } from '../../store/complaints/comments-and-history.ts';
import { addWatcher, changeComplaint, hasDuplicates, lockComplaints } from '../../store/complaints/complaints.ts';
import { findMembershipUpdate, lockMember } from '../../store/members.ts';
import { asUser, type Trx } from '../../store/schema.ts';
import { addToStatistics } from '../../store/statistics.ts';
import type { Complaint, ComplaintChanges, HistoryEvent } from '../../store/tables.ts';
import { announce, announcementOf } from '../events/announce.ts';
import { changeKindOf, queueMail } from '../mail.ts';
import type { AssertCurrent, FlowParts } from '../parts.ts';
import { getComplaint } from './get-complaint.ts';

export type Change = Readonly<{
  actor: Readonly<{ userId: string; role: string }>;
  at: Date;
  changes: ComplaintChanges;
  event: HistoryEvent | ((after: Complaint) => HistoryEvent);
}>;

/**
 * Changes a locked complaint. Every change goes through this function, which also writes the history and the
 * statistics.
 */
export async function recordChange(
  trx: Trx,
  { newId }: Pick<FlowParts, 'newId'>,
  before: Complaint,
  { actor, at, changes, event }: Change,
): Promise<Complaint> {
  const after = await changeComplaint(trx, before, changes, { revision: newId(), at });
  const happened = typeof event === 'function' ? event(after) : event;
  const changeId = newId();
  await addHistory(trx, after, { id: changeId, at, actor, event: happened });
  await announce(trx, { newId }, { complaint: after, ...announcementOf(happened), internal: false, actor, at });
  await queueMail(trx, { newId }, after, { kind: changeKindOf(happened), actorId: actor.userId, changeId });
  await addToStatistics(trx, after.tenant_id, { ...countDeltas(before, after), times: timesEnded(before, after) });
  return after;
}

/** The new assignee: an agent, a team, or both. */
export type Wanted = Readonly<{
  id: string;
  assigneeId?: string | undefined;
  teamId?: string | null | undefined;
  assertCurrent: AssertCurrent;
}>;

/** Assigns a complaint to an agent or a team. Does nothing if it already is. */
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
    if (!workflow.mayBeAssigned(current)) throw new AppError('complaint_locked');
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
async function hasLeft(trx: Trx, assigneeId: string | null): Promise<boolean> {
  const update = assigneeId === null ? undefined : await findMembershipUpdate(trx, assigneeId);
  return update !== undefined && !mayTakeComplaints(update);
}

export async function unassignComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, reason, assertCurrent }: Readonly<{ id: string; reason?: string | undefined; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  return asUser(parts.db, user, async (trx) => {
    const current = await getComplaint(trx, id, 'change');
    if (!workflow.mayBeAssigned(current)) throw new AppError('complaint_locked');
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
  const follows = assigneeId === null ? workflow.afterUnassigning : workflow.afterAssigning;
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

export type Move = Readonly<{
  to: workflow.Status;
  reason?: string | undefined;
  /** The original complaint, for the status `duplicate`. */
  duplicateOf?: string | undefined;
}>;

export async function moveComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, move, assertCurrent }: Readonly<{ id: string; move: Move; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  const { to, duplicateOf } = move;
  return asUser(parts.db, user, async (trx) => {
    if (to === 'reopened') await lockAssignee(trx, user, id);
    const original = duplicateOf === undefined ? undefined : await lockBoth(trx, id, duplicateOf);
    const current = await getComplaint(trx, id, 'change');
    const verdict = workflow.judgeTransition(user, current.status, to);
    if (verdict === 'illegal_transition') throw illegalTransition(current.status);
    if (verdict !== 'allowed') throw new AppError(verdict);
    assertCurrent(current.revision);
    if (duplicateOf !== undefined) await assertOriginal(trx, current, original);
    return applyMove(trx, parts, { ...move, current, actor: user });
  });
}

/** Moves a locked complaint without checking the workflow. */
export async function applyMove(
  trx: Trx,
  parts: Pick<FlowParts, 'newId' | 'now'>,
  { current, actor, ...move }: Move & Readonly<{ current: Complaint; actor: Change['actor'] }>,
): Promise<Complaint> {
  const { to, reason, duplicateOf } = move;
  const at = parts.now();
  const changes = await changesOf(trx, current, move, at);
  const detail = {
    from: current.status,
    to,
    ...(reason !== undefined && { reason }),
    ...(duplicateOf !== undefined && { duplicate_of: duplicateOf }),
  };
  return recordChange(trx, parts, current, { actor, at, changes, event: { action: 'moved', detail } });
}

async function changesOf(trx: Trx, current: Complaint, { to, duplicateOf }: Move, at: Date): Promise<ComplaintChanges> {
  // The category exists because of a foreign key.
  const category = await rowsWith(trx, 'categories', { id: current.category_id }).selectAll().executeTakeFirstOrThrow();
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

function illegalTransition(from: workflow.Status): Error {
  const message = `from ${from}, it can move to ${workflow.nextOf(from).join(', ')}`;
  return new AppError('illegal_transition', { errors: [{ path: 'to', message }] });
}
