/** What is asked of a target when one is chosen. */
type Choosable = Readonly<{
  /** Requests and connections that it has not finished with. */
  pending: number;
  isAvailable(nowMs: number): boolean;
  /** Its health checks do not fail, whatever its requests do. */
  passesChecks(): boolean;
}>;

export type Balance = 'round-robin' | 'least-pending';

/**
 * Says which of an upstream's targets comes next.
 *
 * `round-robin` gives each its turn. `least-pending` gives the one with the least to do, and lets turns decide between equals.
 * Targets that are not available are left out. Where none is, those whose checks pass are tried, and where none passes, all are: a
 * wrong health path or a bad moment of the network must not take away what may still work.
 *
 * @returns A function of the time; `except`, which just failed, is taken only where there is no other at all.
 */
export function createChooser<Target extends Choosable>(
  targets: readonly Target[],
  balance: Balance,
): (nowMs: number, except?: Target) => Target {
  let turn = 0;

  function best(isEligible: (target: Target) => boolean): Target | undefined {
    let found: Target | undefined;
    let foundAt = turn;
    for (let step = 0; step < targets.length; step += 1) {
      const at = (turn + step) % targets.length;
      const target = targets[at] as Target;
      if (!isEligible(target)) continue;
      if (found !== undefined && target.pending >= found.pending) continue;
      found = target;
      foundAt = at;
      if (balance === 'round-robin') break;
    }
    if (found !== undefined) turn = (foundAt + 1) % targets.length;
    return found;
  }

  const [only] = targets;
  if (only !== undefined && targets.length === 1) return () => only;
  return (nowMs, except) => {
    const chosen =
      best((target) => target !== except && target.isAvailable(nowMs)) ??
      best((target) => target !== except && target.passesChecks()) ??
      best((target) => target !== except) ??
      except;
    if (chosen === undefined) throw new Error('an upstream without targets');
    return chosen;
  };
}
