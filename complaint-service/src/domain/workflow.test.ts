import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judgeTransition, mayBeAssigned, mayEdit, type Status, statuses } from './workflow.ts';

const agent = { userId: 'a', role: 'agent' };
const complainant = { userId: 'c', role: 'complainant' };
const status = fc.constantFrom(...statuses);
const role = fc.constantFrom('complainant', 'agent', 'admin');

describe('moving a complaint', () => {
  test.each<[Status, Status]>([
    ['open', 'in_progress'],
    ['in_progress', 'resolved'],
    ['resolved', 'closed'],
  ])('lets an agent move it from %s to %s', (from, to) => {
    expect(judgeTransition(agent, from, to)).toBe('allowed');
  });

  test('a complainant closes what is resolved, and moves nothing else', () => {
    expect(judgeTransition(complainant, 'resolved', 'closed')).toBe('allowed');
    expect(judgeTransition(complainant, 'open', 'closed')).toBe('illegal_transition');
    expect(judgeTransition(complainant, 'open', 'in_progress')).toBe('insufficient_role');
    expect(judgeTransition({ userId: 'x', role: 'auditor' }, 'open', 'in_progress')).toBe('insufficient_role');
  });

  // The model compares positions in the list of statuses instead of using the table.
  test('is allowed only to the next status, for every role', () => {
    fc.assert(
      fc.property(role, status, status, (asRole, from, to) => {
        const isNextStep = statuses.indexOf(to) === statuses.indexOf(from) + 1;
        const isTheirs = asRole !== 'complainant' || to === 'closed';
        const expected = isTheirs ? (isNextStep ? 'allowed' : 'illegal_transition') : 'insufficient_role';
        expect(judgeTransition({ userId: 'u', role: asRole }, from, to)).toBe(expected);
      }),
    );
  });

  test('never goes back and ends after three steps, in any order of requests', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(role, status), { maxLength: 40 }), (wishes) => {
        const visited: Status[] = ['open'];
        for (const [asRole, to] of wishes) {
          const from = visited.at(-1) ?? 'open';
          if (judgeTransition({ userId: 'u', role: asRole }, from, to) === 'allowed') visited.push(to);
        }
        expect(visited).toEqual(statuses.slice(0, visited.length));
      }),
    );
  });
});

test('a complainant may edit an open complaint, an agent any complaint that is not closed', () => {
  const editableBy = (caller: typeof agent) => statuses.filter((at) => mayEdit(caller, { status: at }));
  expect(editableBy(complainant)).toEqual(['open']);
  expect(editableBy(agent)).toEqual(['open', 'in_progress', 'resolved']);
});

test('a closed complaint cannot be assigned', () => {
  expect(statuses.filter((at) => mayBeAssigned({ status: at }))).toEqual(['open', 'in_progress', 'resolved']);
});
