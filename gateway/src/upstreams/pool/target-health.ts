/** What the requests of one target, and the checks made of it, say about it. */
export type TargetHealth = Readonly<{
  /** A request was answered, whatever with. */
  succeeded(): void;
  /** A request found nobody there, or nobody who answered in time. */
  failed(nowMs: number): void;
  /** A check was made. */
  checked(isGood: boolean): void;
  /** Whether requests should go there. */
  isAvailable(nowMs: number): boolean;
  /** Also while it is ejected, and before the first check. */
  passesChecks(): boolean;
  state(nowMs: number): Readonly<{
    /** `none`: no check was made so far. */
    checks: 'none' | 'passing' | 'failing';
    /** Milliseconds until it may be tried again; 0: it is not ejected. */
    ejectedForMs: number;
    /** How often it was ejected so far. */
    ejections: number;
  }>;
}>;

export type CheckThresholds = Readonly<{
  /** Bad checks in a row that take a target out. */
  unhealthyAfter: number;
  /** Good checks in a row that bring it back. */
  healthyAfter: number;
}>;

/** Failures in a row after which a target is left alone for a while. */
export const ejectedAfter = 3;
/** The first time; each further failure without a success between doubles it. */
export const firstEjectionMs = 5_000;
export const longestEjectionMs = 60_000;

/**
 * A target is taken to be good until something says otherwise, so that a start waits for nobody. Two things do: checks that fail,
 * and requests that fail one after the other. Both end by themselves.
 */
export function createTargetHealth(thresholds: CheckThresholds): TargetHealth {
  let failures = 0;
  let ejectedUntilMs = Number.NEGATIVE_INFINITY;
  let ejections = 0;
  let checks: 'none' | 'passing' | 'failing' = 'none';
  let against = 0;

  return {
    succeeded() {
      failures = 0;
    },
    failed(nowMs) {
      // Those that were under way when it was ejected say nothing new.
      if (nowMs < ejectedUntilMs) return;
      failures += 1;
      if (failures < ejectedAfter) return;
      ejectedUntilMs = nowMs + Math.min(firstEjectionMs * 2 ** (failures - ejectedAfter), longestEjectionMs);
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
