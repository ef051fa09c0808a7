import { IdentityRefused } from '../contract/refusal.ts';

export type Lifetime = Readonly<{ createdSec: number; expiresSec: number }>;
export type FreshnessRules = Readonly<{ toleranceSec: number; maxLifetimeSec: number }>;

/**
 * Checks that a signature is valid at `nowSec`, with the tolerance on both sides. The verifier also limits the
 * lifetime, so that a signer with a broken clock or configuration cannot issue signatures that last for a year.
 *
 * @throws IdentityRefused `lifetime_invalid`, `created_in_future` or `expired`.
 */
export function assertFresh(life: Lifetime, nowSec: number, rules: FreshnessRules): void {
  const lifetimeSec = life.expiresSec - life.createdSec;
  if (lifetimeSec <= 0 || lifetimeSec > rules.maxLifetimeSec) throw new IdentityRefused('lifetime_invalid');
  if (life.createdSec > nowSec + rules.toleranceSec) throw new IdentityRefused('created_in_future');
  if (nowSec > lastAcceptedSec(life, rules)) throw new IdentityRefused('expired');
}

/** The last second, by the verifier's clock, in which it accepts a signature. */
function lastAcceptedSec(life: Lifetime, rules: FreshnessRules): number {
  return life.expiresSec + rules.toleranceSec;
}

/**
 * The last second, by the claiming verifier's clock, in which a nonce must be remembered.
 *
 * Instances that share a store accept until second `expires + tolerance` of their own clocks. Each clock may differ
 * from the gateway's by `tolerance`, so two instances may differ by `2 * tolerance`. For example, if the claiming clock
 * is 5 s ahead and another is 5 s behind, the other instance accepts until the claiming clock shows `expires + 5 + 10`.
 */
export function nonceKeepUntilSec(life: Lifetime, rules: FreshnessRules): number {
  return lastAcceptedSec(life, rules) + 2 * rules.toleranceSec;
}
