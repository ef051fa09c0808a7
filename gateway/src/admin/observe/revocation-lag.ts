/** How long revocations of one issuer took to come into force. */
type Lag = Readonly<{ count: number; lastMs: number; maxMs: number; lastAtMs: number }>;

/** The lags of all issuers, by name, since the process started. Revocations of a first snapshot have none. */
export class RevocationLag {
  readonly #byIssuer = new Map<string, Lag>();

  add(issuer: string, lagMs: number, nowMs: number): void {
    const { count = 0, maxMs = 0 } = this.#byIssuer.get(issuer) ?? {};
    this.#byIssuer.set(issuer, {
      count: count + 1,
      lastMs: lagMs,
      maxMs: Math.max(maxMs, lagMs),
      lastAtMs: nowMs,
    });
  }

  of(issuer: string): Lag | undefined {
    return this.#byIssuer.get(issuer);
  }
}
