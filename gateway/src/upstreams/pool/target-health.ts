import type { Upstream } from '../../config/config.ts';

/** How many consecutive failed checks make a target unavailable, and how many passed ones make it available again. */
type CheckThresholds = Pick<NonNullable<Upstream['health']>, 'unhealthyAfter' | 'healthyAfter'>;

export const ejectedAfter = 3;
/** How long the first ejection lasts. Each further failure without a success in between doubles it. */
export const firstEjectionMs = 5_000;
export const maxEjectionMs = 60_000;

/**
 * The health of one target, judged by its requests and its health checks. A target counts as healthy until checks or
 * consecutive requests fail, so that startup does not wait for checks. Both conditions end by themselves.
 */
export class TargetHealth {
  /** `none` means that no check has finished. */
  checks: 'none' | 'passing' | 'failing' = 'none';
  ejections = 0;
  failures = 0;
  readonly #thresholds: CheckThresholds;
  #ejectedUntilMs = Number.NEGATIVE_INFINITY;
  /** How many consecutive checks contradict `checks`. */
  #against = 0;

  constructor(thresholds: CheckThresholds) {
    this.#thresholds = thresholds;
  }

  /** A response with any status ends an ejection: without another target, an ejected one still gets requests. */
  responded(): void {
    this.failures = 0;
    this.#ejectedUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** Records that a request could not connect, or got no response in time. Returns whether this ejects the target. */
  failed(nowMs: number): boolean {
    // Requests that were sent before the ejection do not extend it.
    if (nowMs < this.#ejectedUntilMs) return false;
    this.failures += 1;
    if (this.failures < ejectedAfter) return false;
    this.#ejectedUntilMs = nowMs + Math.min(firstEjectionMs * 2 ** (this.failures - ejectedAfter), maxEjectionMs);
    this.ejections += 1;
    return true;
  }

  checked(isGood: boolean): void {
    if (isGood === (this.checks !== 'failing')) {
      this.#against = 0;
      if (this.checks === 'none') this.checks = 'passing';
      return;
    }
    this.#against += 1;
    if (this.#against < this.#thresholds[isGood ? 'healthyAfter' : 'unhealthyAfter']) return;
    this.#against = 0;
    this.checks = isGood ? 'passing' : 'failing';
  }

  /** True also while the target is ejected, and before the first check. */
  passesChecks(): boolean {
    return this.checks !== 'failing';
  }

  /** Whether the last check failed, but not yet enough of them for `failing`. */
  hasFailedCheck(): boolean {
    return this.checks !== 'failing' && this.#against > 0;
  }

  /** Whether requests should go to this target. */
  isAvailable(nowMs: number): boolean {
    return this.passesChecks() && nowMs >= this.#ejectedUntilMs;
  }

  /** Returns the milliseconds until the ejection ends, or 0 if the target is not ejected. */
  ejectedForMs(nowMs: number): number {
    return Math.max(0, this.#ejectedUntilMs - nowMs);
  }
}
