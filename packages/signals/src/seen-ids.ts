/**
 * The ids of the last tokens. A transmitter repeats a token until it is acknowledged, and a repeated one must change
 * nothing. The oldest ids are forgotten first; the times of events keep such a late repetition harmless.
 */
export class SeenIds {
  readonly #max: number;
  readonly #ids = new Map<string, string | undefined>();

  /** @param max Default: 100,000, about 10 MB. */
  constructor(max = 100_000) {
    this.#max = max;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Returns the digest that was added with the id. */
  contentOf(id: string): string | undefined {
    return this.#ids.get(id);
  }

  add(id: string, content?: string): void {
    this.#ids.set(id, content);
    const [oldest] = this.#ids.size > this.#max ? this.#ids.keys() : [];
    if (oldest !== undefined) this.#ids.delete(oldest);
  }
}
