import { setTimeout as delay } from 'node:timers/promises';
import type { Child } from './child.ts';

/** A running process that can be stopped. */
export type Running = Readonly<{
  /** Resolves once the process has ended. */
  stop(): Promise<void>;
  kill(): void;
}>;

const firstWaitMs = 1_000;
const longestWaitMs = 30_000;
// A process that ran this long is not crash-looping.
const steadyMs = 60_000;

/**
 * Restarts a process whenever it exits, with a growing delay while it keeps exiting. The other processes stay up: the
 * gateway verifies tokens without the auth-service, and a missing service is a 502 only on its own routes.
 *
 * @param startAgain Starts the same process again.
 * @param say Called before each restart, with the delay.
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
