import { countRows, insert, notify, type OutboxRows, outboxRows } from '@countersign/database';
import type { OutboxDepth } from '@countersign/process-kit';
import { sql } from 'kysely';
import { type OutboxTopic, outboxTopics } from '../schema.ts';
import { type AuthDatabase, roles, type Trx } from '../transaction.ts';

export const outboxChannel = 'countersign_auth_outbox';

/**
 * Queues a delivery, which any instance can send after this transaction commits. Deliveries with the same key are sent
 * in order.
 *
 * @param payload JSON without secrets.
 */
export async function addToOutbox(trx: Trx, topic: OutboxTopic, key: string, payload: unknown): Promise<void> {
  await insert(trx, 'outbox', { topic, ordering_key: key, payload: JSON.stringify(payload) });
  await notify(trx, outboxChannel);
}

export type Delivery = Readonly<{
  seq: number;
  topic: OutboxTopic;
  /** JSON. */
  payload: string;
  attempts: number;
}>;

/** The deliveries of a topic. Only the first delivery for each key can be leased. */
export function outboxOf(db: AuthDatabase, topic: OutboxTopic): OutboxRows<Delivery> {
  return outboxRows({
    db,
    role: roles.courier,
    topic,
    table: 'outbox',
    key: ['seq'],
    waits: sql`o.topic = ${topic} and o.parked_at is null`,
    isNext: sql`not exists (select from outbox earlier
      where earlier.ordering_key = o.ordering_key and earlier.seq < o.seq and earlier.parked_at is null)`,
    order: sql`o.seq`,
    since: 'created_at',
  });
}

/** Counts waiting and parked deliveries for the metrics. */
export function outboxDepth(db: AuthDatabase): Promise<(OutboxDepth & Readonly<{ parked: number }>)[]> {
  return Promise.all(
    outboxTopics.map(async (topic) => {
      const { count: parked } = await db.transaction({ role: roles.courier }, (trx) =>
        trx
          .selectFrom('outbox')
          .select(countRows)
          .where('topic', '=', topic)
          .where('parked_at', 'is not', null)
          .executeTakeFirstOrThrow(),
      );
      return { parked, ...(await outboxOf(db, topic).depth()) };
    }),
  );
}
