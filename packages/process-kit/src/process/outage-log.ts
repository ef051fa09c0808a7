/** Decides which of several consecutive failures to log. */
export type OutageLog = Readonly<ReturnType<typeof createOutageLog>>;

const startUpMs = 10_000;
const repeatMs = 60_000;

/**
 * Logs the first failure as a warning if the part has worked before, and otherwise at level info. Logs a lasting outage
 * as a warning after 10 s, then once a minute, regardless of retries.
 */
export function createOutageLog(nowMs: () => number) {
  let nextAtMs: number | undefined;
  return {
    /**
     * @param hasWorked Whether the part has worked before. At startup, the other service may still be starting.
     * @returns The log level. Undefined to log nothing.
     */
    failed(hasWorked: boolean): 'info' | 'warn' | undefined {
      if (nextAtMs === undefined) {
        nextAtMs = nowMs() + startUpMs;
        return hasWorked ? 'warn' : 'info';
      }
      if (nowMs() < nextAtMs) return undefined;
      nextAtMs = nowMs() + repeatMs;
      return 'warn';
    },
    recovered(): void {
      nextAtMs = undefined;
    },
  };
}
