/** Counts entries until they expire, to the minute. */
export class LiveEntries {
  readonly #byMinute = new Map<number, number>();
  #sweptMinute = 0;
  #count = 0;

  add(expiresAtMs: number): void {
    const minute = Math.ceil(expiresAtMs / 60_000);
    this.#byMinute.set(minute, (this.#byMinute.get(minute) ?? 0) + 1);
    this.#count += 1;
  }

  count(nowMs: number): number {
    const now = Math.floor(nowMs / 60_000);
    if (now !== this.#sweptMinute) {
      this.#sweptMinute = now;
      for (const [minute, entries] of this.#byMinute)
        if (minute < now && this.#byMinute.delete(minute)) this.#count -= entries;
    }
    return this.#count;
  }
}
