import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  activeStatuses,
  afterAssigning,
  afterUnassigning,
  allowedTo,
  judgeTransition,
  mayBeAssigned,
  mayEdit,
  type Status,
  statuses,
  steps,
} from './workflow.ts';

const agent = { userId: 'a', role: 'agent' };
const complainant = { userId: 'c', role: 'complainant' };

describe('moving a complaint', () => {
  test.each<[Status, Status]>([
    ['open', 'in_progress'],
    ['assigned', 'in_progress'],
    ['in_progress', 'resolved'],
    ['resolved', 'closed'],
    ['resolved', 'reopened'],
    ['closed', 'reopened'],
    ['open', 'rejected'],
    ['in_progress', 'duplicate'],
    ['assigned', 'withdrawn'],
  ])('lets an agent move a complaint from %s to %s', (from, to) => {
    expect(judgeTransition(agent, from, to)).toBe('allowed');
  });

  test.each<[Status, Status, string]>([
    ['resolved', 'closed', 'allowed'],
    ['resolved', 'reopened', 'allowed'],
    ['open', 'withdrawn', 'allowed'],
    ['open', 'closed', 'illegal_transition'],
    ['withdrawn', 'withdrawn', 'illegal_transition'],
    ['closed', 'reopened', 'insufficient_role'],
    ['open', 'in_progress', 'insufficient_role'],
    ['open', 'resolved', 'insufficient_role'],
  ])('a complainant who moves a complaint from %s to %s gets: %s', (from, to, verdict) => {
    expect(judgeTransition(complainant, from, to)).toBe(verdict);
  });

  test('treats an unknown role as a complainant', () => {
    expect(judgeTransition({ userId: 'x', role: 'auditor' }, 'open', 'in_progress')).toBe('insufficient_role');
  });
});

/**
 * The model is a set of rules instead of a table of steps: work ends once, and only reopening starts it again.
 * Complainants may also withdraw, and close a resolved complaint.
 */
type Model = { status: Status; isEnded: boolean; isResolved: boolean; isStarted: boolean };

const begun: Model = { status: 'open', isEnded: false, isResolved: false, isStarted: false };

function modelMay(role: string, model: Model, to: Status): boolean {
  const isStaff = role !== 'complainant';
  switch (to) {
    case 'open':
    case 'assigned':
      return false;
    case 'in_progress':
      return isStaff && !model.isEnded && !model.isResolved && !model.isStarted;
    case 'resolved':
      return isStaff && model.isStarted;
    case 'closed':
      return model.isResolved;
    case 'reopened':
      return model.isResolved || (isStaff && model.isEnded);
    case 'withdrawn':
      return !model.isEnded && !model.isResolved;
    case 'rejected':
    case 'duplicate':
      return isStaff && !model.isEnded && !model.isResolved;
  }
}

const modelAfter = (to: Status): Model => ({
  status: to,
  isEnded: ['closed', 'rejected', 'duplicate', 'withdrawn'].includes(to),
  isResolved: to === 'resolved',
  isStarted: to === 'in_progress',
});

type Wish = { role: string; to: Status } | { assign: boolean };
const wish: fc.Arbitrary<Wish> = fc.oneof(
  fc.record({
    role: fc.constantFrom('complainant', 'agent', 'admin'),
    to: fc.constantFrom(...statuses),
  }),
  fc.record({ assign: fc.boolean() }),
);

describe('any sequence of requests by any role', () => {
  test('a complaint moves exactly as in the model', () => {
    fc.assert(
      fc.property(fc.array(wish, { maxLength: 60 }), (wishes) => {
        let model = begun;
        for (const each of wishes) {
          if ('assign' in each) {
            if (!mayBeAssigned(model)) continue;
            const status = each.assign ? afterAssigning(model.status) : afterUnassigning(model.status);
            model = { ...model, status, isStarted: model.isStarted && status === 'in_progress' };
            continue;
          }
          const isAllowed = judgeTransition({ userId: 'u', role: each.role }, model.status, each.to) === 'allowed';
          expect([each, model.status, isAllowed]).toEqual([each, model.status, modelMay(each.role, model, each.to)]);
          if (isAllowed) model = modelAfter(each.to);
        }
      }),
    );
  });

  test('every status can be reached, and every ended complaint can be reopened', () => {
    const reached = new Set<Status>(['open', 'assigned']);
    for (const from of reached) for (const to of Object.keys(steps[from]) as Status[]) reached.add(to);
    expect([...reached].sort()).toEqual([...statuses].sort());
    for (const status of statuses) expect(Object.keys(steps[status])).not.toEqual([]);
  });

  test('an assignment never ends a complaint or starts work', () => {
    fc.assert(
      fc.property(fc.constantFrom(...activeStatuses), (status) => {
        expect(activeStatuses).toContain(afterAssigning(status));
        expect(['open', 'reopened']).toContain(afterUnassigning(status));
      }),
    );
    expect(afterAssigning('resolved')).toBe('resolved');
    expect(afterUnassigning('resolved')).toBe('resolved');
  });
});

test('complainants can edit until work starts, agents until the complaint ends', () => {
  const editableBy = (caller: typeof agent) => statuses.filter((at) => mayEdit(caller, { status: at }));
  expect(editableBy(complainant)).toEqual(['open', 'assigned', 'reopened']);
  expect(editableBy(agent)).toEqual([...activeStatuses, 'resolved']);
});

test.each<[string, Status, string[]]>([
  ['complainant', 'open', ['withdrawn']],
  ['complainant', 'in_progress', ['withdrawn']],
  ['complainant', 'resolved', ['closed', 'reopened']],
  ['complainant', 'closed', []],
  ['agent', 'closed', ['reopened']],
])('a %s can move a complaint from %s to %j', (role, status, next) => {
  const { transitions } = allowedTo({ userId: 'u', role }, { status, erased_at: null });
  expect(transitions.map(({ to }) => to)).toEqual(next);
});

test('the allowed acts say which transitions need a reason, and who can edit and assign', () => {
  const open = { status: 'open', erased_at: null } as const;
  const withReason = { to: 'withdrawn', reason_required: true };
  expect(allowedTo(complainant, open)).toEqual({ transitions: [withReason], edit: true, assign: false });
  expect(allowedTo(agent, { ...open, status: 'resolved' })).toEqual({
    transitions: [
      { to: 'closed', reason_required: false },
      { to: 'reopened', reason_required: true },
    ],
    edit: true,
    assign: true,
  });
});

test('nothing is allowed on an anonymized complaint', () => {
  for (const status of statuses) {
    expect(allowedTo(agent, { status, erased_at: new Date() })).toEqual({
      transitions: [],
      edit: false,
      assign: false,
    });
  }
});

test('a complaint that has ended cannot be assigned', () => {
  expect(statuses.filter((at) => mayBeAssigned({ status: at }))).toEqual([...activeStatuses, 'resolved']);
});
