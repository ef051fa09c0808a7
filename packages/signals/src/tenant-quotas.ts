const defaultMaxPerTenant = 100_000;
const maxTenants = 10_000;
/** The share of memory that is kept for tenants with few entries, and for the one entry of a collapsed tenant. */
const reservedShare = 1 / 64;

export type TenantQuotasOptions = Readonly<{
  /** The longest lifetime of a token, after which an entry is removed. */
  lifetimeMs: number;
  /** How many entries memory holds, of all tenants. */
  maxHeld: number;
  /** How many entries one tenant may have. Default: 100,000. */
  maxPerTenant?: number | undefined;
}>;

/**
 * Counts the entries of each tenant, so that one tenant's mass deletion does not fill the memory for all.
 *
 * A tenant may have at most `maxPerTenant` entries, and at most as many as there is free memory for. So when memory
 * fills up, the largest tenants reach their limit first, and others still find memory. A count starts over after the
 * longest lifetime of a token, when its first entries have expired.
 */
export class TenantQuotas {
  readonly #lifetimeMs: number;
  readonly #maxPerTenant: number;
  readonly #usable: number;
  readonly #counts = new Map<string, { entries: number; sinceMs: number }>();

  constructor({ lifetimeMs, maxHeld, maxPerTenant = defaultMaxPerTenant }: TenantQuotasOptions) {
    this.#lifetimeMs = lifetimeMs;
    this.#maxPerTenant = maxPerTenant;
    this.#usable = Math.floor(maxHeld * (1 - reservedShare));
  }

  /**
   * Whether the tenant may have another entry. If not, its tokens end together.
   *
   * @param held The number of entries of all tenants, and of users whose tenant is unknown.
   */
  allows(tenantId: string, held: number, nowMs: number): boolean {
    const limit = Math.min(this.#maxPerTenant, Math.max(1, this.#usable - held));
    return (this.#current(tenantId, nowMs)?.entries ?? 0) < limit;
  }

  /** Counts an entry of the tenant. */
  add(tenantId: string, nowMs: number): void {
    const count = this.#current(tenantId, nowMs) ?? { entries: 0, sinceMs: nowMs };
    count.entries += 1;
    // Keeps the tenants in the order of their last entry.
    this.#counts.delete(tenantId);
    this.#counts.set(tenantId, count);
    const [oldest] = this.#counts.size > maxTenants ? this.#counts.keys() : [];
    if (oldest !== undefined) this.#counts.delete(oldest);
  }

  #current(tenantId: string, nowMs: number) {
    const count = this.#counts.get(tenantId);
    return count !== undefined && nowMs <= count.sinceMs + this.#lifetimeMs ? count : undefined;
  }
}
