import { Client } from 'undici';
import type { Upstream } from '../../config/config.ts';
import type { Connect } from './connector.ts';

export type HealthChecksOptions = Readonly<{
  origin: string;
  rules: NonNullable<Upstream['health']>;
  connect: Connect;
  /** Told after every check. `reason` is a status or the code of an error; undefined: it is healthy. */
  onChecked(reason: string | undefined): void;
  /** Requests are refused until a check passes: checks follow one another quickly. */
  isUrgent(): boolean;
  /** From 0 to 1. */
  random(): number;
}>;

export type HealthChecks = Readonly<{
  /** Makes the next check at once, unless one is under way. */
  hurry(): void;
  stop(): Promise<void>;
}>;

/** Between two checks while they are urgent; less where the configured interval is shorter. */
const urgentIntervalMs = 300;

// An answer's body says nothing here, and is read only so far that the connection can end in order.
const mostBody = 16 * 1024;

/**
 * Asks a target again and again whether it is healthy. Each check has a connection of its own, so that none waits behind the
 * requests it is about, and says also that connections are still taken. Not signed: services answer their health path to anybody.
 */
export function startHealthChecks(options: HealthChecksOptions): HealthChecks {
  const { origin, rules, connect, onChecked, isUrgent, random } = options;
  const client = new Client(origin, {
    connect,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  async function check(): Promise<void> {
    timer = undefined;
    const reason = await ask();
    if (stopped.signal.aborted) return;
    onChecked(reason);
    // Gateways that started together would otherwise all ask in the same moment for ever.
    const intervalMs = isUrgent() ? Math.min(rules.intervalMs, urgentIntervalMs) : rules.intervalMs;
    schedule(intervalMs * (0.9 + 0.2 * random()));
  }

  async function ask(): Promise<string | undefined> {
    try {
      const { statusCode, body } = await client.request({
        method: 'GET',
        path: rules.path,
        headers: ['user-agent', 'countersign-health'],
        reset: true,
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(rules.timeoutMs)]),
      });
      await body.dump({ limit: mostBody });
      return statusCode >= 200 && statusCode < 300 ? undefined : `status ${statusCode}`;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'TimeoutError') return 'no answer in time';
      const { code } = error as { code?: unknown };
      return typeof code === 'string' ? code : 'no answer';
    }
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => void check(), ms).unref();
  }

  // At once, and not all at the same time.
  schedule(Math.min(rules.intervalMs, 1_000) * random());
  return {
    hurry() {
      if (timer === undefined) return;
      clearTimeout(timer);
      void check();
    },
    async stop() {
      clearTimeout(timer);
      stopped.abort();
      await client.destroy();
    },
  };
}
