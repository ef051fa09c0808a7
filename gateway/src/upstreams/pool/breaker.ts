export type BreakerRules = Readonly<{
  /** Share of failures, above 0 and at most 1, at which it opens. */
  failureRate: number;
  /** Outcomes in the window without which nothing is concluded. */
  minimum: number;
  windowMs: number;
  /** How long it stays open before it tries again. */
  cooldownMs: number;
  /** Whether health checks are made, and their outcomes told. Default false. */
  hasChecks?: boolean;
}>;

export type BreakerState = 'closed' | 'half-open' | 'open';

/** `neutral`: says nothing about the service, e.g. because the client went away. */
export type Outcome = 'success' | 'failure' | 'neutral';

/** Stands for one request that was let through, until its outcome is told. */
export type Permit = number;

/**
 * Stops asking a service that does not answer, so that neither it nor the gateway is held up by requests without hope.
 * It is a state machine without a clock: closed until the share of failures in the window is too high, then open, after the
 * cool-down or a good health check half open for a few trials, of which one failure opens it again and enough successes close it.
 */
export type Breaker = Readonly<{
  /** @returns Undefined: not now. Every permit must be settled, once. */
  admit(nowMs: number): Permit | undefined;
  /**
   * An outcome of an earlier state says nothing about this one, and is not counted. But where the last health check failed, an answer
   * ends the cool-down, and `minimum` answers in a row close the breaker: the service is back, and trials may wait behind its queue.
   */
  settle(permit: Permit, outcome: Outcome, nowMs: number): void;
  /**
   * Takes the outcome of a health check. A good one ends the cool-down, unless a trial failed although the last check was good: then
   * the checks say nothing about the requests until one of them fails.
   */
  checked(isGood: boolean): void;
  /** As it would be for a request now. */
  state(nowMs: number): BreakerState;
  /** How long to wait at least; 0 when it is closed. */
  retryAfterMs(nowMs: number): number;
  /** Outcomes in the window. */
  counts(nowMs: number): Readonly<{ successes: number; failures: number }>;
  /** How often it has opened so far. */
  readonly opened: number;
}>;

/** Requests that may try a service at the same time, and must succeed before all may. */
export const trials = 3;
/** Slices of the window: an outcome is forgotten between nine and ten tenths of `windowMs` after it. */
export const slices = 10;

/** How long it takes at most until health checks have seen that a service is back. */
const checkedWithinMs = 1_000;

/** @param rules `nowMs` of the methods is from a clock that never goes back. */
export function createBreaker(rules: BreakerRules): Breaker {
  const window = createWindow(rules.windowMs / slices);
  let now: BreakerState = 'closed';
  // Changes with every change of state, so that late outcomes are known as such.
  let epoch = 0;
  let openedAtMs = 0;
  let opened = 0;
  let underWay = 0;
  let passed = 0;
  let isCheckGood = false;
  /** Of requests from an earlier state, in a row, while checks fail. */
  let lateAnswers = 0;
  let areChecksMisleading = false;

  function become(state: BreakerState): void {
    now = state;
    epoch += 1;
    underWay = 0;
    passed = 0;
    window.clear();
  }

  function open(nowMs: number): void {
    areChecksMisleading = now === 'half-open' && isCheckGood;
    become('open');
    openedAtMs = nowMs;
    opened += 1;
    lateAnswers = 0;
  }

  /** A hung service that goes on answers what it was asked before it can take the connection of the next check. */
  function settleLate(outcome: Outcome): void {
    if (now === 'closed' || outcome === 'neutral') return;
    lateAnswers = outcome === 'success' ? lateAnswers + 1 : 0;
    if (lateAnswers >= rules.minimum) become('closed');
    else if (now === 'open' && outcome === 'success') become('half-open');
  }

  const isCool = (nowMs: number) => nowMs - openedAtMs >= rules.cooldownMs;

  return {
    admit(nowMs) {
      if (now === 'open' && isCool(nowMs)) become('half-open');
      if (now === 'closed') return epoch;
      if (now === 'open' || underWay + passed >= trials) return undefined;
      underWay += 1;
      return epoch;
    },
    settle(permit, outcome, nowMs) {
      if (permit !== epoch) {
        if (rules.hasChecks && !isCheckGood) settleLate(outcome);
        return;
      }
      if (now === 'half-open') {
        underWay -= 1;
        if (outcome === 'failure') open(nowMs);
        else if (outcome === 'success') {
          passed += 1;
          if (passed >= trials) become('closed');
        }
        return;
      }
      if (outcome === 'neutral') return;
      window.add(outcome, nowMs);
      const { successes, failures } = window.counts(nowMs);
      if (failures === 0) return;
      const total = successes + failures;
      if (total >= rules.minimum && failures / total >= rules.failureRate) open(nowMs);
    },
    checked(isGood) {
      isCheckGood = isGood;
      if (!isGood) areChecksMisleading = false;
      else if (now === 'open' && !areChecksMisleading) become('half-open');
    },
    state: (nowMs) => (now === 'open' && isCool(nowMs) ? 'half-open' : now),
    retryAfterMs(nowMs) {
      if (now === 'open') {
        const coolInMs = Math.max(0, openedAtMs + rules.cooldownMs - nowMs);
        return rules.hasChecks && !areChecksMisleading ? Math.min(coolInMs, checkedWithinMs) : coolInMs;
      }
      // Trials are under way; whether they pass is known no sooner than this.
      return now === 'half-open' ? 1_000 : 0;
    },
    counts: window.counts,
    get opened() {
      return opened;
    },
  };
}

/** Counts of the last ten slices. Memory and time are the same however many outcomes there are. */
function createWindow(sliceMs: number) {
  const bySlice = { success: new Uint32Array(slices), failure: new Uint32Array(slices) };
  const total = { success: 0, failure: 0 };
  let last = Number.NEGATIVE_INFINITY;

  function clear(): void {
    for (const outcome of ['success', 'failure'] as const) {
      bySlice[outcome].fill(0);
      total[outcome] = 0;
    }
  }

  /** Forgets the slices that have passed since. @returns Where the outcomes of now are counted. */
  function advance(nowMs: number): number {
    const slice = Math.floor(nowMs / sliceMs);
    if (slice - last >= slices) clear();
    else for (let passing = last + 1; passing <= slice; passing += 1) forget(passing % slices);
    last = Math.max(last, slice);
    return slice % slices;
  }

  function forget(at: number): void {
    for (const outcome of ['success', 'failure'] as const) {
      total[outcome] -= bySlice[outcome][at] ?? 0;
      bySlice[outcome][at] = 0;
    }
  }

  return {
    clear,
    add(outcome: 'success' | 'failure', nowMs: number): void {
      const at = advance(nowMs);
      bySlice[outcome][at] = (bySlice[outcome][at] ?? 0) + 1;
      total[outcome] += 1;
    },
    counts(nowMs: number) {
      advance(nowMs);
      return { successes: total.success, failures: total.failure };
    },
  };
}
