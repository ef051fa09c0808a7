import { IdentityRefused } from './refusal.ts';

export type Lifetime = Readonly<{ createdSec: number; expiresSec: number }>;
export type FreshnessRules = Readonly<{ toleranceSec: number; maxLifetimeSec: number }>;

/**
 * Whether a signature is alive at `nowSec`, within the tolerance on both sides. How long it may live is the verifier's to say too:
 * a signer with a broken clock or configuration must not make signatures for a year.
 *
 * @throws IdentityRefused
 */
export function assertFresh(life: Lifetime, nowSec: number, rules: FreshnessRules): void {
  const lifetimeSec = life.expiresSec - life.createdSec;
  if (lifetimeSec <= 0 || lifetimeSec > rules.maxLifetimeSec) throw new IdentityRefused('lifetime_invalid');
  if (life.createdSec > nowSec + rules.toleranceSec) throw new IdentityRefused('created_in_future');
  if (nowSec > lastSecond(life, rules)) throw new IdentityRefused('expired');
}

/** The last second in which a signature is accepted, and so the last in which its nonce must be remembered. */
export function lastSecond(life: Lifetime, rules: FreshnessRules): number {
  return life.expiresSec + rules.toleranceSec;
}
