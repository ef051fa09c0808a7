import { expect, test } from '@jest/globals';
import * as service from '../../../complaint-service/src/domain/complaints/workflow.ts';
import { queryOf, readFilters, statuses } from './filters.ts';

test('the filters offer every status, and request the active ones by default', () => {
  expect(statuses).toEqual(service.statuses);
  expect(queryOf({}).status).toBe(service.activeStatuses.join());
});

test.each([
  [{}, { sort: 'priority', status: 'open,assigned,in_progress,reopened' }],
  [{ status: 'any' }, { sort: 'priority' }],
  [
    { whose: 'mine', status: 'resolved', sort: 'due' },
    { sort: 'due', mine: true, status: 'resolved' },
  ],
  [
    { whose: 'unassigned', status: 'any', overdue: true, q: 'lamp', category: 'Lighting', priority: 'urgent' },
    { sort: 'priority', unassigned: true, overdue: true, q: 'lamp', category: 'Lighting', priority: 'urgent' },
  ],
  // The router reads 404 as a number.
  [
    { q: 404, status: 'any' },
    { sort: 'priority', q: '404' },
  ],
])('the URL parameters %j request %j', (search, query) => {
  expect(queryOf(readFilters(search))).toEqual(query);
});

test('unknown and invalid URL parameters are ignored', () => {
  const typed = { whose: 'theirs', status: ['open'], priority: 'extreme', sort: 'random', overdue: 'yes', x: 1 };
  expect(queryOf(readFilters(typed))).toEqual(queryOf({}));
});
