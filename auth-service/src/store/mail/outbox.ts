import { sql } from 'kysely';
import { databaseNow } from '../clock.ts';
import type { AuthDatabase } from '../database.ts';
import { roles } from '../roles.ts';
import type { OutboxTopic } from '../schema.ts';
import type { Trx } from '../scope.ts';

export const outboxChannel = 'countersign_auth_outbox';

export type NewDelivery = Readonly<{
  topic: OutboxTopic;
  /** Deliveries with the same key leave one after another, in the order in which they were added. */
  key: string;
  /** JSON; never a secret. */
  payload: unknown;
}>;

/** Queues a delivery. Any instance sends it after this transaction commits. */
export async function addToOutbox(trx: Trx, { topic, key, payload }: NewDelivery): Promise<void> {
  await trx
    .insertInto('outbox')
    .values({ topic, ordering_key: key, payload: JSON.stringify(payload) })
    .execute();
  await sql`select pg_notify(${outboxChannel}, '')`.execute(trx);
}

export type Delivery = Readonly<{
  /** Grows with every delivery of the same key. */
  seq: number;
  topic: OutboxTopic;
  payload: unknown;
  /** Number of attempts, including this one. */
  attempts: number;
}>;

const isFirstOfItsKey = sql<boolean>`not exists (select from outbox earlier
  where earlier.ordering_key = o.ordering_key and earlier.seq < o.seq and earlier.parked_at is null)`;

/**
 * Leases due deliveries of a topic for `leaseSec`. No other instance gets them until then, or as long as the lease is renewed.
 * Takes only the first delivery of each key, and skips rows that another instance is taking.
 */
export async function claimDeliveries(
  db: AuthDatabase,
  { topic, limit, leaseSec }: Readonly<{ topic: OutboxTopic; limit: number; leaseSec: number }>,
): Promise<Delivery[]> {
  const { rows } = await db.transaction({ role: roles.courier }, (trx) =>
    sql<Omit<Delivery, 'payload'> & { payload: string }>`
      update outbox set attempts = attempts + 1,
        leased_until = clock_timestamp() + make_interval(secs => ${leaseSec}::int)
      where seq in (
        select o.seq from outbox o
        where o.topic = ${topic} and o.parked_at is null and o.due_at <= clock_timestamp()
          and coalesce(o.leased_until <= clock_timestamp(), true)
          and ${isFirstOfItsKey}
        order by o.seq limit ${limit} for update skip locked)
      returning seq, topic, payload, attempts`.execute(trx),
  );
  return rows.map((row) => ({ ...row, payload: JSON.parse(row.payload) as unknown }));
}

/** Renews the leases of deliveries under way, except of those that another instance took after ours expired. */
export async function renewLeases(db: AuthDatabase, deliveries: readonly Delivery[], leaseSec: number): Promise<void> {
  await db.transaction({ role: roles.courier }, (trx) =>
    trx
      .updateTable('outbox')
      .set({ leased_until: sql<Date>`clock_timestamp() + make_interval(secs => ${leaseSec}::int)` })
      .where((eb) =>
        eb.or(deliveries.map(({ seq, attempts }) => eb.and([eb('seq', '=', seq), eb('attempts', '=', attempts)]))),
      )
      .where('leased_until', 'is not', null)
      .execute(),
  );
}

export async function deliveryDone(db: AuthDatabase, { seq }: Delivery): Promise<void> {
  await db.transaction({ role: roles.courier }, (trx) => trx.deleteFrom('outbox').where('seq', '=', seq).execute());
}

/** @param next Seconds until the retry; undefined parks the delivery, so that the next ones of its key are sent. */
export async function deliveryFailed(
  db: AuthDatabase,
  { seq, attempts }: Delivery,
  { error, retryInSec }: Readonly<{ error: string; retryInSec: number | undefined }>,
): Promise<void> {
  await db.transaction({ role: roles.courier }, (trx) =>
    trx
      .updateTable('outbox')
      .set({
        last_error: error,
        leased_until: null,
        ...(retryInSec === undefined
          ? { parked_at: sql<Date>`clock_timestamp()` }
          : { due_at: sql<Date>`clock_timestamp() + make_interval(secs => ${retryInSec}::int)` }),
      })
      .where('seq', '=', seq)
      // Keeps a newer lease that another instance took after ours expired.
      .where('attempts', '=', attempts)
      .execute(),
  );
}

/**
 * Milliseconds until the next unleased delivery of a topic is due; undefined when none waits. Counts only the first of each key:
 * later ones would seem due while the first waits for its retry.
 */
export async function nextDueMs(db: AuthDatabase, topic: OutboxTopic): Promise<number | undefined> {
  return db.transaction({ role: roles.courier }, async (trx) => {
    const { due } = await trx
      .selectFrom('outbox as o')
      .select(sql<Date | null>`min(greatest(o.due_at, coalesce(o.leased_until, o.due_at)))`.as('due'))
      .where('o.topic', '=', topic)
      .where('o.parked_at', 'is', null)
      .where(isFirstOfItsKey)
      .executeTakeFirstOrThrow();
    return due === null ? undefined : Math.max(0, due.getTime() - (await databaseNow(trx)).getTime());
  });
}

type OutboxDepth = Readonly<{ topic: OutboxTopic; waiting: number; parked: number; oldestSec: number }>;

/** Counts of waiting and parked deliveries, for the metrics. */
export async function outboxDepth(db: AuthDatabase): Promise<OutboxDepth[]> {
  return db.transaction({ role: roles.courier }, (trx) =>
    trx
      .selectFrom('outbox')
      .select([
        'topic',
        sql<number>`count(*) filter (where parked_at is null)::int`.as('waiting'),
        sql<number>`count(*) filter (where parked_at is not null)::int`.as('parked'),
        sql<number>`coalesce(extract(epoch from clock_timestamp() - min(created_at) filter (where parked_at is null)), 0)::float8`.as(
          'oldestSec',
        ),
      ])
      .groupBy('topic')
      .execute(),
  );
}
