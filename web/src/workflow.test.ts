import { expect, test } from '@jest/globals';
import * as service from '../../complaint-service/src/domain/complaints/workflow.ts';
import * as web from './workflow.ts';

test('matches the workflow of the complaint-service', () => {
  expect(web.steps).toEqual(service.steps);
  expect(web.statusesWithReason).toEqual(service.statusesWithReason);
  expect(web.activeStatuses).toEqual(service.activeStatuses);
  for (const status of service.statuses) {
    expect([status, web.isAssignable(status)]).toEqual([status, service.mayBeAssigned({ status })]);
  }
});

test.each([
  ['open', ['withdrawn']],
  ['in_progress', ['withdrawn']],
  ['resolved', ['closed', 'reopened']],
  ['closed', []],
] as const)('a complainant can move a complaint from %s to %j', (from, next) => {
  expect(web.nextStatuses(from, 'complainant')).toEqual(next);
});
