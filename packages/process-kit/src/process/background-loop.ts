import { setTimeout as delay } from 'node:timers/promises';

export type BackgroundLoop = Readonly<ReturnType<typeof startBackgroundLoop>>;

type BackgroundLoopOptions = Readonly<{
  /** Does the work that is due, and returns the milliseconds until the next run. */
  run: (stopped: AbortSignal) => Promise<number>;
  /** Called when a run fails. The next run starts after `afterFailureMs`. */
  onError: (error: unknown) => void;
  afterFailureMs?: number;
}>;

/** Repeats background work until it is stopped. Runs never overlap. */
export function startBackgroundLoop({ run, onError, afterFailureMs = 2_000 }: BackgroundLoopOptions) {
  const stopped = new AbortController();
  let isWoken = false;
  let sleep = new AbortController();

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      isWoken = false;
      const waitMs = await run(stopped.signal).catch((error: unknown) => {
        onError(error);
        return afterFailureMs;
      });
      if (isWoken || stopped.signal.aborted) continue;
      sleep = new AbortController();
      await delay(waitMs, undefined, { signal: sleep.signal }).catch(() => {});
    }
  }

  const ended = loop();
  const wake = () => {
    isWoken = true;
    sleep.abort();
  };
  return {
    /** Starts the next run immediately, or right after the current one. */
    wake,
    /** Starts no more runs. Resolves when the current run has ended. */
    async stop() {
      stopped.abort();
      wake();
      await ended;
    },
  };
}
