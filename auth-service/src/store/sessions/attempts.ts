/** A counter key, and its window, which starts with the first attempt. */
export type Counted = Readonly<{ key: string; windowSec: number }>;

/** The count of a key in its current window, and the time until the window ends. */
export type Count = Readonly<{ count: number; resetsInSec: number }>;

/** Counts attempts; each operation is atomic, so that parallel guesses are all counted (GHSA-7h8m-vrxx-vr4m). */
export type Attempts = Readonly<{
  /**
   * Increments each counter.
   *
   * @returns The counts, in the same order.
   */
  add(limits: readonly Counted[]): Promise<readonly Count[]>;
  /** Takes back an attempt that was not a guess. */
  takeBack(limits: readonly Counted[]): Promise<void>;
  clear(counted: Counted): Promise<void>;
}>;
