import { insertNew, remove, rowsWith } from '@countersign/database';
import { type ExpressionBuilder, sql } from 'kysely';
import { personalText, searchedText } from '../../domain/complaints/described.ts';
import type { Status } from '../../domain/complaints/workflow.ts';
import { isAscending, type ListPosition, type Order, sortColumns } from '../../domain/search/list-order.ts';
import { termsOf } from '../../domain/search/terms.ts';
import type { Trx } from '../schema.ts';
import type { Complaint, ComplaintChanges, ComplaintsSchema, NewComplaint } from '../tables.ts';

export async function insertComplaint(trx: Trx, complaint: NewComplaint): Promise<Complaint> {
  return trx
    .insertInto('complaints')
    .values(complaint)
    .returningAll()
    .returning(categoryName)
    .executeTakeFirstOrThrow();
}

/** Finds a complaint that the transaction's user can see. */
export function findComplaint(trx: Trx, id: string): Promise<Complaint | undefined> {
  return selectComplaints(trx).where('id', '=', id).executeTakeFirst();
}

/** Like {@link findComplaint}, but locks the complaint until the transaction ends. */
export function lockComplaint(trx: Trx, id: string): Promise<Complaint | undefined> {
  return selectComplaints(trx).where('id', '=', id).forUpdate().executeTakeFirst();
}

/** Locks several complaints in a fixed order, so that transactions cannot deadlock. */
export function lockComplaints(trx: Trx, ids: readonly string[]): Promise<Complaint[]> {
  return selectComplaints(trx).where('id', 'in', ids).orderBy('id').forUpdate().execute();
}

export function lockComplaintsOf(trx: Trx, assigneeId: string, limit: number): Promise<Complaint[]> {
  const theirs = selectComplaints(trx).where('assignee_id', '=', assigneeId).where(sql<boolean>`active`);
  return theirs.orderBy('id').limit(limit).forUpdate().execute();
}

/** Changes a complaint that this transaction has locked. */
export function changeComplaint(
  trx: Trx,
  locked: Complaint,
  changes: ComplaintChanges,
  written: Readonly<{ revision: string; at: Date }>,
): Promise<Complaint> {
  return trx
    .updateTable('complaints')
    .set({ ...changes, revision: written.revision, updated_at: written.at })
    .where('id', '=', locked.id)
    .returningAll()
    .returning(categoryName)
    .executeTakeFirstOrThrow();
}

export async function hasDuplicates(trx: Trx, id: string): Promise<boolean> {
  const found = rowsWith(trx, 'complaints', { duplicate_of: id }).select('id').limit(1);
  return (await found.executeTakeFirst()) !== undefined;
}

export function selectComplaints(trx: Trx) {
  return trx.selectFrom('complaints').selectAll('complaints').select(categoryName);
}

function categoryName(of: ExpressionBuilder<ComplaintsSchema, 'complaints'>) {
  return of
    .selectFrom('categories')
    .select('name')
    .whereRef('categories.tenant_id', '=', 'complaints.tenant_id')
    .whereRef('categories.id', '=', 'complaints.category_id')
    .$asScalar()
    .$notNull()
    .as('category');
}

/** Replaces the words by which a complaint is found, except those that name a person. */
export async function replaceTerms(trx: Trx, complaint: Complaint): Promise<void> {
  await remove(trx, 'terms', { complaint_id: complaint.id, personal: false });
  await sql`${newTerms(complaint, searchedText(complaint), false)}
    on conflict (tenant_id, term, complaint_id) do update set personal = false`.execute(trx);
}

/** @param name The complainant's name. */
export async function addPersonalTerms(trx: Trx, complaint: Complaint, name: string | undefined): Promise<void> {
  await sql`${newTerms(complaint, personalText(complaint, name), true)} on conflict do nothing`.execute(trx);
}

const newTerms = ({ tenant_id, id }: Complaint, text: string, personal: boolean) => sql`
  insert into terms (tenant_id, term, complaint_id, personal)
  select ${tenant_id}, term, ${id}::uuid, ${personal}::boolean from unnest(${termsOf(text)}::text[]) as term`;

/** Adds a watcher, if the user is not one already. */
export async function addWatcher(trx: Trx, complaint: Complaint, userId: string, at: Date): Promise<void> {
  const { tenant_id, id } = complaint;
  await insertNew(trx, 'watchers', { tenant_id, complaint_id: id, user_id: userId, created_at: at });
}

/** Lists the watchers whom the transaction's user can see, oldest first. */
export async function listWatchers(trx: Trx, complaintId: string): Promise<string[]> {
  const all = rowsWith(trx, 'watchers', { complaint_id: complaintId }).select('user_id');
  const found = await all.orderBy('created_at').orderBy('user_id').execute();
  return found.map(({ user_id }) => user_id);
}

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

/** Counts the complaints that {@link listComplaints} returns on all pages, up to a maximum. */
export async function countComplaints(
  trx: Trx,
  { filter, order, max }: Pick<ListWanted, 'filter' | 'order'> & Readonly<{ max: number }>,
): Promise<number> {
  const counted = matching(trx, filter, order).clearSelect().select('id').limit(max).as('found');
  const { count } = await trx
    .selectFrom(counted)
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Lists the complaints that the transaction's user can see. */
export async function listComplaints(trx: Trx, { filter, order, after, limit }: ListWanted): Promise<Complaint[]> {
  let query = matching(trx, filter, order);
  if (after !== undefined) query = query.where(isAfter(after));
  const direction = isAscending(order) ? 'asc' : 'desc';
  for (const column of sortColumns[order]) query = query.orderBy(column, direction);
  return query.orderBy('id', direction).limit(limit).execute();
}

function matching(trx: Trx, filter: ComplaintFilter, order: Order) {
  let query = selectComplaints(trx);
  if (order === 'due') query = query.where('due_at', 'is not', null);
  if (filter.q?.length === 0) query = query.where(sql<boolean>`false`);
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
