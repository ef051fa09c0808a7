/** Answers whose clients have not read what is there for them. Each holds a connection to its service meanwhile. */
export type StalledAnswers = Readonly<{
  /** @param end Cuts it off. @returns Takes it off the list: its client reads on, or it is over. */
  add(end: () => void): () => void;
  /** Cuts off the one that has stalled longest, because somebody else needs its connection. One that stalls only now is left alone. */
  endOldest(): void;
}>;

// Far longer than a client stalls that takes an answer as fast as its line allows, which frees the buffers again and again.
const leftAloneMs = 1_000;

export function createStalledAnswers(monotonicMs: () => number): StalledAnswers {
  // In the order in which they stalled.
  const stalled = new Map<object, Readonly<{ end: () => void; sinceMs: number }>>();
  return {
    add(end) {
      const key = {};
      stalled.set(key, { end, sinceMs: monotonicMs() });
      return () => stalled.delete(key);
    },
    endOldest() {
      const [oldest] = stalled;
      if (oldest === undefined) return;
      const [key, { end, sinceMs }] = oldest;
      if (monotonicMs() - sinceMs < leftAloneMs) return;
      stalled.delete(key);
      end();
    },
  };
}
