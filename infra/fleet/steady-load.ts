import { setTimeout as delay } from 'node:timers/promises';

/** A response, or the error code of a failed connection. Times are milliseconds since the load began. */
export type Outcome = Readonly<{ sentMs: number; endedMs: number; result: string }>;

export type SteadyLoad = Readonly<{
  nowMs(): number;
  outcomes: readonly Outcome[];
  stop(): Promise<void>;
}>;

/**
 * Sends requests at a constant rate, without waiting for earlier responses.
 *
 * @param ask Sends a request and returns a name for its result, such as `200` or `503 upstream_circuit_open`.
 */
export function steadyLoad(perSecond: number, ask: () => Promise<string>): SteadyLoad {
  const began = performance.now();
  const nowMs = () => performance.now() - began;
  const outcomes: Outcome[] = [];
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
    outcomes,
    async stop() {
      isOver = true;
      await running;
      await Promise.all(open);
    },
  };
}
