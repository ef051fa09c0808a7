import type { UserIdentity } from '@countersign/identity';
import { isStaff, type Reader, type SignedUser } from '../../domain/access.ts';
import { priorityOf } from '../../domain/complaints/described.ts';
import { byteOrderMark, type Cell, csvRow } from '../../domain/export/csv.ts';
import type { Names } from '../../domain/people.ts';
import { type ListPosition, type Order, positionOf } from '../../domain/search/list-order.ts';
import { findCategoryNamed } from '../../store/catalogue.ts';
import { type ComplaintFilter, countComplaints, listComplaints } from '../../store/complaints/complaints.ts';
import { asReader } from '../../store/schema.ts';
import type { Complaint } from '../../store/tables.ts';
import type { FlowParts } from '../parts.ts';

/** A filter as the API takes it. `false` is the same as undefined. */
export type Filter = Omit<ComplaintFilter, 'complainantId' | 'categoryId' | 'overdueAt'> &
  Readonly<{
    /**
     * For agents and admins, complaints assigned to them. For complainants, their own complaints. OAuth clients have
     * none.
     */
    mine?: boolean | undefined;
    overdue?: boolean | undefined;
    category?: string | undefined;
  }>;

export type Wanted = Filter &
  Readonly<{ order: Order; after: ListPosition | undefined; limit: number; total?: boolean | undefined }>;

/** Counting more would take as long as reading them. */
export const maxTotal = 1_000;

/** `total` counts all pages, up to {@link maxTotal}. */
type Found = Readonly<{ rows: Complaint[]; total?: number }>;

/**
 * Lists the complaints that the reader can see. Complainants see their own complaints, others see all complaints in the
 * tenant.
 */
export async function findComplaints(parts: FlowParts, reader: Reader, wanted: Wanted): Promise<Found> {
  const { mine, overdue, category: named, order, after, limit, total, ...filter } = wanted;
  if (mine === true && reader.kind === 'client') return { rows: [] };
  return asReader(parts.db, reader, async (trx) => {
    const category = named === undefined ? undefined : await findCategoryNamed(trx, named);
    if (named !== undefined && category === undefined) return { rows: [] };
    const whole: ComplaintFilter = {
      ...filter,
      ...(category !== undefined && { categoryId: category.id }),
      ...(overdue === true && { overdueAt: parts.now() }),
      ...(reader.kind === 'user' && ownFilter(reader, mine)),
    };
    const rows = await listComplaints(trx, { filter: whole, order, after, limit });
    return total === true
      ? { rows, total: await countComplaints(trx, { filter: whole, order, max: maxTotal }) }
      : { rows };
  });
}

function ownFilter(user: SignedUser, mine: boolean | undefined): ComplaintFilter {
  if (!isStaff(user)) return { complainantId: user.userId };
  return mine === true ? { assignee: user.userId } : {};
}

/** Each complaint names up to two people, so one request can look up a batch's names. */
const batchSize = 150;
// The filing time never changes, so a complaint that is edited meanwhile appears once.
const order = 'newest';

/** The columns, in order. Programs depend on their names: add new ones at the end. */
const columns: Readonly<Record<string, (row: Complaint, names: Names) => Cell>> = {
  id: ({ id }) => id,
  filed_at: ({ created_at }) => created_at,
  updated_at: ({ updated_at }) => updated_at,
  status: ({ status }) => status,
  priority: ({ priority }) => priorityOf(priority),
  category: ({ category }) => category,
  title: ({ title }) => title,
  description: ({ description }) => description,
  complainant_id: ({ complainant_id }) => complainant_id,
  complainant_name: ({ complainant_id, reporter_name }, names) => names.get(complainant_id ?? '') ?? reporter_name,
  reporter_email: ({ reporter_email }) => reporter_email,
  reporter_phone: ({ reporter_phone }) => reporter_phone,
  contact_preference: ({ contact_preference }) => contact_preference,
  assignee_id: ({ assignee_id }) => assignee_id,
  assignee_name: ({ assignee_id }, names) => names.get(assignee_id ?? ''),
  address: ({ address }) => address,
  latitude: ({ latitude }) => latitude,
  longitude: ({ longitude }) => longitude,
  due_at: ({ due_at }) => due_at,
  first_answered_at: ({ first_answered_at }) => first_answered_at,
  resolved_at: ({ resolved_at }) => resolved_at,
  duplicate_of: ({ duplicate_of }) => duplicate_of,
  number: ({ number }) => number,
};

/**
 * Writes the complaints that the user can see as CSV. Batches limit memory use. Each batch is one short transaction, so
 * that a slow download keeps none open.
 */
export async function* exportComplaints(parts: FlowParts, user: UserIdentity, filter: Filter): AsyncGenerator<string> {
  yield byteOrderMark + csvRow(Object.keys(columns));
  for (let after: ReturnType<typeof positionOf> | undefined; ; ) {
    const { rows } = await findComplaints(parts, user, { ...filter, order, after, limit: batchSize });
    const people = rows.flatMap(({ complainant_id, assignee_id }) => [complainant_id, assignee_id]);
    const names = await parts.people.namesOf(
      user,
      people.filter((id) => id !== null),
    );
    yield rows.map((row) => csvRow(Object.values(columns).map((cell) => cell(row, names)))).join('');
    const last = rows.at(-1);
    if (last === undefined || rows.length < batchSize) return;
    after = positionOf(order, last);
  }
}
