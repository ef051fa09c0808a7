/** How many entries one tenant may have before its events are collapsed into one. */
const maxEntriesPerTenant = 100_000;
const maxTenants = 10_000;

/**
 * Counts the entries of each tenant, so that one tenant's mass deletion does not fill the memory for all. A count starts
 * over after the longest lifetime of a token, when its first entries have expired.
 */
export class TenantQuotas {
  readonly #lifetimeMs: number;
  readonly #max: number;
  readonly #counts = new Map<string, { entries: number; sinceMs: number }>();

  constructor(lifetimeMs: number, max = maxEntriesPerTenant) {
    this.#lifetimeMs = lifetimeMs;
    this.#max = max;
  }

  /** @returns Whether the tenant may have another entry. If not, its tokens end together. */
  take(tenantId: string, nowMs: number): boolean {
    let count = this.#counts.get(tenantId);
    if (count === undefined || nowMs > count.sinceMs + this.#lifetimeMs) {
      count = { entries: 0, sinceMs: nowMs };
      this.#counts.delete(tenantId);
      this.#counts.set(tenantId, count);
      const [oldest] = this.#counts.size > maxTenants ? this.#counts.keys() : [];
      if (oldest !== undefined) this.#counts.delete(oldest);
    }
    count.entries += 1;
    return count.entries <= this.#max;
  }
}
