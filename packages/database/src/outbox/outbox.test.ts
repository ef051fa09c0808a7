import { capturingLogger, databases, eventually, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { rowSecurity } from '../row-security.ts';
import { startCourier } from './courier.ts';
import { deliveries } from './delivery.ts';
import { outboxRows } from './outbox-rows.ts';

type Row = Readonly<{ id: number; tenant_id: string; attempts: number }>;
type Stored = Row & Readonly<{ leased_until: Date | null; last_error: string | null; due: boolean }>;

const role = 'countersign_outboxtest_courier';
const channel = 'countersign_outboxtest';
const outbox = {
  login: 'countersign_outboxtest',
  roles: [role],
  migrations: [
    {
      name: '0001-letters',
      statements: [
        `create table letters (
           id integer primary key,
           tenant_id text not null,
           attempts integer not null default 0,
           due_at timestamptz not null default clock_timestamp(),
           leased_until timestamptz,
           last_error text,
           added_at timestamptz not null default clock_timestamp())`,
        ...rowSecurity('letters'),
        `grant all on letters to ${role}`,
        `create policy courier on letters to ${role} using (true)`,
      ],
    },
  ],
};

describe.each(databases())('an outbox on %s', (_kind, database) => {
  let made: ThrowAway<unknown>;
  beforeAll(async () => {
    made = await database.open(outbox);
  });
  afterAll(() => made.close());
  beforeEach(() => run(sql`delete from letters`));

  const run = async <T>(statement: ReturnType<typeof sql<T>>) =>
    (await made.db.transaction({ role }, (trx) => statement.execute(trx))).rows;
  const add = (...tenants: string[]) =>
    run(sql`insert into letters (id, tenant_id)
      select n, tenant from unnest(${tenants}::text[]) with ordinality as each (tenant, n)`);
  const stored = () => run(sql<Stored>`select *, due_at <= clock_timestamp() as due from letters order by id`);
  const rows = (perTenant?: number) =>
    outboxRows<unknown, Row>({
      db: made.db,
      role,
      topic: 'letter',
      table: 'letters',
      key: ['id'],
      order: sql`o.id`,
      since: 'added_at',
      ...(perTenant !== undefined && { perTenant }),
    });
  const courier = (deliver: (row: Row, signal: AbortSignal) => Promise<boolean>) => {
    const { logger } = capturingLogger();
    const of = { rows: rows(), logger, what: 'a letter', atOnce: 2, timeoutMs: 60_000, parks: false, deliver };
    const work = [deliveries<Row>({ ...of, retryAfterMs: () => 60_000, logFields: ({ id }) => ({ id }) })];
    return startCourier({ db: made.db, logger, channel, graceMs: 100, work });
  };

  test('leases at most the allowed rows of a tenant, and meanwhile rows of other tenants', async () => {
    await add('a', 'a', 'a', 'b');
    const ids = async (perTenant: number) => (await rows(perTenant).claim(10)).map(({ id }) => id).sort();
    expect(await ids(2)).toEqual([1, 2, 4]);
    expect(await ids(2)).toEqual([]);
    expect(await rows(2).nextDueMs()).toBe(0);
    expect(await ids(3)).toEqual([3]);
    expect(await rows(3).nextDueMs()).toBeGreaterThan(5_000);
    expect(await rows().depth()).toMatchObject({ topic: 'letter', waiting: 4 });
  });

  test('does not renew a lease that another process has taken over', async () => {
    await add('a');
    const slow = await rows().claim(1);
    await run(sql`update letters set leased_until = 'epoch'`);
    const [taken] = await rows().claim(1);
    await run(sql`update letters set leased_until = clock_timestamp() + interval '1 second'`);
    await rows().renew(slow);
    expect(await rows().nextDueMs()).toBeLessThan(1_001);
    expect(taken?.attempts).toBe(2);
  });

  test('an attempt that ends because the process stops does not count, and the row is due again', async () => {
    await add('a');
    const begun = Promise.withResolvers<void>();
    const stop = await courier((_row, signal) => {
      begun.resolve();
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    await begun.promise;
    await stop();
    expect(await stored()).toMatchObject([{ attempts: 0, leased_until: null, last_error: null, due: true }]);
  });

  test('delivered rows leave the table, and failed rows stay with their reason', async () => {
    await add('a', 'b', 'c', 'd');
    const stop = await courier(async ({ id }) => {
      if (id === 2) throw Object.assign(new Error('secret'), { code: 'EAUTH' });
      return true;
    });
    await eventually(async () => {
      expect(await stored()).toMatchObject([{ id: 2, attempts: 1, last_error: 'Error EAUTH', due: false }]);
    });
    await stop();
  });
});
