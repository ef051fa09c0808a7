import type { UserIdentity } from '@countersign/identity';
import { isStaff } from '../../domain/access.ts';
import { editOf } from '../../domain/complaints/described.ts';
import { changedFields, searchedText, type WantedEdit } from '../../domain/complaints/editing.ts';
import { dueTimes } from '../../domain/complaints/service-level.ts';
import { mayEdit } from '../../domain/complaints/workflow.ts';
import { termsOf } from '../../domain/search/terms.ts';
import { AppError } from '../../errors.ts';
import { replaceTerms } from '../../store/complaints/complaints.ts';
import type { Complaint, ComplaintChanges } from '../../store/schema/complaints.ts';
import { asUser, type Trx } from '../../store/scope.ts';
import { chooseCategory } from '../catalogue/choose-category.ts';
import type { AssertCurrent, FlowParts } from '../parts.ts';
import { assertFewWrites } from './assert-few-writes.ts';
import { getComplaint } from './get-complaint.ts';
import { recordChange } from './record-change.ts';

export type Edit = Omit<WantedEdit, 'category_id'> &
  Readonly<{
    /** A category id or name. */
    category?: string | undefined;
  }>;

/**
 * Edits a complaint.
 *
 * @throws AppError `not_found`, `complaint_locked`, `insufficient_role`, `unknown_category` or `too_many_changes`, and
 *   any error from `assertCurrent`.
 */
export async function editComplaint(
  parts: FlowParts,
  user: UserIdentity,
  { id, wanted, assertCurrent }: Readonly<{ id: string; wanted: Edit; assertCurrent: AssertCurrent }>,
): Promise<Complaint> {
  if (wanted.priority !== undefined && !isStaff(user)) throw new AppError('insufficient_role');
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
      await replaceTerms(trx, changed, termsOf(searchedText(changed)));
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
