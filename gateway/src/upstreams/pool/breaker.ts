import type { Upstream } from '../../config/config.ts';

/** `hasChecks` says whether health checks run and report to `checked`. Default: false. */
export type BreakerRules = NonNullable<Upstream['breaker']> & Readonly<{ hasChecks?: boolean }>;

export type BreakerState = 'closed' | 'half-open' | 'open';

/** `neutral` says nothing about the service, for example because the client disconnected. */
export type Outcome = 'success' | 'failure' | 'neutral';

/** Stands for one admitted request until its outcome is settled. */
export type Permit = number;

/** How many trial requests run at the same time while half-open. All must succeed to close the breaker. */
export const trials = 3;
/** How many slices the window has. An outcome is dropped after 90 to 100 % of `windowMs`. */
export const slices = 10;

/** Health checks notice within this time that a service has recovered. */
const checkedWithinMs = 1_000;

/**
 * Stops sending requests to a failing service, to protect both the service and the gateway. A state machine without
 * its own clock: `nowMs` comes from a monotonic clock. A closed breaker opens when the share of failures in the window
 * is too high. An open one becomes half-open after the cool-down or a passing health check. A half-open one opens
 * again after one failed trial, and closes after enough successful ones.
 */
export class Breaker {
  opened = 0;
  readonly #rules: BreakerRules;
  #window: CountWindow;
  #failedAtMs = Number.NEGATIVE_INFINITY;
  #state: BreakerState = 'closed';
  /** Changes with every state change, so that late outcomes are recognized. */
  #epoch = 0;
  #openedAtMs = 0;
  #running = 0;
  #passed = 0;
  #isCheckGood = false;
  /** A check has failed, or none has run, and the breaker has not been closed with passing checks since. */
  #isRecovering = true;
  #areChecksMisleading = false;
  /** How many late responses arrived in a row while checks fail. */
  #lateResponses = 0;

  constructor(rules: BreakerRules) {
    this.#rules = rules;
    this.#window = new CountWindow(rules.windowMs);
  }

  /** @returns Undefined if the request must be refused. Settle each permit exactly once. */
  admit(nowMs: number): Permit | undefined {
    if (this.#state === 'open' && this.state(nowMs) === 'half-open') this.#enter('half-open');
    if (this.#state === 'closed') return this.#epoch;
    if (this.#state === 'open' || this.#running + this.#passed >= trials) return undefined;
    this.#running += 1;
    return this.#epoch;
  }

  /**
   * Records the outcome of a request. Outcomes from an earlier state do not count, with one exception. Once a health
   * check has failed, a late response ends the cool-down, and `minimum` of them in a row close the breaker: the service
   * is back, but its queue may delay the trials.
   */
  settle(permit: Permit, outcome: Outcome, nowMs: number): void {
    if (permit !== this.#epoch) {
      if (this.#rules.hasChecks && this.#isRecovering) this.#settleLate(outcome);
    } else if (this.#state === 'half-open') this.#settleTrial(outcome, nowMs);
    else if (outcome !== 'neutral') {
      this.#window.add(outcome, nowMs);
      if (outcome === 'failure') this.#failedAtMs = nowMs;
      // The window usually contains no failures, so successes need not be counted.
      if (nowMs - this.#failedAtMs >= this.#rules.windowMs) return;
      const { successes, failures } = this.#window.counts(nowMs);
      const total = successes + failures;
      const { minimum, failureRate } = this.#rules;
      if (failures > 0 && total >= minimum && failures / total >= failureRate) this.#open(nowMs);
    }
  }

  /**
   * Records a health check. A passing check ends the cool-down, unless a trial failed although the last check had
   * passed. Then checks are ignored until one fails.
   */
  checked(isGood: boolean): void {
    this.#isCheckGood = isGood;
    if (!isGood || this.#state === 'closed') this.#isRecovering = !isGood;
    if (!isGood) this.#areChecksMisleading = false;
    else if (this.#state === 'open' && !this.#areChecksMisleading) this.#enter('half-open');
  }

  state(nowMs: number): BreakerState {
    const hasCooledDown = nowMs - this.#openedAtMs >= this.#rules.cooldownMs;
    return this.#state === 'open' && hasCooledDown ? 'half-open' : this.#state;
  }

  /** Returns the shortest useful wait, or 0 if closed. */
  retryAfterMs(nowMs: number): number {
    // While half-open, the outcome of the running trials is not known sooner.
    if (this.#state !== 'open') return this.#state === 'half-open' ? 1_000 : 0;
    const coolInMs = Math.max(0, this.#openedAtMs + this.#rules.cooldownMs - nowMs);
    return this.#rules.hasChecks && !this.#areChecksMisleading ? Math.min(coolInMs, checkedWithinMs) : coolInMs;
  }

  counts(nowMs: number): Readonly<{ successes: number; failures: number }> {
    return this.#window.counts(nowMs);
  }

  #enter(state: BreakerState): void {
    this.#state = state;
    if (state === 'closed') this.#isRecovering = !this.#isCheckGood;
    this.#epoch += 1;
    this.#running = 0;
    this.#passed = 0;
    this.#window = new CountWindow(this.#rules.windowMs);
  }

  #open(nowMs: number): void {
    this.#areChecksMisleading = this.#state === 'half-open' && this.#isCheckGood;
    if (this.#areChecksMisleading) this.#isRecovering = false;
    this.#enter('open');
    this.#openedAtMs = nowMs;
    this.opened += 1;
    this.#lateResponses = 0;
  }

  #settleTrial(outcome: Outcome, nowMs: number): void {
    this.#running -= 1;
    if (outcome === 'failure') this.#open(nowMs);
    else if (outcome === 'success') {
      this.#passed += 1;
      if (this.#passed >= trials) this.#enter('closed');
    }
  }

  /** A service that hung may finish old requests before it accepts the next check's connection. */
  #settleLate(outcome: Outcome): void {
    if (this.#state === 'closed' || outcome === 'neutral') return;
    this.#lateResponses = outcome === 'success' ? this.#lateResponses + 1 : 0;
    if (this.#lateResponses >= this.#rules.minimum) this.#enter('closed');
    else if (this.#state === 'open' && outcome === 'success') this.#enter('half-open');
  }
}

type Slice = { number: number; success: number; failure: number };

/** Counts outcomes in the last ten slices. Memory and time do not depend on the number of outcomes. */
class CountWindow {
  readonly #sliceMs: number;
  readonly #slices: readonly Slice[] = Array.from({ length: slices }, () => ({ number: -1, success: 0, failure: 0 }));

  constructor(windowMs: number) {
    this.#sliceMs = windowMs / slices;
  }

  add(outcome: 'success' | 'failure', nowMs: number): void {
    const number = Math.floor(nowMs / this.#sliceMs);
    const slice = this.#slices[number % slices] as Slice;
    if (slice.number !== number) {
      slice.number = number;
      slice.success = 0;
      slice.failure = 0;
    }
    slice[outcome] += 1;
  }

  counts(nowMs: number): Readonly<{ successes: number; failures: number }> {
    const oldest = Math.floor(nowMs / this.#sliceMs) - slices + 1;
    const counts = { successes: 0, failures: 0 };
    for (const { number, success, failure } of this.#slices) {
      if (number < oldest) continue;
      counts.successes += success;
      counts.failures += failure;
    }
    return counts;
  }
}
