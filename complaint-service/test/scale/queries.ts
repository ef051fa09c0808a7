import { createHash } from 'node:crypto';
import { type ComplaintFilter, type ListWanted, listComplaints } from '../../src/store/complaints/complaints.ts';
import type { ComplaintsDatabase, ScopeUser, Trx } from '../../src/store/schema.ts';
import { readByAge, readByStatus, readTimes } from '../../src/store/statistics.ts';
import { removeExpired } from '../../src/store/upkeep.ts';
import { dueWebhooks, giveUpWaiting, nextDelivery } from '../../src/store/webhooks/courier.ts';

export const agent: ScopeUser = { tenantId: 'acme', userId: 'agent-3', role: 'agent' };
const complainant: ScopeUser = { tenantId: 'acme', userId: 'person-7', role: 'complainant' };
export const own: ComplaintFilter = { complainantId: complainant.userId };

const dayMs = 86_400_000;
const now = new Date();
const daysAgo = (days: number) => new Date(now.getTime() - days * dayMs);
const middle = { order: 'newest', keys: [daysAgo(500).getTime()], id: '00000000-0000-0000-0000-000000000000' } as const;

export type MeasuredQuery = Readonly<{ what: string; user: ScopeUser; work: (trx: Trx) => Promise<unknown> }>;

export const list =
  (filter: ComplaintFilter, more: Partial<ListWanted> = {}) =>
  (trx: Trx) =>
    listComplaints(trx, { filter, order: 'newest', after: undefined, limit: 21, ...more });

const byAgent = (what: string, work: MeasuredQuery['work']): MeasuredQuery => ({ what, user: agent, work });

/** Queries of requests: lists, searches, and the statistics. */
export const queries: readonly MeasuredQuery[] = [
  byAgent('newest', list({})),
  byAgent('a page in the middle', list({}, { after: middle })),
  byAgent('oldest', list({}, { order: 'oldest' })),
  byAgent('last changed', list({}, { order: 'updated' })),
  byAgent('next due', list({}, { order: 'due' })),
  byAgent('by priority', list({}, { order: 'priority' })),
  byAgent('two statuses', list({ status: ['open', 'reopened'] })),
  byAgent('assigned to one agent', list({ assignee: 'agent-39' })),
  byAgent('assigned to one agent, in progress', list({ assignee: 'agent-39', status: ['in_progress'] })),
  byAgent('unassigned', list({ unassigned: true })),
  byAgent('overdue', list({ overdueAt: now })),
  byAgent('overdue, earliest due date first', list({ overdueAt: now }, { order: 'due' })),
  byAgent('urgent', list({ priority: 3 })),
  byAgent('a month', list({ from: daysAgo(530), before: daysAgo(500) })),
  byAgent('a month, by priority', list({ from: daysAgo(530), before: daysAgo(500) }, { order: 'priority' })),
  byAgent('search: a common word', list({ q: ['babababa'] })),
  byAgent('search: two prefixes', list({ q: ['bababa', 'ceba'] })),
  byAgent('search: a rare prefix', list({ q: ['babace'] })),
  byAgent('search: a rare prefix and a common one', list({ q: ['zuxi', 'ba'] })),
  byAgent('search: oldest first', list({ q: ['bafo'] }, { order: 'oldest' })),
  byAgent('search: no match', list({ q: ['nothinglikethis'] })),
  { what: 'own complaints', user: complainant, work: list(own) },
  { what: 'own complaints, with a search', user: complainant, work: list({ ...own, q: ['ba'] }) },
  byAgent('statistics by status', readByStatus),
  byAgent('statistics by age', readByAge),
  byAgent('statistics of response times', (trx) => readTimes(trx, '2025-01-01')),
];

export type BackgroundQuery = Readonly<{
  what: string;
  work: (db: ComplaintsDatabase) => Promise<unknown>;
  maxRows: number;
}>;

/** Queries of couriers and upkeep, among 100,000 deliveries, 50,000 events and as many stored responses. */
export const background: readonly BackgroundQuery[] = [
  {
    what: 'webhooks with due deliveries',
    work: (db) => dueWebhooks(db, 5).claim(20),
    maxRows: 100,
  },
  { what: 'the time of the next due delivery', work: (db) => dueWebhooks(db, 5).nextDueMs(), maxRows: 100 },
  {
    what: 'a webhook’s next delivery',
    // The active webhook 2 of acme, as in manyDeliveries.
    work: (db) => nextDelivery(db, { tenant_id: 'acme', id: createHash('md5').update('acme2').digest('hex') }),
    maxRows: 100,
  },
  {
    what: 'deliveries that will never be sent',
    work: (db) => giveUpWaiting(db),
    maxRows: 20_000,
  },
  { what: 'old deliveries', work: (db) => removeExpired(db, 'webhook_deliveries'), maxRows: 0 },
  { what: 'old events', work: (db) => removeExpired(db, 'events'), maxRows: 0 },
  { what: 'expired answers', work: (db) => removeExpired(db, 'idempotency_keys'), maxRows: 0 },
];
