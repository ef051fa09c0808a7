import type { Upstream } from '../../config/config.ts';
import type { Target } from './target.ts';

export type Balance = Upstream['balance'];

/**
 * Chooses the next target of an upstream.
 *
 * `round-robin` takes turns. `least-pending` takes the target with the fewest unfinished requests, and takes turns
 * between targets with equally many. Unavailable targets are skipped. If all are unavailable, those with passing
 * checks are used, or else all of them, because a wrong health path must not stop the traffic.
 *
 * @returns A function of the time. It returns `except`, the target that just failed, only if there is no other.
 */
export function createChooser<Choosable extends Pick<Target, 'pending' | 'isAvailable' | 'passesChecks'>>(
  targets: readonly Choosable[],
  balance: Balance,
): (nowMs: number, except?: Choosable) => Choosable {
  let turn = 0;

  function best(isEligible: (target: Choosable) => boolean): Choosable | undefined {
    let found: Choosable | undefined;
    let foundAt = turn;
    for (let step = 0; step < targets.length; step += 1) {
      const at = (turn + step) % targets.length;
      const target = targets[at] as Choosable;
      if (!isEligible(target)) continue;
      if (found !== undefined && target.pending >= found.pending) continue;
      found = target;
      foundAt = at;
      if (balance === 'round-robin') break;
    }
    if (found !== undefined) turn = (foundAt + 1) % targets.length;
    return found;
  }

  return (nowMs, except) =>
    best((target) => target !== except && target.isAvailable(nowMs)) ??
    best((target) => target !== except && target.passesChecks()) ??
    best((target) => target !== except) ??
    (targets[0] as Choosable);
}
