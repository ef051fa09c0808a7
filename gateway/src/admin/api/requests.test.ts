import { expect, test } from '@jest/globals';
import { outcomeOf } from './requests.ts';

test.each([
  ['failed', { code: 'upstream_timeout', fault: 'upstream', status: 504 }],
  ['failed', { code: null, fault: null, status: 500 }],
  ['failed', { code: null, fault: null, status: 0 }],
  ['refused', { code: 'insufficient_role', fault: 'caller', status: 403 }],
  ['served', { code: null, fault: null, status: 200 }],
])('the outcome is %s for %j', (outcome, request) => {
  expect(outcomeOf({ ...request, aborted: false })).toBe(outcome);
});
