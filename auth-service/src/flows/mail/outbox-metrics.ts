import type { Registry } from '@countersign/service-kit';
import { Counter, Gauge } from 'prom-client';
import type { AuthDatabase } from '../../store/database.ts';
import { type OutboxDepth, outboxDepth } from '../../store/mail/outbox.ts';
import type { CourierParts } from './deliver.ts';

/** Counts deliveries, and reports the depth of the outbox. @returns The observer to call for each delivery. */
export function outboxMetrics(registry: Registry, db: AuthDatabase): NonNullable<CourierParts['onResult']> {
  const registers = [registry];
  const deliveries = new Counter({
    name: 'auth_outbox_deliveries_total',
    help: 'Deliveries out of the outbox, by what became of them: delivered, retried, parked (given up).',
    labelNames: ['topic', 'result'],
    registers,
  });
  const depth = sharedRead(() => outboxDepth(db));
  const gauge = (name: string, help: string, measure: (depth: OutboxDepth) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['topic'],
      registers,
      async collect() {
        this.reset();
        for (const each of await depth()) this.set({ topic: each.topic }, measure(each));
      },
    });
  gauge('auth_outbox_waiting', 'Deliveries that wait to be sent.', ({ waiting }) => waiting);
  gauge('auth_outbox_parked', 'Mails that were given up and are kept for 30 days.', ({ parked }) => parked);
  gauge('auth_outbox_oldest_seconds', 'How long the oldest delivery has waited.', ({ oldestSec }) => oldestSec);
  return (topic, result) => deliveries.inc({ topic, result });
}

/** Shares one read among concurrent callers. */
function sharedRead<T>(read: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => {
    underWay ??= read().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
