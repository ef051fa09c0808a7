/** A counter key, and its window from the first attempt on. */
export type Counted = Readonly<{ key: string; windowSec: number }>;

/** How often a key was counted in its present window, and when that ends. */
export type Count = Readonly<{ count: number; resetsInSec: number }>;

/** Counts attempts; each operation is atomic, so that parallel guesses are all counted (GHSA-7h8m-vrxx-vr4m). */
export type Attempts = Readonly<{
  /** Counts one on each. @returns The counts, in the same order. */
  add(limits: readonly Counted[]): Promise<readonly Count[]>;
  /** Takes one back that turned out not to be a guess. */
  takeBack(limits: readonly Counted[]): Promise<void>;
  clear(counted: Counted): Promise<void>;
}>;
