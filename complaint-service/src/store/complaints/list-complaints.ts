import { sql } from 'kysely';
import type { Status } from '../../domain/complaints/workflow.ts';
import { isAscending, type ListPosition, type Order, sortColumns } from '../../domain/search/list-order.ts';
import type { Complaint } from '../schema/complaints.ts';
import type { Trx } from '../scope.ts';
import { selectComplaints } from './complaints.ts';

/** Selects complaints, with the names of the API's query. Undefined members match all complaints. */
export type ComplaintFilter = Readonly<{
  status?: readonly Status[] | undefined;
  /** Row-level security already hides other people's complaints. With the complainant, the planner can use an index. */
  complainantId?: string | undefined;
  assignee?: string | undefined;
  /** Active complaints without an assignee. */
  unassigned?: boolean | undefined;
  categoryId?: string | undefined;
  team?: string | undefined;
  priority?: number | undefined;
  /** Complaints with a running clock that passed its target before this time. */
  overdueAt?: Date | undefined;
  from?: Date | undefined;
  before?: Date | undefined;
  /** Each term must match the beginning of a word in the complaint. An empty list matches no complaint. */
  q?: readonly string[] | undefined;
}>;

export type ListWanted = Readonly<{
  filter: ComplaintFilter;
  order: Order;
  after: ListPosition | undefined;
  limit: number;
}>;

/** Lists the complaints that the transaction's user can see. */
export async function listComplaints(trx: Trx, { filter, order, after, limit }: ListWanted): Promise<Complaint[]> {
  if (filter.q?.length === 0) return [];
  let query = filtered(trx, filter);
  if (order === 'due') query = query.where('due_at', 'is not', null);
  if (after !== undefined) query = query.where(isAfter(after));
  const direction = isAscending(order) ? 'asc' : 'desc';
  for (const column of sortColumns[order]) query = query.orderBy(column, direction);
  return query.orderBy('id', direction).limit(limit).execute();
}

function filtered(trx: Trx, filter: ComplaintFilter) {
  let query = selectComplaints(trx);
  if (filter.status !== undefined) query = query.where('status', 'in', filter.status);
  if (filter.complainantId !== undefined) query = query.where('complainant_id', '=', filter.complainantId);
  if (filter.assignee !== undefined) query = query.where('assignee_id', '=', filter.assignee);
  if (filter.unassigned === true) query = query.where('assignee_id', 'is', null).where(sql<boolean>`active`);
  if (filter.categoryId !== undefined) query = query.where('category_id', '=', filter.categoryId);
  if (filter.team !== undefined) query = query.where('team_id', '=', filter.team);
  if (filter.priority !== undefined) query = query.where('priority', '=', filter.priority);
  if (filter.overdueAt !== undefined) query = query.where('due_at', '<', filter.overdueAt);
  if (filter.from !== undefined) query = query.where('created_at', '>=', filter.from);
  if (filter.before !== undefined) query = query.where('created_at', '<', filter.before);
  for (const word of filter.q ?? []) query = query.where(hasTerm(word));
  return query;
}

const hasTerm = (word: string) => sql<boolean>`exists (
  select 1 from terms
  where terms.tenant_id = complaints.tenant_id and terms.complaint_id = complaints.id
    and term >= ${word} and term < ${`${word}\u{10ffff}`})`; // In byte order, all terms with this prefix sort before this value.

function isAfter({ order, keys, id }: ListPosition) {
  const columns = sortColumns[order];
  const values = columns.map((column, index) => {
    const key = keys[index] ?? 0;
    return column === 'priority' ? sql`${key}` : sql`${new Date(key)}`;
  });
  const operator = sql.raw(isAscending(order) ? '>' : '<');
  return sql<boolean>`(${sql.join(columns.map((column) => sql.ref(column)))}, id) ${operator} (${sql.join(values)}, ${id})`;
}
