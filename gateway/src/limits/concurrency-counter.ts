/** Counts what is open now: WebSockets by user, or streamed bodies by address. Each process counts its own. */
export type ConcurrencyCounter = Readonly<{
  /** @returns A function that releases the place; calling it twice is harmless. Undefined if `max` are open. */
  take(key: string, max: number): (() => void) | undefined;
}>;

export function createConcurrencyCounter(): ConcurrencyCounter {
  const open = new Map<string, number>();
  return {
    take(key, max) {
      const count = open.get(key) ?? 0;
      if (count >= max) return undefined;
      open.set(key, count + 1);
      return once(() => {
        const left = (open.get(key) ?? 1) - 1;
        if (left === 0) open.delete(key);
        else open.set(key, left);
      });
    },
  };
}

/** @returns A function that calls `release` the first time only. */
function once(release: () => void): () => void {
  let isReleased = false;
  return () => {
    if (!isReleased) release();
    isReleased = true;
  };
}
