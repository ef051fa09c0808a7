/** What a start has opened so far, for closing in the opposite order: when the service stops, or when a later step fails. */
export class Opened {
  readonly #closers: (() => unknown)[] = [];

  /** @param close Ends what was just opened. */
  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** Closes everything, also what comes after a failure. @throws The first failure. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
