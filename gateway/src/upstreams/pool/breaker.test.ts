import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Breaker, type BreakerRules, type Outcome, type Permit, slices, trials } from './breaker.ts';

const rules: BreakerRules = { failureRate: 0.5, minimum: 4, windowMs: 1_000, cooldownMs: 500 };

/** A simple model of the breaker, with lists of all events. */
function modelOf({ failureRate, minimum, windowMs, cooldownMs, hasChecks }: BreakerRules) {
  const slice = (ms: number) => Math.floor(ms / (windowMs / slices));
  let state: 'closed' | 'open' | 'half-open' = 'closed';
  let period = 0;
  let openedAtMs = 0;
  let outcomes: { at: number; outcome: Outcome }[] = [];
  let waiting = 0;
  let passed = 0;
  const checks: boolean[] = [];
  let late: Outcome[] = [];
  /** How many checks had run when a trial failed although the last check had passed. */
  let misledAt: number | undefined;
  /** Whether late outcomes count. */
  let isRecovering = true;
  const enter = (next: typeof state) => {
    state = next;
    period += 1;
    outcomes = [];
    waiting = 0;
    passed = 0;
  };
  const close = () => {
    enter('closed');
    isRecovering = checks.at(-1) !== true;
  };
  const open = (nowMs: number) => {
    enter('open');
    late = [];
    openedAtMs = nowMs;
  };
  return {
    admit(nowMs: number): number | undefined {
      if (state === 'open' && nowMs >= openedAtMs + cooldownMs) enter('half-open');
      if (state === 'open' || (state === 'half-open' && waiting + passed === trials)) return undefined;
      waiting += 1;
      return period;
    },
    settle(permit: number, outcome: Outcome, nowMs: number): void {
      if (permit !== period) {
        if (hasChecks !== true || !isRecovering || state === 'closed' || outcome === 'neutral') return;
        late.push(outcome);
        if (late.length - 1 - late.lastIndexOf('failure') >= minimum) close();
        else if (state === 'open' && outcome === 'success') enter('half-open');
        return;
      }
      waiting -= 1;
      if (state === 'half-open') {
        if (outcome === 'failure') {
          misledAt = checks.at(-1) === true ? checks.length : undefined;
          isRecovering &&= misledAt === undefined;
          open(nowMs);
        }
        if (outcome === 'success') passed += 1;
        if (passed === trials) close();
        return;
      }
      if (outcome === 'neutral') return;
      outcomes.push({ at: slice(nowMs), outcome });
      const counted = outcomes.filter(({ at }) => at > slice(nowMs) - slices);
      const failures = counted.filter((one) => one.outcome === 'failure').length;
      if (counted.length >= minimum && failures / counted.length >= failureRate) {
        misledAt = undefined;
        open(nowMs);
      }
    },
    checked(isGood: boolean): void {
      checks.push(isGood);
      if (state === 'closed') isRecovering = !isGood;
      else isRecovering ||= !isGood;
      const isBelieved = misledAt === undefined || checks.slice(misledAt).includes(false);
      if (isGood && isBelieved && state === 'open') enter('half-open');
    },
    state: (nowMs: number) => (state === 'open' && nowMs >= openedAtMs + cooldownMs ? 'half-open' : state),
  };
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('admit' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat(20),
      outcome: fc.constantFrom<Outcome>('success', 'failure', 'failure', 'neutral'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('check' as const), isGood: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 700 }) }) },
);

describe('a circuit breaker', () => {
  test('behaves like the model for any order of events', () => {
    const anyRules = fc.record({
      failureRate: fc.constantFrom(0.1, 0.5, 0.9, 1),
      minimum: fc.integer({ min: 1, max: 6 }),
      windowMs: fc.constantFrom(100, 1_000),
      cooldownMs: fc.constantFrom(100, 500),
      hasChecks: fc.boolean(),
    });
    let opened = 0;
    fc.assert(
      fc.property(anyRules, fc.array(step, { maxLength: 120, size: 'max' }), (given, steps) => {
        const breaker = new Breaker(given);
        const model = modelOf(given);
        const pending: { ours: Permit; models: number }[] = [];
        let nowMs = 12_345;
        for (const one of steps) {
          if (one.do === 'wait') nowMs += one.ms;
          if (one.do === 'check') {
            breaker.checked(one.isGood);
            model.checked(one.isGood);
          }
          if (one.do === 'admit') {
            const [ours, models] = [breaker.admit(nowMs), model.admit(nowMs)];
            expect(ours === undefined).toBe(models === undefined);
            // Each refusal says how long to wait.
            if (ours === undefined) expect(breaker.retryAfterMs(nowMs)).toBeGreaterThan(0);
            if (ours !== undefined && models !== undefined) pending.push({ ours, models });
          }
          if (one.do === 'settle' && pending.length > 0) {
            const [{ ours, models }] = pending.splice(one.which % pending.length, 1) as [(typeof pending)[number]];
            breaker.settle(ours, one.outcome, nowMs);
            model.settle(models, one.outcome, nowMs);
          }
          expect(breaker.state(nowMs)).toBe(model.state(nowMs));
        }
        opened += breaker.opened;
      }),
      { numRuns: 200 },
    );
    expect(opened).toBeGreaterThan(100);
  });

  const fail = (breaker: Breaker, times: number, nowMs: number) => {
    for (let count = 0; count < times; count += 1) breaker.settle(breaker.admit(nowMs) as Permit, 'failure', nowMs);
  };

  test('opens at the failure rate, but not before the minimum, and says how long to wait', () => {
    const breaker = new Breaker(rules);
    fail(breaker, 3, 0);
    expect(breaker.state(0)).toBe('closed');
    fail(breaker, 1, 0);
    expect([breaker.state(0), breaker.admit(0), breaker.retryAfterMs(100)]).toEqual(['open', undefined, 400]);
  });

  test('admits three trials after the cool-down, and closes when they succeed', () => {
    const breaker = new Breaker(rules);
    fail(breaker, 4, 0);
    const permits = [breaker.admit(500), breaker.admit(500), breaker.admit(500)] as Permit[];
    expect(breaker.admit(500)).toBeUndefined();
    for (const permit of permits) breaker.settle(permit, 'success', 510);
    expect([breaker.state(510), breaker.counts(510)]).toEqual(['closed', { successes: 0, failures: 0 }]);
  });

  test('opens again at the first failed trial, and replaces a neutral trial', () => {
    const breaker = new Breaker(rules);
    fail(breaker, 4, 0);
    const [first, second] = [breaker.admit(500), breaker.admit(500)] as [Permit, Permit];
    breaker.settle(first, 'neutral', 510);
    expect(
      [breaker.admit(510), breaker.admit(510), breaker.admit(510)].filter((permit) => permit !== undefined),
    ).toHaveLength(2);
    breaker.settle(second, 'failure', 520);
    expect([breaker.state(520), breaker.retryAfterMs(520), breaker.opened]).toEqual(['open', 500, 2]);
  });

  test('admits three trials as soon as a health check passes', () => {
    const breaker = new Breaker(rules);
    breaker.checked(true);
    fail(breaker, 4, 0);
    expect(breaker.admit(1)).toBeUndefined();
    breaker.checked(false);
    expect(breaker.admit(2)).toBeUndefined();
    breaker.checked(true);
    expect([breaker.state(3), breaker.admit(3)]).toEqual(['half-open', expect.any(Number)]);
  });

  test('admits three trials when an earlier request is answered while checks fail', () => {
    const breaker = new Breaker({ ...rules, hasChecks: true });
    const [early, another] = [breaker.admit(0), breaker.admit(0)] as [Permit, Permit];
    breaker.checked(true);
    fail(breaker, 4, 0);
    breaker.settle(early, 'success', 1);
    expect(breaker.state(1)).toBe('open');
    breaker.checked(false);
    breaker.settle(another, 'success', 2);
    expect(breaker.state(2)).toBe('half-open');
  });

  test('closes when enough earlier requests are answered in a row, also after a check has passed', () => {
    const breaker = new Breaker({ ...rules, hasChecks: true });
    const early = Array.from({ length: 4 }, () => breaker.admit(0) as Permit);
    breaker.checked(true);
    fail(breaker, 4, 0);
    breaker.checked(false);
    breaker.checked(true);
    // The trials wait behind the earlier requests.
    expect([breaker.admit(1), breaker.state(1)]).toEqual([expect.any(Number), 'half-open']);
    for (const permit of early) breaker.settle(permit, 'success', 1);
    expect(breaker.state(1)).toBe('closed');
  });

  test('closes when enough earlier requests are answered in a row while checks fail', () => {
    const breaker = new Breaker({ ...rules, minimum: 3, hasChecks: true });
    const early = Array.from({ length: 6 }, () => breaker.admit(0) as Permit);
    fail(breaker, 3, 0);
    const outcomes: Outcome[] = ['success', 'success', 'failure', 'success', 'success', 'success'];
    const states = early.map((permit, index) => {
      breaker.settle(permit, outcomes[index] as Outcome, 1);
      return breaker.state(1);
    });
    expect(states).toEqual(['half-open', 'half-open', 'half-open', 'half-open', 'half-open', 'closed']);
  });

  test('waits for the cool-down if checks pass but trials fail, until a check fails', () => {
    const breaker = new Breaker(rules);
    fail(breaker, 4, 0);
    breaker.checked(true);
    fail(breaker, 1, 10);
    breaker.checked(true);
    expect([breaker.state(10), breaker.state(510)]).toEqual(['open', 'half-open']);
    breaker.checked(false);
    breaker.checked(true);
    expect(breaker.state(10)).toBe('half-open');
  });

  test('does not count requests from an earlier state', () => {
    const breaker = new Breaker(rules);
    const early = [breaker.admit(0), breaker.admit(0), breaker.admit(0)] as Permit[];
    fail(breaker, 4, 0);
    expect(breaker.admit(500)).toBeDefined();
    for (const permit of early) breaker.settle(permit, 'success', 510);
    expect(breaker.state(510)).toBe('half-open');
  });
});
