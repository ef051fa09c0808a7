import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from './child.ts';

/** Something that runs, until it is told to stop. */
export type Running = Readonly<{
  /** Settles once it has ended. */
  stop(): Promise<void>;
  kill(): void;
}>;

const firstWaitMs = 1_000;
const longestWaitMs = 30_000;
// Who ran for so long is not dying over and over.
const steadyMs = 60_000;

/**
 * Starts a process again whenever it ends, ever later while it goes on ending. The others stay up meanwhile: tokens are verified without the
 * auth-service, and a service that is away is a 502 on its own routes only.
 *
 * @param startAgain Starts the same process once more.
 * @param say Told each time, with how long it waits.
 */
export function keep(
  first: Child,
  startAgain: () => Child,
  say: (how: string, child: Child, waitMs: number) => void,
): Running {
  const stopping = new AbortController();
  let child = first;

  async function watch(): Promise<void> {
    let waitMs = firstWaitMs;
    for (;;) {
      const startedAt = performance.now();
      const how = await child.ended;
      if (stopping.signal.aborted) return;
      waitMs = performance.now() - startedAt > steadyMs ? firstWaitMs : waitMs;
      say(how, child, waitMs);
      await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      waitMs = Math.min(waitMs * 2, longestWaitMs);
      child = startAgain();
    }
  }

  const over = watch();
  return {
    stop() {
      stopping.abort();
      child.stop();
      return over;
    },
    kill: () => child.kill(),
  };
}
