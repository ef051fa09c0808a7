import { setTimeout as delay } from 'node:timers/promises';

/** One response, or the code of a connection that failed. Times are milliseconds since the load began. */
export type Outcome<Result = string> = Readonly<{ sentMs: number; endedMs: number; result: Result }>;

/**
 * Sends requests at a constant rate, without waiting for earlier responses.
 *
 * @param ask Sends a request and returns a name for its result, such as `200` or `503 upstream_circuit_open`.
 */
export function steadyLoad<Result>(perSecond: number, ask: () => Promise<Result>) {
  const began = performance.now();
  const nowMs = () => performance.now() - began;
  const outcomes: Outcome<Result>[] = [];
  const open = new Set<Promise<void>>();
  let isOver = false;
  async function one(): Promise<void> {
    const sentMs = nowMs();
    outcomes.push({ sentMs, result: await ask(), endedMs: nowMs() });
  }
  async function run(): Promise<void> {
    for (let count = 0; !isOver; count += 1) {
      const request = one().finally(() => open.delete(request));
      open.add(request);
      await delay(Math.max(0, ((count + 1) * 1000) / perSecond - nowMs()));
    }
  }
  const running = run();
  return {
    nowMs,
    outcomes: outcomes as readonly Outcome<Result>[],
    async stop() {
      isOver = true;
      await running;
      await Promise.all(open);
    },
  };
}
