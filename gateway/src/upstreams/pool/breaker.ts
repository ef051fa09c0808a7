export type BreakerRules = Readonly<{
  /** Share of failures at which the breaker opens, above 0 and at most 1. */
  failureRate: number;
  /** Outcomes in the window that are needed before the breaker may open. */
  minimum: number;
  windowMs: number;
  /** How long it stays open before it allows trials. */
  cooldownMs: number;
  /** Whether health checks run and report to `checked`. Default false. */
  hasChecks?: boolean;
}>;

export type BreakerState = 'closed' | 'half-open' | 'open';

/** `neutral` says nothing about the service, e.g. because the client disconnected. */
export type Outcome = 'success' | 'failure' | 'neutral';

/** Stands for one admitted request until its outcome is settled. */
export type Permit = number;

/**
 * Stops sending requests to a failing service, to protect both the service and the gateway. A state machine without a
 * clock of its own. Closed: it opens when the share of failures in the window is too high. Open: it becomes half-open
 * after the cool-down or a passing health check. Half-open: one failed trial opens it again, enough successful ones
 * close it.
 */
export type Breaker = Readonly<{
  /** @returns Undefined if the request must be refused. Settle each permit exactly once. */
  admit(nowMs: number): Permit | undefined;
  /**
   * Records the outcome of a request. An outcome of an earlier state does not count, with one exception. While health
   * checks fail, a late response ends the cool-down, and `minimum` of them in a row close the breaker. Such a service
   * is back, but its queue may delay the trials.
   */
  settle(permit: Permit, outcome: Outcome, nowMs: number): void;
  /**
   * Records a health check. A passing check ends the cool-down, unless a trial failed although the last check had
   * passed. Then checks are not believed until one fails.
   */
  checked(isGood: boolean): void;
  /** The state that a request would meet now. */
  state(nowMs: number): BreakerState;
  /** The shortest useful wait; 0 if closed. */
  retryAfterMs(nowMs: number): number;
  /** Outcomes in the window. */
  counts(nowMs: number): Readonly<{ successes: number; failures: number }>;
  /** How often it has opened. */
  readonly opened: number;
}>;

/** Concurrent trials while half-open. All of them must succeed to close the breaker. */
export const trials = 3;
/** Slices of the window: an outcome is dropped between nine and ten tenths of `windowMs` after it. */
export const slices = 10;

/** Health checks notice within this time that a service is back. */
const checkedWithinMs = 1_000;

/** @param rules The `nowMs` of the methods comes from a monotonic clock. */
export function createBreaker(rules: BreakerRules): Breaker {
  const window = createWindow(rules.windowMs / slices);
  let now: BreakerState = 'closed';
  // Changes with every change of state, to recognize late outcomes.
  let epoch = 0;
  let openedAtMs = 0;
  let opened = 0;
  let running = 0;
  let passed = 0;
  let isCheckGood = false;
  /** Late responses in a row while checks fail. */
  let lateResponses = 0;
  let areChecksMisleading = false;

  function enter(state: BreakerState): void {
    now = state;
    epoch += 1;
    running = 0;
    passed = 0;
    window.clear();
  }

  function open(nowMs: number): void {
    areChecksMisleading = now === 'half-open' && isCheckGood;
    enter('open');
    openedAtMs = nowMs;
    opened += 1;
    lateResponses = 0;
  }

  /** A service that hung may finish old requests before it accepts the connection of the next check. */
  function settleLate(outcome: Outcome): void {
    if (now === 'closed' || outcome === 'neutral') return;
    lateResponses = outcome === 'success' ? lateResponses + 1 : 0;
    if (lateResponses >= rules.minimum) enter('closed');
    else if (now === 'open' && outcome === 'success') enter('half-open');
  }

  const hasCooledDown = (nowMs: number) => nowMs - openedAtMs >= rules.cooldownMs;

  return {
    admit(nowMs) {
      if (now === 'open' && hasCooledDown(nowMs)) enter('half-open');
      if (now === 'closed') return epoch;
      if (now === 'open' || running + passed >= trials) return undefined;
      running += 1;
      return epoch;
    },
    settle(permit, outcome, nowMs) {
      if (permit !== epoch) {
        if (rules.hasChecks && !isCheckGood) settleLate(outcome);
        return;
      }
      if (now === 'half-open') {
        running -= 1;
        if (outcome === 'failure') open(nowMs);
        else if (outcome === 'success') {
          passed += 1;
          if (passed >= trials) enter('closed');
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
      else if (now === 'open' && !areChecksMisleading) enter('half-open');
    },
    state: (nowMs) => (now === 'open' && hasCooledDown(nowMs) ? 'half-open' : now),
    retryAfterMs(nowMs) {
      if (now === 'open') {
        const coolInMs = Math.max(0, openedAtMs + rules.cooldownMs - nowMs);
        return rules.hasChecks && !areChecksMisleading ? Math.min(coolInMs, checkedWithinMs) : coolInMs;
      }
      // Trials are running, and their outcome is not known sooner.
      return now === 'half-open' ? 1_000 : 0;
    },
    counts: window.counts,
    get opened() {
      return opened;
    },
  };
}

/** Counts of the last ten slices. Memory and time do not depend on the number of outcomes. */
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

  /** Clears the slices that have passed. @returns The index of the current slice. */
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
