import { Counter, Gauge, type Registry } from 'prom-client';
import type { Logger } from './logger.ts';
import { createOutageLog } from './outage-log.ts';
import { withTimeout } from './with-timeout.ts';

export type OutboxDepth = Readonly<{ topic: string; waiting: number; oldestSec: number }>;

export type OutboxMetricsOptions<Depth extends OutboxDepth> = Readonly<{
  /** The prefix of each name, such as `auth_outbox`. */
  name: string;
  /** The delivery results, for the help text. */
  results: string;
  /** Read at each scrape. A missing topic has no series, and no topic has one if this fails or takes over 2 s. */
  depth: () => Promise<readonly Depth[]>;
  logger: Logger;
  /** Additional gauges of this outbox, by name suffix. */
  gauges?: Readonly<Record<string, Readonly<{ help: string; measure: (depth: Depth) => number }>>>;
}>;

/** Counts deliveries from an outbox, and reports waiting ones. @returns A function that counts deliveries. */
export function outboxMetrics<Depth extends OutboxDepth>(
  registry: Registry,
  { name, results, depth, logger, gauges = {} }: OutboxMetricsOptions<Depth>,
): (topic: Depth['topic'], result: string, count?: number) => void {
  const registers = [registry];
  const deliveries = new Counter({
    name: `${name}_deliveries_total`,
    help: `Deliveries from the outbox, by result: ${results}.`,
    labelNames: ['topic', 'result'],
    registers,
  });
  const shared = sharedRead(depth, logger);
  const all: NonNullable<typeof gauges> = {
    waiting: { help: 'Deliveries waiting to be sent.', measure: ({ waiting }) => waiting },
    ...gauges,
    oldest_seconds: { help: 'How long the oldest delivery has been waiting.', measure: ({ oldestSec }) => oldestSec },
  };
  for (const [end, { help, measure }] of Object.entries(all)) {
    new Gauge({
      name: `${name}_${end}`,
      help,
      labelNames: ['topic'],
      registers,
      async collect() {
        this.reset();
        for (const each of await shared()) this.set({ topic: each.topic }, measure(each));
      },
    });
  }
  return (topic, result, count = 1) => deliveries.inc({ topic, result }, count);
}

/** Shares a read among concurrent callers. Without its result, a scrape must still have the other metrics. */
function sharedRead<T>(read: () => Promise<readonly T[]>, logger: Logger): () => Promise<readonly T[]> {
  const outages = createOutageLog(() => performance.now());
  let underWay: Promise<readonly T[]> | undefined;
  return async () => {
    underWay ??= read().finally(() => {
      underWay = undefined;
    });
    try {
      const rows = await withTimeout(underWay, 2_000);
      outages.recovered();
      return rows;
    } catch (error) {
      const level = outages.failed(true);
      if (level !== undefined) logger[level]({ err: error }, 'cannot read the outbox for its metrics');
      return [];
    }
  };
}
