/** A ring of fixed size. Slots start at multiples of `stepMs`, so that those of several processes line up. */
export class TimeSlots {
  readonly stepMs: number;
  readonly length: number;
  readonly #columns: number;
  readonly #counts: Int32Array;
  #last: number | undefined;

  constructor({ stepMs, length, columns }: Readonly<{ stepMs: number; length: number; columns: number }>) {
    this.stepMs = stepMs;
    this.length = length;
    this.#columns = columns;
    this.#counts = new Int32Array(length * columns);
  }

  add(nowMs: number, column: number, count: number): void {
    const at = this.#advance(nowMs) * this.#columns + column;
    this.#counts[at] = (this.#counts[at] ?? 0) + count;
  }

  /** Each column from the oldest slot to the current one, which is not complete yet. */
  read(nowMs: number): Readonly<{ startMs: number; columns: number[][] }> {
    this.#advance(nowMs);
    const newest = this.#last ?? 0;
    const oldest = newest - this.length + 1;
    const columns = Array.from({ length: this.#columns }, (_, column) =>
      Array.from({ length: this.length }, (__, step) => this.#at(oldest + step, column)),
    );
    return { startMs: oldest * this.stepMs, columns };
  }

  #at(slot: number, column: number): number {
    return this.#counts[(((slot % this.length) + this.length) % this.length) * this.#columns + column] ?? 0;
  }

  /** Clears the slots that have passed. Returns the index of the current one. */
  #advance(nowMs: number): number {
    const slot = Math.floor(nowMs / this.stepMs);
    // If the clock is set back, counts go into the newest slot.
    const last = this.#last ?? slot;
    for (let passing = Math.max(last + 1, slot - this.length + 1); passing <= slot; passing += 1) {
      const start = (passing % this.length) * this.#columns;
      this.#counts.fill(0, start, start + this.#columns);
    }
    this.#last = Math.max(last, slot);
    return this.#last % this.length;
  }
}
