/** A counter's key and window. The window begins with the first attempt. */
export type Counted = Readonly<{ key: string; windowSec: number }>;

/** A counter's count in the current window, and the time until the window ends. */
export type Count = Readonly<{ count: number; resetsInSec: number }>;

/** Counts attempts. Each operation is atomic, so that parallel guesses all count (GHSA-7h8m-vrxx-vr4m). */
export type Attempts = Readonly<{
  /** Increments the counters. @returns The counts in the same order. */
  add(limits: readonly Counted[]): Promise<readonly Count[]>;
  /** Takes back an attempt that was not a guess. */
  takeBack(limits: readonly Counted[]): Promise<void>;
  clear(counted: Counted): Promise<void>;
}>;
