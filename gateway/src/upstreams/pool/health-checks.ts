import { type Dispatcher, get } from '@countersign/http1-client';
import type { Upstream } from '../../config/config.ts';
import { noAnswerReason, Poll } from './poll.ts';

type HealthChecksOptions = Readonly<{
  /** Each check opens a connection of its own. */
  pool: Dispatcher;
  rules: NonNullable<Upstream['health']>;
  /** Called after every check. `reason` is a status or an error code; undefined if healthy. */
  onChecked(reason: string | undefined): void;
  /** Whether requests are refused until a check passes. Then checks run more often. */
  isUrgent(): boolean;
  /** From 0 to 1. */
  random(): number;
}>;

/** Interval of urgent checks; the configured interval if that is shorter. */
const urgentIntervalMs = 300;

// The body does not matter. It is read so that the connection can close normally.
const maxBodyBytes = 16 * 1024;

/**
 * Checks the health of a target at intervals. Checks are not signed, because services serve their health path without
 * identity.
 */
export function createHealthChecks(options: HealthChecksOptions): Poll<string | undefined> {
  const { rules, pool, random, onChecked, isUrgent } = options;
  return new Poll({
    pool,
    random,
    ask: (stopped) => checkOnce(pool, rules, stopped),
    onAnswer(reason) {
      onChecked(reason);
      return isUrgent() ? Math.min(rules.intervalMs, urgentIntervalMs) : rules.intervalMs;
    },
  });
}

async function checkOnce(
  pool: Dispatcher,
  { path, timeoutMs }: HealthChecksOptions['rules'],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const headers = ['user-agent', 'countersign-health'];
    const { status } = await get(pool, path, { headers, maxBodyBytes, largerBody: 'cut', timeoutMs, signal });
    return status >= 200 && status < 300 ? undefined : `status ${status}`;
  } catch (error) {
    return noAnswerReason(error);
  }
}
