import { countRows, notify, type OutboxRows, outboxRows } from '@countersign/database';
import type { OutboxDepth } from '@countersign/service-kit';
import { sql } from 'kysely';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import { type OutboxTopic, outboxTopics } from '../schema.ts';
import type { Trx } from '../scope.ts';

export const outboxChannel = 'countersign_auth_outbox';

export type NewDelivery = Readonly<{
  topic: OutboxTopic;
  /** Deliveries with the same key are sent in order. */
  key: string;
  /** JSON without secrets. */
  payload: unknown;
}>;

/** Queues a delivery, which any instance can send after this transaction commits. */
export async function addToOutbox(trx: Trx, { topic, key, payload }: NewDelivery): Promise<void> {
  await trx
    .insertInto('outbox')
    .values({ topic, ordering_key: key, payload: JSON.stringify(payload) })
    .execute();
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
