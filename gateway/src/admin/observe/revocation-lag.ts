/** How long revocations of one issuer took to come into force. */
type Lag = Readonly<{ last_ms: number; max_ms: number; count: number; last_at: string }>;

/** The lags of all issuers, by name, since the process started. Revocations of a first snapshot have none. */
export class RevocationLag {
  readonly #byIssuer = new Map<string, Lag>();

  add(issuer: string, lagMs: number, nowMs: number): void {
    const { count = 0, max_ms = 0 } = this.#byIssuer.get(issuer) ?? {};
    const last = { last_ms: lagMs, last_at: new Date(nowMs).toISOString() };
    this.#byIssuer.set(issuer, { ...last, max_ms: Math.max(max_ms, lagMs), count: count + 1 });
  }

  of(issuer: string): Lag | undefined {
    return this.#byIssuer.get(issuer);
  }
}
