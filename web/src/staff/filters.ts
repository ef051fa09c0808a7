import type { ListQuery } from '../queries.ts';
import type { Priority, Status } from '../session.ts';

export const activeStatuses: readonly Status[] = ['open', 'assigned', 'in_progress', 'reopened'];
const endedStatuses: readonly Status[] = ['resolved', 'closed', 'rejected', 'duplicate', 'withdrawn'];
export const statuses = [...activeStatuses, ...endedStatuses];
export const owners = ['mine', 'unassigned'] as const;
export const priorities: readonly Priority[] = ['urgent', 'high', 'normal', 'low'];
export const orders = ['newest', 'oldest', 'updated', 'due', 'priority'] as const;

/** The filters in the queue's URL. Missing filters have their defaults. */
export type Filters = Readonly<{
  /** Defaults to all. */
  whose?: (typeof owners)[number] | undefined;
  /** Defaults to complaints that still need work. */
  status?: Status | 'any' | undefined;
  category?: string | undefined;
  priority?: Priority | undefined;
  /** Defaults to `priority`. */
  sort?: (typeof orders)[number] | undefined;
  overdue?: true | undefined;
  q?: string | undefined;
}>;

/** Parses a URL query, which a user may have typed. Ignores invalid values. */
export function readFilters(search: Record<string, unknown>): Filters {
  const oneOf = <T>(values: readonly T[], value: unknown) => values.find((each) => each === value);
  const text = (value: unknown, max: number) => String(value ?? '').slice(0, max) || undefined;
  return {
    whose: oneOf(owners, search.whose),
    status: oneOf([...statuses, 'any' as const], search.status),
    category: text(search.category, 50),
    priority: oneOf(priorities, search.priority),
    sort: oneOf(orders, search.sort),
    overdue: search.overdue === true ? true : undefined,
    q: text(search.q, 200),
  };
}

/** Returns the API list query for these filters. */
export function queryOf({ whose, status, category, priority, sort = 'priority', overdue, q }: Filters): ListQuery {
  return {
    sort,
    ...(whose === 'mine' && { mine: true }),
    ...(whose === 'unassigned' && { unassigned: true }),
    ...(status !== 'any' && { status: status ?? activeStatuses.join(',') }),
    ...(category !== undefined && { category }),
    ...(priority !== undefined && { priority }),
    ...(overdue && { overdue }),
    ...(q !== undefined && { q }),
  };
}
