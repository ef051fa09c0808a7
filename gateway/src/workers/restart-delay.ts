/** When a worker that ended is started again. */
export type RestartDelay = Readonly<{
  /** @param livedMs How long the one that ended had lived. @returns How long to wait, in milliseconds. */
  after(livedMs: number): number;
}>;

const firstMs = 250;
const lastMs = 30_000;
const steadyMs = 60_000;

/** Twice as long each time, up to 30 s, so that what ends at once does not take the processor; from the beginning after a minute of life. */
export function createRestartDelay(): RestartDelay {
  let nextMs = firstMs;
  return {
    after(livedMs) {
      if (livedMs >= steadyMs) nextMs = firstMs;
      const delayMs = nextMs;
      nextMs = Math.min(lastMs, nextMs * 2);
      return delayMs;
    },
  };
}
