/** What the choice needs to know of a target. */
type Choosable = Readonly<{
  /** Unfinished requests and connections. */
  pending: number;
  isAvailable(nowMs: number): boolean;
  /** Its health checks do not fail, even if its requests do. */
  passesChecks(): boolean;
}>;

export type Balance = 'round-robin' | 'least-pending';

/**
 * Chooses the next target of an upstream.
 *
 * `round-robin` takes turns. `least-pending` takes the target with the fewest unfinished requests, and takes turns
 * between equals. Unavailable targets are skipped. If all are unavailable, those with passing checks are tried, and
 * otherwise all of them: a wrong health path must not stop the traffic.
 *
 * @returns A function of the time. It returns `except`, the target that just failed, only if there is no other.
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
