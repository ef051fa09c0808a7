export type BackgroundLoop = Readonly<{
  /** Starts the next run immediately, or right after the current one. */
  wake(): void;
  /** Starts no more runs. Resolves when the current run has ended. */
  stop(): Promise<void>;
}>;

export type BackgroundLoopOptions = Readonly<{
  /**
   * Does the work that is due. `stopped` aborts when the process stops. Returns the milliseconds until the next run.
   */
  run: (stopped: AbortSignal) => Promise<number>;
  /** Called when a run fails. The next run starts after `afterFailureMs`. */
  onError: (error: unknown) => void;
  afterFailureMs?: number;
}>;

/** Repeats background work until it is stopped. Runs never overlap. */
export function startBackgroundLoop({ run, onError, afterFailureMs = 2_000 }: BackgroundLoopOptions): BackgroundLoop {
  const stopped = new AbortController();
  let isWoken = false;
  let wakeUp = () => {};

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      isWoken = false;
      const waitMs = await run(stopped.signal).catch((error: unknown) => {
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

  const ended = loop();
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
