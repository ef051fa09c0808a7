export type Rounds = Readonly<{
  /** Starts the next round at once, or right after the one under way. */
  wake(): void;
  /** Starts no more rounds. Resolves when the one under way has ended. */
  stop(): Promise<void>;
}>;

export type RoundsOptions = Readonly<{
  /** Does the work that is due. `stopped` aborts when the process stops. Returns the milliseconds until something is due again. */
  round: (stopped: AbortSignal) => Promise<number>;
  /** Called with the error of a failed round. The next one follows after `afterFailureMs`. */
  onError: (error: unknown) => void;
  afterFailureMs?: number;
}>;

/** Runs background work in rounds, one at a time, until it is stopped. */
export function startRounds({ round, onError, afterFailureMs = 2_000 }: RoundsOptions): Rounds {
  const stopped = new AbortController();
  let isWoken = false;
  let wakeUp = () => {};

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      isWoken = false;
      const waitMs = await round(stopped.signal).catch((error: unknown) => {
        onError(error);
        return afterFailureMs;
      });
      if (isWoken || stopped.signal.aborted) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  const ended = run();
  const wake = () => {
    isWoken = true;
    wakeUp();
  };
  return {
    wake,
    async stop() {
      stopped.abort();
      wake();
      await ended;
    },
  };
}
