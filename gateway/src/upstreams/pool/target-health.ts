/** The health of one target, from its requests and its health checks. */
export type TargetHealth = Readonly<{
  /** A response began, of any status. It ends an ejection: with no other target, requests still come here. */
  responded(): void;
  /** A request could not connect, or got no response in time. */
  failed(nowMs: number): void;
  /** Records a health check. */
  checked(isGood: boolean): void;
  /** Whether requests should go to this target. */
  isAvailable(nowMs: number): boolean;
  /** Also true while the target is ejected, and before the first check. */
  passesChecks(): boolean;
  state(nowMs: number): Readonly<{
    /** `none`: no check has finished. */
    checks: 'none' | 'passing' | 'failing';
    /** Milliseconds until the ejection ends; 0 if the target is not ejected. */
    ejectedForMs: number;
    /** How often it has been ejected. */
    ejections: number;
  }>;
}>;

export type CheckThresholds = Readonly<{
  /** Failed checks in a row that take a target out. */
  unhealthyAfter: number;
  /** Passed checks in a row that bring it back. */
  healthyAfter: number;
}>;

/** Failures in a row that eject a target. */
export const ejectedAfter = 3;
/** The first ejection; each further failure without a success in between doubles it. */
export const firstEjectionMs = 5_000;
export const maxEjectionMs = 60_000;

/**
 * A target counts as healthy until checks or consecutive requests fail, so that a start does not wait for checks. Both
 * conditions end by themselves.
 */
export function createTargetHealth(thresholds: CheckThresholds): TargetHealth {
  let failures = 0;
  let ejectedUntilMs = Number.NEGATIVE_INFINITY;
  let ejections = 0;
  let checks: 'none' | 'passing' | 'failing' = 'none';
  let against = 0;

  return {
    responded() {
      failures = 0;
      ejectedUntilMs = Number.NEGATIVE_INFINITY;
    },
    failed(nowMs) {
      // Requests that were sent before the ejection do not extend it.
      if (nowMs < ejectedUntilMs) return;
      failures += 1;
      if (failures < ejectedAfter) return;
      ejectedUntilMs = nowMs + Math.min(firstEjectionMs * 2 ** (failures - ejectedAfter), maxEjectionMs);
      ejections += 1;
    },
    checked(isGood) {
      if (isGood === (checks !== 'failing')) {
        against = 0;
        if (checks === 'none') checks = 'passing';
        return;
      }
      against += 1;
      if (against < (isGood ? thresholds.healthyAfter : thresholds.unhealthyAfter)) return;
      against = 0;
      checks = isGood ? 'passing' : 'failing';
    },
    passesChecks: () => checks !== 'failing',
    isAvailable: (nowMs) => checks !== 'failing' && nowMs >= ejectedUntilMs,
    state: (nowMs) => ({ checks, ejectedForMs: Math.max(0, ejectedUntilMs - nowMs), ejections }),
  };
}
