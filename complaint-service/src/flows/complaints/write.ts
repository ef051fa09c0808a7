import { insertRow } from '@countersign/database';
import type { UserIdentity } from '@countersign/identity';
import { isStaff, mayReadInternal } from '../../domain/access.ts';
import {
  type ContactPreference,
  changedFields,
  editOf,
  type Priority,
  priorityRank,
  searchedText,
  type WantedEdit,
} from '../../domain/complaints/described.ts';
import { answeredBy, dueTimes } from '../../domain/complaints/service-level.ts';
import { mayEdit } from '../../domain/complaints/workflow.ts';
import { isActive, type Names } from '../../domain/people.ts';
import { secondsToWait } from '../../domain/sliding-window.ts';
import { countDeltas, timesEnded } from '../../domain/statistics.ts';
import { AppError } from '../../errors.ts';
import { addHistory, oldestOfLatestWrites } from '../../store/complaints/comments-and-history.ts';
import {
  addPersonalTerms,
  addWatcher,
  changeComplaint,
  insertComplaint,
  replaceTerms,
} from '../../store/complaints/complaints.ts';
import { asUser, type ScopeUser, type Trx } from '../../store/schema.ts';
import { addToStatistics } from '../../store/statistics.ts';
import type { Comment, Complaint, ComplaintChanges } from '../../store/tables.ts';
import { chooseCategory } from '../catalogue.ts';
import { announce } from '../events/announce.ts';
import { queueMail } from '../mail.ts';
import type { AssertCurrent, FlowParts } from '../parts.ts';
import { getComplaint } from './get-complaint.ts';
import { recordChange } from './work.ts';

/**
 * Limits a user's writes, independently of the gateway's limits.
 *
 * @throws AppError `too_many_changes` with the seconds to wait.
 */
async function assertFewWrites(trx: Trx, user: ScopeUser, at: Date): Promise<void> {
  const waitSec = secondsToWait(await oldestOfLatestWrites(trx, user, maxWrites), at, writeWindowMs);
  if (waitSec > 0) throw new AppError('too_many_changes', { headers: { 'retry-after': String(waitSec) } });
}

/** How many complaints a user can file and edit per minute. Each may write hundreds of search rows. */
export const maxWrites = 60;
const writeWindowMs = 60_000;

export type Filing = Readonly<{
  title: string;
  description: string;
  category: string;
  priority?: Priority | undefined;
  location?: Readonly<{ latitude: number | null; longitude: number | null; address: string | null }> | undefined;
  contact_preference: ContactPreference;
  complainant_id?: string | undefined;
  reporter?: Readonly<{ name: string; email?: string | undefined; phone?: string | undefined }> | undefined;
}>;

/**
 * Checks whether this user can file this complaint. Call this before the transaction, because it may call the
 * users-service.
 */
export async function checkFiling({ people }: FlowParts, user: UserIdentity, filing: Filing): Promise<void> {
  const { complainant_id: complainantId, reporter, priority } = filing;
  const needsStaff = complainantId !== undefined || reporter !== undefined || priority !== undefined;
  if (needsStaff && !isStaff(user)) throw new AppError('insufficient_role');
  if (complainantId !== undefined && complainantId !== user.userId) {
    if (!isActive(await people.find(user, complainantId))) throw new AppError('unknown_complainant');
  }
}

/**
 * Files a complaint that {@link checkFiling} has accepted.
 *
 * @param names The complainant's name by id, if it is known.
 */
export async function fileComplaint(
  trx: Trx,
  parts: FlowParts,
  user: UserIdentity,
  filing: Filing,
  names: Names,
): Promise<Complaint> {
  const { newId } = parts;
  const at = parts.now();
  await assertFewWrites(trx, user, at);
  const category = await chooseCategory(trx, parts, user, filing.category);
  const complainantId = filing.reporter === undefined ? (filing.complainant_id ?? user.userId) : null;
  const filed = await insertComplaint(trx, {
    tenant_id: user.tenantId,
    id: newId(),
    title: filing.title,
    description: filing.description,
    category_id: category.id,
    team_id: category.team_id,
    status: 'open',
    priority: priorityRank(filing.priority ?? 'normal'),
    complainant_id: complainantId,
    created_by: user.userId,
    reporter_name: filing.reporter?.name ?? null,
    reporter_email: filing.reporter?.email ?? null,
    reporter_phone: filing.reporter?.phone ?? null,
    contact_preference: filing.contact_preference,
    ...filing.location,
    clock_started_at: at,
    ...dueTimes(category, { created_at: at, clock_started_at: at }),
    revision: newId(),
    created_at: at,
    updated_at: at,
  });
  await replaceTerms(trx, filed);
  await addPersonalTerms(trx, filed, names.get(complainantId ?? '') ?? undefined);
  const changeId = newId();
  await addHistory(trx, filed, { id: changeId, at, actor: user, event: { action: 'filed', detail: {} } });
  const announcement = { type: 'complaint.filed', detail: {}, internal: false, actor: user, at } as const;
  await announce(trx, parts, { complaint: filed, ...announcement });
  if (complainantId !== null) await addWatcher(trx, filed, complainantId, at);
  await queueMail(trx, parts, filed, { kind: 'filed', actorId: user.userId, changeId });
  await addToStatistics(trx, user.tenantId, { ...countDeltas(undefined, filed), times: [] });
  return filed;
}

export type Edit = Omit<WantedEdit, 'category_id'> &
  Readonly<{
    category?: string | undefined;
  }>;

export async function editComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, wanted, assertCurrent }: Readonly<{ id: string; wanted: Edit; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  if (wanted.priority !== undefined && !isStaff(user)) throw new AppError('insufficient_role');
  const { complainant_id } = await asUser(parts.db, user, (trx) => getComplaint(trx, id, 'read'));
  const names = await parts.people.namesOf(user, complainant_id === null ? [] : [complainant_id]);
  return asUser(parts.db, user, async (trx) => {
    const current = await getComplaint(trx, id, 'change');
    if (!mayEdit(user, current)) throw new AppError('complaint_locked');
    assertCurrent(current.revision);
    const changes = await changesOf(trx, parts, user, current, wanted);
    if (Object.keys(changes).length === 0) return current;
    const at = parts.now();
    await assertFewWrites(trx, user, at);
    const event = (after: Complaint) => ({ action: 'edited', detail: editOf(current, after) }) as const;
    const changed = await recordChange(trx, parts, current, { actor: user, at, changes, event });
    if (searchedText(changed) !== searchedText(current)) {
      await replaceTerms(trx, changed);
      // A word of the person that was also in the old text is gone.
      await addPersonalTerms(trx, changed, names.get(complainant_id ?? '') ?? undefined);
    }
    return changed;
  });
}

/** Applies the new category's targets. The clocks keep their start times. */
async function changesOf(
  trx: Trx,
  parts: FlowParts,
  user: UserIdentity,
  current: Complaint,
  { category, ...wanted }: Edit,
): Promise<ComplaintChanges> {
  const chosen = category === undefined ? undefined : await chooseCategory(trx, parts, user, category);
  const changes = changedFields(current, { ...wanted, category_id: chosen?.id });
  if (changes.category_id === undefined || chosen === undefined) return changes;
  return { ...changes, ...dueTimes(chosen, current) };
}

/**
 * Adds a comment, whatever the complaint's status. The first public comment by an agent or admin counts as the first
 * answer.
 */
export async function commentOnComplaint(
  trx: Trx,
  parts: FlowParts,
  user: UserIdentity,
  { id, body, internal }: Readonly<{ id: string; body: string; internal: boolean }>,
): Promise<Comment> {
  const complaint = await getComplaint(trx, id, 'change');
  if (internal && !mayReadInternal(user)) throw new AppError('insufficient_role');
  const at = parts.now();
  const comment = await insertRow(trx, 'comments', {
    tenant_id: user.tenantId,
    id: parts.newId(),
    complaint_id: complaint.id,
    author_id: user.userId,
    author_role: user.role,
    body,
    internal,
    created_at: at,
  });
  const detail = { comment_id: comment.id };
  await announce(trx, parts, { complaint, type: 'comment.added', detail, internal, actor: user, at });
  if (!internal && isStaff(user) && user.userId !== complaint.complainant_id) {
    await answer(trx, parts, complaint, at);
  }
  const kind = internal ? 'noted' : 'commented';
  await queueMail(trx, parts, complaint, { kind, actorId: user.userId, changeId: comment.id });
  return comment;
}

async function answer(trx: Trx, { newId }: FlowParts, complaint: Complaint, at: Date): Promise<void> {
  const changes = answeredBy(complaint, at);
  if (Object.keys(changes).length === 0) return;
  const answered = await changeComplaint(trx, complaint, changes, { revision: newId(), at });
  await addToStatistics(trx, complaint.tenant_id, { byStatus: [], byAge: [], times: timesEnded(complaint, answered) });
}
