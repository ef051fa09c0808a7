import { expect, test } from '@jest/globals';
import { isActive, mayTakeComplaints } from './people.ts';

test.each([
  ['an active agent', { role: 'agent', status: 'active' }, true],
  ['an inactive agent', { role: 'agent', status: 'inactive' }, false],
  ['a disabled agent', { role: 'agent', status: 'disabled' }, false],
  ['an admin', { role: 'admin', status: 'active' }, false],
  ['a complainant', { role: 'complainant', status: 'active' }, false],
  ['an unknown person', undefined, false],
])('decides whether complaints can be assigned to %s', (_who, member, expected) => {
  expect(mayTakeComplaints(member)).toBe(expected);
});

test('only members with the status active are active', () => {
  expect([{ status: 'active' }, { status: 'inactive' }, undefined].map(isActive)).toEqual([true, false, false]);
});
