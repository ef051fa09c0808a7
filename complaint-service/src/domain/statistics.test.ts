import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { statuses } from './complaints/workflow.ts';
import { ageClasses, type Counted, countDeltas, timesEnded } from './statistics.ts';

const counted: fc.Arbitrary<Counted> = fc.record({
  category_id: fc.constantFrom('a', 'b'),
  status: fc.constantFrom(...statuses),
  created_at: fc.constantFrom(new Date('2026-01-01T23:59:59Z'), new Date('2026-01-02T00:00:00Z')),
});

const tally = (keys: readonly string[]) => {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
};

test('the sum of all changes equals a count of the complaints', () => {
  // Each complaint is filed, changed any number of times, and perhaps deleted. The day of its filing never changes.
  const life = fc.tuple(fc.array(counted, { minLength: 1, maxLength: 6 }), fc.boolean());
  fc.assert(
    fc.property(fc.array(life, { maxLength: 8 }), (lives) => {
      const sums = new Map<string, number>();
      const add = (key: string, by: number) => sums.set(key, (sums.get(key) ?? 0) + by);
      const left: Counted[] = [];
      for (const [states, isDeleted] of lives) {
        const filed = states[0]?.created_at ?? new Date(0);
        let before: Counted | undefined;
        const changes: (Counted | undefined)[] = states.map((state) => ({ ...state, created_at: filed }));
        if (isDeleted) changes.push(undefined);
        for (const after of changes) {
          const { byStatus, byAge } = countDeltas(before, after);
          for (const { category_id, status, by } of byStatus) add(`${category_id} ${status}`, by);
          for (const { filed_on, by } of byAge) add(filed_on, by);
          before = after;
        }
        if (before !== undefined) left.push(before);
      }
      const active = ['open', 'assigned', 'in_progress', 'reopened'];
      const expected = tally([
        ...left.map(({ category_id, status }) => `${category_id} ${status}`),
        ...left
          .filter(({ status }) => active.includes(status))
          .map((each) => each.created_at.toISOString().slice(0, 10)),
      ]);
      expect(new Map([...sums].filter(([, count]) => count !== 0))).toEqual(expected);
    }),
  );
});

const clocks = {
  category_id: 'a',
  created_at: new Date('2026-01-31T23:00:00Z'),
  clock_started_at: new Date('2026-01-31T23:00:00Z'),
  first_answer_due_at: new Date('2026-02-01T00:00:00Z'),
  first_answered_at: null,
  resolution_due_at: null,
  resolved_at: null,
};

test('counts each response time once, by the month in which it ends and by its range', () => {
  const answered = { ...clocks, first_answered_at: new Date('2026-02-01T00:00:00Z') };
  expect(timesEnded(clocks, answered)).toEqual([
    { measure: 'first_answer', month: '2026-02-01', category_id: 'a', bucket: 1, seconds: 3_600, onTime: true },
  ]);
  expect(timesEnded(answered, answered)).toEqual([]);
  const resolved = { ...answered, resolved_at: new Date('2026-02-01T02:59:59Z') };
  expect(timesEnded(answered, resolved)).toEqual([
    { measure: 'resolution', month: '2026-02-01', category_id: 'a', bucket: 1, seconds: 14_399, onTime: undefined },
  ]);
  expect(timesEnded(resolved, { ...resolved, resolved_at: null })).toEqual([]);
});

test('counts each active complaint in one age range', () => {
  const now = new Date('2026-03-01T12:00:00Z');
  const filed = ['2026-03-02', '2026-03-01', '2026-02-28', '2026-02-22', '2025-01-01'];
  const classes = ageClasses(
    filed.map((filed_on) => ({ filed_on, complaints: 1 })),
    now,
  );
  expect(classes.map(({ from_days, to_days, complaints }) => [from_days, to_days, complaints])).toEqual([
    [0, 1, 2],
    [1, 3, 1],
    [3, 7, 0],
    [7, 30, 1],
    [30, 90, 0],
    [90, null, 1],
  ]);
});
