import type { UserIdentity } from '@countersign/identity';
import { isStaff } from '../../domain/access.ts';
import { type ContactPreference, type Priority, priorityRank } from '../../domain/complaints/described.ts';
import { searchedText } from '../../domain/complaints/editing.ts';
import { dueTimes } from '../../domain/complaints/service-level.ts';
import { isActive } from '../../domain/people.ts';
import { termsOf } from '../../domain/search/terms.ts';
import { countDeltas } from '../../domain/statistics/rollups.ts';
import { AppError } from '../../errors.ts';
import { insertComplaint, replaceTerms } from '../../store/complaints/complaints.ts';
import { addHistory } from '../../store/complaints/history.ts';
import { addWatcher } from '../../store/complaints/watchers.ts';
import type { Complaint } from '../../store/schema/complaints.ts';
import type { Trx } from '../../store/scope.ts';
import { addToStatistics } from '../../store/statistics/statistics.ts';
import { chooseCategory } from '../catalogue/choose-category.ts';
import { announce } from '../events/announce.ts';
import type { FlowParts } from '../parts.ts';
import { assertFewWrites } from './assert-few-writes.ts';

export type Filing = Readonly<{
  title: string;
  description: string;
  /** A category id or name. */
  category: string;
  priority?: Priority | undefined;
  location?: Readonly<{ latitude: number | null; longitude: number | null; address: string | null }> | undefined;
  contact_preference: ContactPreference;
  complainant_id?: string | undefined;
  /** The person without an account for whom an agent files the complaint. */
  reporter?: Readonly<{ name: string; email?: string | undefined; phone?: string | undefined }> | undefined;
}>;

/**
 * Checks whether this user can file this complaint. Call this before the transaction, because it may call the
 * users-service.
 *
 * @throws AppError `insufficient_role`, `unknown_complainant` or `people_unavailable`.
 */
export async function checkFiling({ people }: FlowParts, user: UserIdentity, filing: Filing): Promise<void> {
  const { complainant_id: complainantId, reporter, priority } = filing;
  const needsStaff = complainantId !== undefined || reporter !== undefined || priority !== undefined;
  if (needsStaff && !isStaff(user)) throw new AppError('insufficient_role');
  if (complainantId !== undefined && complainantId !== user.userId) {
    if (!isActive(await people.find(user, complainantId))) throw new AppError('unknown_complainant');
  }
}

/** Files a complaint that {@link checkFiling} has accepted. */
export async function fileComplaint(
  trx: Trx,
  parts: FlowParts,
  user: UserIdentity,
  filing: Filing,
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
  await replaceTerms(trx, filed, termsOf(searchedText(filed)));
  await addHistory(trx, filed, { id: newId(), at, actor: user, event: { action: 'filed', detail: {} } });
  const announcement = { type: 'complaint.filed', detail: {}, internal: false, actor: user, at } as const;
  await announce(trx, parts, { complaint: filed, ...announcement });
  if (complainantId !== null) await addWatcher(trx, filed, complainantId, at);
  await addToStatistics(trx, user.tenantId, { ...countDeltas(undefined, filed), times: [] });
  return filed;
}
