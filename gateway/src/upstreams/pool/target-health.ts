import type { Upstream } from '../../config/config.ts';

/** Consecutive failed checks that make a target unavailable, and passed checks that make it available again. */
type CheckThresholds = Pick<NonNullable<Upstream['health']>, 'unhealthyAfter' | 'healthyAfter'>;

export const ejectedAfter = 3;
/** The duration of the first ejection. Each further failure without a success in between doubles it. */
export const firstEjectionMs = 5_000;
export const maxEjectionMs = 60_000;

/**
 * The health of one target, from its requests and its health checks. A target counts as healthy until checks or
 * consecutive requests fail, so that a start does not wait for checks. Both conditions end by themselves.
 */
export class TargetHealth {
  /** `none` if no check has finished. */
  checks: 'none' | 'passing' | 'failing' = 'none';
  /** How often it has been ejected. */
  ejections = 0;
  /** In a row. */
  failures = 0;
  readonly #thresholds: CheckThresholds;
  #ejectedUntilMs = Number.NEGATIVE_INFINITY;
  /** Consecutive checks that contradict `checks`. */
  #against = 0;

  constructor(thresholds: CheckThresholds) {
    this.#thresholds = thresholds;
  }

  /**
   * A response of any status began after failures. Ends an ejection: with no other target, requests still arrive here.
   */
  responded(): void {
    this.failures = 0;
    this.#ejectedUntilMs = Number.NEGATIVE_INFINITY;
  }

  /**
   * A request could not connect, or got no response in time.
   *
   * @returns Whether that ejects the target.
   */
  failed(nowMs: number): boolean {
    // Requests that were sent before the ejection do not extend it.
    if (nowMs < this.#ejectedUntilMs) return false;
    this.failures += 1;
    if (this.failures < ejectedAfter) return false;
    this.#ejectedUntilMs = nowMs + Math.min(firstEjectionMs * 2 ** (this.failures - ejectedAfter), maxEjectionMs);
    this.ejections += 1;
    return true;
  }

  /** Records a health check. */
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

  /** Also true while the target is ejected, and before the first check. */
  passesChecks(): boolean {
    return this.checks !== 'failing';
  }

  /** Whether requests should go to this target. */
  isAvailable(nowMs: number): boolean {
    return this.passesChecks() && nowMs >= this.#ejectedUntilMs;
  }

  /** Milliseconds until the ejection ends, or 0 if the target is not ejected. */
  ejectedForMs(nowMs: number): number {
    return Math.max(0, this.#ejectedUntilMs - nowMs);
  }
}
