import { expect, test } from '@jest/globals';
import { answeredBy, type Clocks, clocksAfterMove, dueTimes, overdueMarks } from './service-level.ts';

const at = (minute: number) => new Date(Date.UTC(2026, 0, 5, 12, minute));
const targets = { first_answer_minutes: 10, resolution_minutes: 30 };
const none = { first_answer_minutes: null, resolution_minutes: null };
const filed: Clocks & { active: boolean } = {
  created_at: at(0),
  clock_started_at: at(0),
  first_answered_at: null,
  resolved_at: null,
  ...dueTimes(targets, { created_at: at(0), clock_started_at: at(0) }),
  active: true,
};

test('targets are due after their minutes, and a category without targets has no due times', () => {
  expect([filed.first_answer_due_at, filed.resolution_due_at]).toEqual([at(10), at(30)]);
  expect(dueTimes(none, filed)).toEqual({ first_answer_due_at: null, resolution_due_at: null });
});

test.each([
  ['before both targets', filed, at(10), false, false],
  ['after the first target', filed, at(11), true, false],
  ['after both targets', filed, at(31), true, true],
  ['answered in time', { ...filed, first_answered_at: at(9) }, at(60), false, true],
  ['answered late', { ...filed, first_answered_at: at(11) }, at(12), true, false],
  [
    'resolved in time',
    { ...filed, first_answered_at: at(9), resolved_at: at(30), active: false },
    at(90),
    false,
    false,
  ],
  ['resolved late', { ...filed, first_answered_at: at(9), resolved_at: at(31), active: false }, at(32), false, true],
  ['withdrawn before an answer', { ...filed, active: false }, at(90), false, false],
  ['without targets', { ...filed, ...dueTimes(none, filed) }, at(90), false, false],
])('marks overdue targets of a complaint %s', (_when, complaint, now, firstAnswerOverdue, resolutionOverdue) => {
  expect(overdueMarks(complaint, now)).toEqual({
    first_answer_overdue: firstAnswerOverdue,
    resolution_overdue: resolutionOverdue,
  });
});

test('only the first answer counts, and the reason for a decision is an answer', () => {
  expect(answeredBy(filed, at(5))).toEqual({ first_answered_at: at(5) });
  expect(answeredBy({ ...filed, first_answered_at: at(5) }, at(6))).toEqual({});
  for (const to of ['rejected', 'duplicate'] as const) {
    expect(clocksAfterMove(filed, to, at(7), targets)).toEqual({ first_answered_at: at(7) });
  }
  expect(clocksAfterMove(filed, 'withdrawn', at(7), targets)).toEqual({});
});

test('reopening restarts the resolution clock, and keeps the first answer', () => {
  const resolved = { ...filed, ...clocksAfterMove(filed, 'resolved', at(20), targets) };
  expect(resolved).toMatchObject({ first_answered_at: at(20), resolved_at: at(20) });
  expect({ ...resolved, ...clocksAfterMove(resolved, 'reopened', at(50), targets) }).toMatchObject({
    first_answered_at: at(20),
    first_answer_due_at: at(10),
    clock_started_at: at(50),
    resolved_at: null,
    resolution_due_at: at(80),
  });
});
