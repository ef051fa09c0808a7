import { databases, runAsSuperuser, tenants } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { webhookKeys } from '../src/domain/webhooks/signature.ts';
import { maxStreamsPerUser, OpenStreams } from '../src/flows/events/event-feed.ts';
import { returnSpace } from '../src/store/attachments.ts';
import { listTeams } from '../src/store/catalogue.ts';
import { oldestOfLatestWrites } from '../src/store/complaints/comments-and-history.ts';
import { listComplaints } from '../src/store/complaints/complaints.ts';
import { deleteComplaints, lockErasing } from '../src/store/erasure/erase.ts';
import { holdEvents, listEvents } from '../src/store/events.ts';
import { claimKey } from '../src/store/idempotency-keys.ts';
import { freezeMail, listTeamStaff, mailsOf, refuseMail, spreadChange } from '../src/store/mail.ts';
import { lockMember } from '../src/store/members.ts';
import { courierRole, eraserRole, mailerRole } from '../src/store/roles.ts';
import type { Trx } from '../src/store/schema.ts';
import { readByStatus } from '../src/store/statistics.ts';
import type { QueuedMail } from '../src/store/tables.ts';
import {
  deliveryFailed,
  deliveryTaken,
  dueWebhooks,
  endWebhook,
  giveUpWaiting,
  nextDelivery,
  releaseWebhook,
  webhookDepth,
} from '../src/store/webhooks/courier.ts';
import { countWebhooks, queueDeliveries } from '../src/store/webhooks/webhooks.ts';
import { complaintsWorld, people } from './world.ts';

const { acme, globex } = tenants;
const id = '0197c2a0-0000-7000-8000-0000000000ff';
const otherId = '0197c2a0-0000-7000-8000-0000000000fe';

// Each table has the same ids in both tenants, and globex's rows first. Every text contains the tenant's name.
const rowsOf = (tenant: string, name: string, status: string) => [
  `insert into teams values ('${tenant}', '${id}', '${name}', '${name}', '${id}', now(), now())`,
  `insert into team_members values ('${tenant}', '${id}', 'agent of ${name}')`,
  `insert into categories values ('${tenant}', '${id}', '${name}', '${name}', '', null, null, null, true, '${id}', now(), now())`,
  `insert into complaints (tenant_id, id, title, description, category_id, status, complainant_id, created_by,
     clock_started_at, revision, created_at, updated_at)
   values ('${tenant}', '${id}', '${name}', '', '${id}', '${status}', 'user of ${name}', 'x', now(), '${id}', now(), now())`,
  `insert into terms values ('${tenant}', 'word', '${id}'), ('${tenant}', '${name}', '${id}')`,
  `insert into events (tenant_id, id, complaint_id, type, internal, actor_id, actor_role, detail, created_at)
   values ('${tenant}', '${id}', '${id}', 'complaint.filed', false, 'x', 'agent', '{}', now())`,
  `insert into attachment_space values ('${tenant}', 100)`,
  `insert into statistics_by_status values ('${tenant}', '${id}', 'closed', 10), ('${tenant}', '${id}', 'withdrawn', 10)`,
  `insert into idempotency_keys values ('${tenant}', 'x', 'key', '', null, null, now() - interval '2 days')`,
  `insert into mails (tenant_id, id, complaint_id, kind, actor_id, changes, due_at)
   values ('${tenant}', '${id}', '${id}', 'moved', 'x', '{}', now() + interval '${tenant === acme ? 0 : 1} day')`,
  `insert into mail_people values ('${tenant}', 'x', '{work}', null)`,
  `insert into organizations values ('${tenant}', '${name}', '${name}')`,
  `insert into webhooks (tenant_id, id, url, events, signature, state, created_by, created_at, updated_at)
   values ('${tenant}', '${id}', '${name}', '{complaint.filed}', 'ed25519', 'active', 'x', '2026-01-01', '2026-01-01')`,
  `insert into webhook_deliveries (tenant_id, id, webhook_id, type, payload, due_at)
   values ('${tenant}', '${id}', '${id}', 'ping', '${name}', now() - interval '${tenant === acme ? 1 : 2} minutes')`,
];

const tables = [
  ...['webhook_deliveries', 'webhooks', 'mails', 'mail_people', 'organizations', 'idempotency_keys'],
  ...[
    'statistics_by_status',
    'attachment_space',
    'complaint_numbers',
    'events',
    'history',
    'watchers',
    'terms',
    'complaints',
    'categories',
    'team_members',
    'teams',
  ],
];

/**
 * Without row-level security, each filter by tenant must hold by itself. Roles for all tenants depend on the filters,
 * because their policies show all rows.
 */
describe.each(databases())('without row-level security, with equal ids in two tenants, on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    world = await complaintsWorld(database, undefined, { categories: [] });
    await runAsSuperuser(
      world.database,
      tables.map((table) => `alter table ${table} disable row level security`),
    );
  });
  beforeEach(() =>
    runAsSuperuser(world.database, [
      ...tables.map((table) => `delete from ${table}`),
      ...rowsOf(globex, 'globex', 'withdrawn'),
      ...rowsOf(acme, 'acme', 'closed'),
    ]),
  );
  afterAll(() => world.close());

  const change = (statement: string) => runAsSuperuser(world.database, [statement]);
  const within = <T>(work: (trx: Trx) => Promise<T>, role?: string) =>
    role === undefined ? world.as(people.admin, work) : world.db.transaction({ role, tenantId: acme }, work);

  /** Globex's rows, which no work for acme can change. */
  const globexRows = async () => {
    const rows: Record<string, unknown> = {};
    for (const table of ['webhooks', 'webhook_deliveries']) rows[table] = await rowsAs(courierRole, table);
    for (const table of ['mails', 'mail_people', 'complaints']) rows[table] = await rowsAs(mailerRole, table);
    for (const table of ['attachment_space', 'team_members']) rows[table] = await rowsAs(eraserRole, table);
    rows.idempotency_keys = await rowsAs(eraserRole, 'idempotency_keys');
    return rows;
  };
  const rowsAs = async (role: string, table: string) => {
    const columns = table === 'complaints' ? sql`title` : sql`*`;
    const read = sql`select ${columns} from ${sql.table(table)} where tenant_id = ${globex} order by 1`;
    return (await world.db.transaction({ role }, (trx) => read.execute(trx))).rows;
  };

  const due = { tenant_id: acme, id };
  const delivery = async () => {
    const found = await nextDelivery(world.db, due);
    if (found === undefined) throw new Error('no delivery is due');
    return found;
  };
  const attempt = { result: { status: 500 }, durationMs: 1 } as const;
  const mail = {
    tenant_id: acme,
    id,
    complaint_id: id,
    kind: 'digest',
    changes: [id],
    frozen: false,
  } as unknown as QueuedMail;
  const toX = { recipients: [{ kind: 'digest', user_id: 'x' }], burstMs: 0 } as const;

  test.each<[what: string, work: () => Promise<unknown>]>([
    ['attachment space', () => within((trx) => returnSpace(trx, acme, 50))],
    [
      'idempotency keys',
      () => {
        const request = { tenantId: acme, userId: 'x', key: 'key', fingerprint: Buffer.alloc(1) };
        return within((trx) => claimKey(trx, request, { now: new Date(), keptMs: 3600_000 }));
      },
    ],
    [
      'events for webhooks',
      () => within((trx) => queueDeliveries(trx, { tenantId: acme, type: 'complaint.filed', payload: 'acme' })),
    ],
    ['emails to spread', () => within((trx) => spreadChange(trx, mail, toX), mailerRole)],
    ['emails to freeze', () => within((trx) => freezeMail(trx, mail, 'x'), mailerRole)],
    ['refused emails', () => refuseMail(world.db, { tenantId: acme, person: 'x', kind: 'news' })],
    ['emails to send', () => mailsOf(world.db).claim(10)],
    [
      'sent emails',
      async () => {
        const [claimed] = await mailsOf(world.db).claim(10);
        if (claimed) await mailsOf(world.db).remove(claimed);
      },
    ],
    [
      'emails to retry',
      async () => {
        const [claimed] = await mailsOf(world.db).claim(10);
        if (claimed) await mailsOf(world.db).renew([claimed]);
        if (claimed) await mailsOf(world.db).postpone(claimed, { delayMs: 1, error: 'x' });
      },
    ],
    ['delivered webhooks', async () => deliveryTaken(world.db, await delivery(), attempt)],
    ['failed webhooks', async () => deliveryFailed(world.db, await delivery(), attempt, { delayMs: 1, pauseMs: 1 })],
    ['ended webhooks', async () => endWebhook(world.db, (await delivery()).webhook, 'gone')],
    ['released webhooks', () => releaseWebhook(world.db, due)],
    [
      'deliveries of ended webhooks',
      async () => {
        await change(`update webhooks set state = 'ended', ended_reason = 'gone' where tenant_id = '${acme}'`);
        expect(await giveUpWaiting(world.db)).toBe(1);
      },
    ],
  ])('work on %s of one tenant leaves those of the other', async (_what, work) => {
    const before = await globexRows();
    await work();
    expect(await globexRows()).toEqual(before);
  });

  test('a due delivery leases only the webhook of its tenant', async () => {
    await change(`update webhook_deliveries set due_at = now() + interval '1 day' where tenant_id = '${globex}'`);
    const before = await globexRows();
    const claimed = await dueWebhooks(world.db, 5).claim(10);
    await dueWebhooks(world.db, 5).renew(claimed);
    expect(claimed.map(({ tenant_id }) => tenant_id)).toEqual([acme]);
    expect(await globexRows()).toEqual(before);
  });

  test('the next delivery of a webhook is its own', async () => {
    const found = await delivery();
    expect([found.webhook.url, found.webhook.tenant_id, found.delivery.payload]).toEqual(['acme', acme, 'acme']);
  });

  test('deliveries of paused webhooks do not count for the active webhook with the same id', async () => {
    await change(`update webhooks set state = 'paused' where tenant_id = '${globex}'`);
    expect((await webhookDepth(world.db)).waiting).toBe(1);
  });

  test('one tenant with many webhooks leaves slots for the other', async () => {
    const more = `insert into webhooks (tenant_id, id, url, events, signature, state, created_by, created_at, updated_at, leased_until)
      select '${globex}', gen_random_uuid(), 'more', '{}', 'ed25519', 'active', 'x', '2025-01-01', now(), now() + interval '1 hour'
      from generate_series(1, 2)`;
    await change(more);
    expect((await dueWebhooks(world.db, 2).claim(10)).map(({ tenant_id }) => tenant_id)).toEqual([acme]);
    await change(`update webhooks set leased_until = null where tenant_id = '${globex}' or tenant_id = '${acme}'`);
    await change(`insert into webhook_deliveries (tenant_id, id, webhook_id, type, payload, due_at)
      select tenant_id, gen_random_uuid(), id, 'ping', 'globex', '2025-01-01' from webhooks where url = 'more'`);
    const claimed = await dueWebhooks(world.db, 1).claim(10);
    expect(claimed.map(({ tenant_id }) => tenant_id).toSorted()).toEqual([acme, globex]);
  });

  test('an email has the refusals and the name of its tenant, and goes to its team', async () => {
    await change(`update mail_people set refused = '{news}' where tenant_id = '${globex}'`);
    const frozen = await within((trx) => freezeMail(trx, mail, 'x'), mailerRole);
    expect(frozen).toMatchObject({ refused: ['work'], organization: 'acme' });
    expect(await within((trx) => listTeamStaff(trx, acme, id), mailerRole)).toEqual(['agent of acme']);
  });

  test('a list joins only rows of the same tenant', async () => {
    const ofAcme = <Row extends { tenant_id: string }>(rows: readonly Row[]) =>
      rows.filter(({ tenant_id }) => tenant_id === acme);
    const order = { order: 'newest', after: undefined, limit: 10 } as const;
    await within(async (trx) => {
      expect(ofAcme(await listTeams(trx)).map(({ members }) => members)).toEqual([['agent of acme']]);
      const found = await listComplaints(trx, { filter: { q: ['acme'] }, ...order });
      expect(found.map(({ title, category }) => [title, category])).toEqual([['acme', 'acme']]);
      const events = await listEvents(trx, { after: 0, limit: 10 });
      expect(ofAcme(events).map((event) => event.complainant_id)).toEqual(['user of acme']);
      await sql`update statistics_by_status set complaints = 20 where tenant_id = ${acme}`.execute(trx);
      const counts = await readByStatus(trx);
      expect(counts.map(({ category, complaints }) => `${category} ${complaints}`).toSorted()).toEqual([
        ...['acme 20', 'acme 20', 'globex 10', 'globex 10'],
      ]);
    });
  });

  test('deleted complaints leave the counts of the other tenant', async () => {
    await within((trx) => deleteComplaints(trx, [id]), eraserRole);
    const { rows } = await within((trx) =>
      sql<{ tenant_id: string; status: string; complaints: number }>`
        select tenant_id, status, complaints from statistics_by_status order by tenant_id, status`.execute(trx),
    );
    expect(rows.map(({ status, complaints }) => [status, complaints])).toEqual([
      ...[
        ['closed', 9],
        ['withdrawn', 10],
        ['closed', 10],
        ['withdrawn', 9],
      ],
    ]);
  });

  test.each<[what: string, lock: (trx: Trx, tenantId: string) => Promise<unknown>]>([
    ['a tenant’s events', holdEvents],
    ['erasures', lockErasing],
    ['a member', (trx, tenantId) => lockMember(trx, { tenantId, userId: otherId })],
    ['a user’s writes', (trx, tenantId) => oldestOfLatestWrites(trx, { tenantId, userId: otherId }, 1)],
    ['a tenant’s webhooks', countWebhooks],
  ])('the lock of %s belongs to one tenant', async (_what, lock) => {
    const keyIn = (tenantId: string) =>
      world.as({ ...people.admin, tenantId }, async (trx) => {
        await lock(trx, tenantId);
        const { rows } = await sql`
          select classid, objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`.execute(trx);
        expect(rows).toHaveLength(1);
        return rows[0];
      });
    expect(await keyIn(acme)).not.toEqual(await keyIn(globex));
  });
});

test('a webhook’s secret differs from that of another tenant’s webhook with the same id', () => {
  const secretIn = (tenantId: string) =>
    webhookKeys(Buffer.alloc(32, 1)).secret({ tenantId, id, version: 1 }).secret.toString('hex');
  expect(secretIn(acme)).not.toBe(secretIn(globex));
});

test('streams of a user with the same id in another tenant do not count', () => {
  const streams = new OpenStreams();
  for (let at = 0; at < maxStreamsPerUser; at += 1) streams.open({ tenantId: globex, userId: 'x' });
  expect(() => streams.open({ tenantId: globex, userId: 'x' })).toThrow();
  streams.open({ tenantId: acme, userId: 'x' });
});
