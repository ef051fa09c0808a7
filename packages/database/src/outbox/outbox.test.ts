import { once } from 'node:events';
import { capturingLogger, databases, eventually, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { rowSecurity } from '../row-security.ts';
import { deliveries, startCourier } from './courier.ts';
import { outboxRows } from './leased-rows.ts';

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
  const rows = (perTenant?: number, db = made.db) =>
    outboxRows<unknown, Row>({
      db,
      role,
      topic: 'letter',
      table: 'letters',
      key: ['id'],
      order: sql`o.id`,
      since: 'added_at',
      ...(perTenant !== undefined && { perTenant }),
    });
  const courier = (deliver: (row: Row, signal: AbortSignal) => Promise<boolean>, timeoutMs = 60_000) => {
    const { logger } = capturingLogger();
    const of = { rows: rows(), logger, what: 'a letter', atOnce: 2, timeoutMs, parks: false, deliver };
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

  test('leases no more rows than asked, however the statement is planned', async () => {
    await add(...Array<string>(20).fill('a'));
    const settings = ['hashjoin', 'mergejoin', 'hashagg', 'material', 'sort', 'memoize'];
    const db: typeof made.db = {
      ...made.db,
      transaction: (options, work) =>
        made.db.transaction(options, async (trx) => {
          for (const name of settings) await sql.raw(`set local enable_${name} = off`).execute(trx);
          return work(trx);
        }),
    };
    expect((await rows(undefined, db).claim(3)).map(({ id }) => id).sort()).toEqual([1, 2, 3]);
    expect(await rows(undefined, db).claim(10)).toHaveLength(10);
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

  test.each<[string, (signal: AbortSignal) => unknown, string]>([
    ['names a timeout without its number', (signal) => signal.reason, 'TimeoutError'],
    ['names a code', () => Object.assign(new Error('secret'), { code: 'EAUTH' }), 'Error EAUTH'],
    ["names a cause's code", () => new Error('secret', { cause: { code: 'ECONNRESET' } }), 'Error ECONNRESET'],
    ['needs no error', () => 'secret', 'unknown error'],
  ])('the reason of a failed delivery %s', async (_what, thrown, reason) => {
    await add('a');
    const stop = await courier(async (_row, signal) => {
      await once(signal, 'abort');
      throw thrown(signal);
    }, 5);
    await eventually(async () => expect(await stored()).toMatchObject([{ last_error: reason }]));
    await stop();
  });
});
