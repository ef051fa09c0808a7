import { type Dispatcher, get } from '@countersign/http1-client';
import type { Upstream } from '../../config/config.ts';

export type HealthChecksOptions = Readonly<{
  /** Each check opens a connection of its own. */
  openSingleUse(timeoutMs: number): Dispatcher;
  rules: NonNullable<Upstream['health']>;
  /** Called after every check. `reason` is a status or an error code; undefined if healthy. */
  onChecked(reason: string | undefined): void;
  /** Whether requests are refused until a check passes. Then checks run more often. */
  isUrgent(): boolean;
  /** From 0 to 1. */
  random(): number;
}>;

export type HealthChecks = Readonly<{
  /** Runs the next check now, unless one is running. */
  checkNow(): void;
  stop(): Promise<void>;
}>;

/** Interval of urgent checks; the configured interval if that is shorter. */
const urgentIntervalMs = 300;

// The body does not matter. It is read so that the connection can close normally.
const maxBodyBytes = 16 * 1024;

/**
 * Checks the health of a target at intervals. Each check opens a connection of its own: it never queues behind
 * requests, and shows that the target still accepts connections. Checks are not signed, because services serve their
 * health path without identity.
 */
export function startHealthChecks(options: HealthChecksOptions): HealthChecks {
  const { rules, onChecked, isUrgent, random } = options;
  const { timeoutMs } = rules;
  const pool = options.openSingleUse(timeoutMs);
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  async function check(): Promise<void> {
    timer = undefined;
    const reason = await ask();
    if (stopped.signal.aborted) return;
    onChecked(reason);
    // Spreads the checks of gateways that started at the same time.
    const intervalMs = isUrgent() ? Math.min(rules.intervalMs, urgentIntervalMs) : rules.intervalMs;
    schedule(intervalMs * (0.9 + 0.2 * random()));
  }

  async function ask(): Promise<string | undefined> {
    try {
      const { status } = await get(pool, rules.path, {
        headers: ['user-agent', 'countersign-health'],
        maxBodyBytes,
        largerBody: 'cut',
        timeoutMs,
        signal: stopped.signal,
      });
      return status >= 200 && status < 300 ? undefined : `status ${status}`;
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === 'UPSTREAM_HEAD_TIMEOUT' || code === 'UPSTREAM_BODY_TIMEOUT') return 'no response in time';
      return typeof code === 'string' ? code : 'no response';
    }
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => void check(), ms).unref();
  }

  // Starts soon, at a random moment.
  schedule(Math.min(rules.intervalMs, 1_000) * random());
  return {
    checkNow() {
      if (timer === undefined) return;
      clearTimeout(timer);
      void check();
    },
    async stop() {
      clearTimeout(timer);
      stopped.abort();
      await pool.destroy();
    },
  };
}
