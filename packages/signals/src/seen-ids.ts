/**
 * The ids of the last tokens. A transmitter repeats a token until it is acknowledged, and a repeated one must change
 * nothing. The oldest ids are forgotten first; the times of events keep such a late repetition harmless.
 */
export class SeenIds {
  readonly #max: number;
  readonly #ids = new Set<string>();

  /** @param max Default: 100,000, about 10 MB. */
  constructor(max = 100_000) {
    this.#max = max;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
    const [oldest] = this.#ids.size > this.#max ? this.#ids : [];
    if (oldest !== undefined) this.#ids.delete(oldest);
  }
}
