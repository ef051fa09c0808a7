import { databases, eventually, tenants } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { seesEvent } from '../src/domain/access.ts';
import { asFeed, eventsChannel, listEvents } from '../src/store/events.ts';
import { asUser, type ScopeUser } from '../src/store/schema.ts';
import { complaintsWorld } from './world.ts';

const userIds = ['ann', 'bob', 'eve'];
const roles = ['complainant', 'agent', 'admin', 'auditor'];
const everyone: ScopeUser[] = Object.values(tenants).flatMap((tenantId) =>
  userIds.flatMap((userId) => roles.map((role) => ({ tenantId, userId, role }))),
);

type Filed = Readonly<{
  complainant: string | null;
  creator: string;
  assignee: string | null;
  events: readonly Readonly<{ internal: boolean; actor: string }>[];
}>;
const someone = fc.constantFrom(...userIds);
const filed = fc.record<Filed>({
  complainant: fc.option(someone),
  creator: someone,
  assignee: fc.option(someone),
  events: fc.array(fc.record({ internal: fc.boolean(), actor: someone }), { maxLength: 3 }),
});

describe.each(databases())('the event feed on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  beforeAll(async () => {
    // Quiet tenants are not read again while a test counts reads.
    world = await complaintsWorld(database, undefined, { quietMs: 600_000 });
  });
  afterAll(() => world.close());

  /** Files a complaint in both tenants, with the same ids and people. */
  async function file({ complainant, creator, assignee, events }: Filed): Promise<string> {
    const id = uuidv7();
    const eventIds = events.map(() => uuidv7());
    for (const tenantId of Object.values(tenants)) {
      await asUser(world.db, { tenantId, userId: creator, role: 'agent' }, (trx) =>
        sql`
          insert into complaints (tenant_id, id, title, description, category_id, status, complainant_id, created_by,
            assignee_id, clock_started_at, revision, created_at, updated_at)
          select ${tenantId}, ${id}, 'Lamp', 'Dark', id, 'open', ${complainant}, ${creator}, ${assignee}, now(),
            gen_random_uuid(), now(), now() from categories limit 1`.execute(trx),
      );
      for (const [at, { internal, actor }] of events.entries()) {
        await announceMany({ tenantId, userId: actor, role: 'agent' }, id, { internal, id: eventIds[at] ?? '' });
      }
    }
    return id;
  }

  const announceMany = (
    { tenantId, userId }: ScopeUser,
    complaintId: string,
    { internal = false, count = 1, id }: { internal?: boolean; count?: number; id?: string } = {},
  ) =>
    asUser(world.db, { tenantId, userId, role: 'agent' }, async (trx) => {
      await sql`
        insert into events (tenant_id, id, complaint_id, type, internal, actor_id, actor_role, detail, created_at)
        select ${tenantId}, coalesce(${id ?? null}::uuid, gen_random_uuid()), ${complaintId}, 'comment.added',
          ${internal}, ${userId}, 'agent', '{}', now() from generate_series(1, ${count})`.execute(trx);
      await sql`select pg_notify(${eventsChannel}, ${tenantId})`.execute(trx);
    });

  /** Follows as a client that reads immediately. Resolves when the response could start. */
  async function follow(user: ScopeUser, lastId?: string) {
    const gone = new AbortController();
    const batches = world.feed.follow(user, { lastId, signal: gone.signal, onQuiet: () => {} });
    const { value: first } = await batches.next();
    const received: string[] = [];
    const tenantsOf = new Set<string>();
    const reading = (async () => {
      for await (const batch of batches) {
        for (const event of batch === 'missed' ? [] : batch) {
          received.push(event.id);
          tenantsOf.add(event.tenant_id);
        }
      }
    })();
    const end = () => {
      gone.abort();
      return reading;
    };
    return { user, first, received, tenantsOf, end };
  }

  const seqNow = async () => {
    const newest = everyone.map((user) =>
      asFeed(world.db, user.tenantId, (trx) =>
        sql<{ seq: number }>`select coalesce(max(seq), 0) as seq from events`.execute(trx),
      ),
    );
    return Math.max(...(await Promise.all(newest)).map(({ rows }) => rows[0]?.seq ?? 0));
  };
  /** What the row policies show. */
  const visible = async (user: ScopeUser, after: number) =>
    (
      await asUser(world.db, user, (trx) =>
        trx.selectFrom('events').select('id').where('seq', '>', after).orderBy('seq').execute(),
      )
    ).map(({ id }) => id);

  test('each user receives exactly what the row policies show them, live and after a disconnect', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(filed, { minLength: 1, maxLength: 4 }), async (complaints) => {
        const start = await seqNow();
        const live = await Promise.all(everyone.map((user) => follow(user)));
        for (const each of complaints) await file(each);
        const shown = await Promise.all(everyone.map((user) => visible(user, start)));
        await eventually(() => expect(live.map(({ received }) => received)).toEqual(shown));
        const resumed = await Promise.all(everyone.map((user, at) => follow(user, shown[at]?.[0] ?? uuidv7())));
        expect(resumed.map(({ first }) => first)).toEqual(shown.map((ids) => (ids.length === 0 ? 'missed' : [])));
        await eventually(() =>
          expect(resumed.map(({ received }) => received)).toEqual(shown.map((ids) => ids.slice(1))),
        );
        for (const each of [...live, ...resumed]) {
          expect([...each.tenantsOf].filter((tenantId) => tenantId !== each.user.tenantId)).toEqual([]);
          await each.end();
        }
      }),
      { numRuns: 3 },
    );
  });

  test('the rule in memory decides like the row policy of events', async () => {
    for (const complainant of [...userIds, null]) {
      for (const internal of [true, false]) {
        await file({ complainant, creator: 'ann', assignee: 'bob', events: [{ internal, actor: 'bob' }] });
      }
    }
    for (const user of everyone) {
      const all = await asFeed(world.db, user.tenantId, (trx) => listEvents(trx, { after: 0, limit: 10_000 }));
      expect(all.filter((event) => seesEvent(user, event)).map(({ id }) => id)).toEqual(await visible(user, 0));
    }
  });

  test('an event is read once for all followers of its tenant, also for those who see none', async () => {
    const id = await file({
      complainant: 'ann',
      creator: 'bob',
      assignee: null,
      events: [{ internal: false, actor: 'bob' }],
    });
    const ann = { ...everyone[0], userId: 'ann', role: 'complainant' } as ScopeUser;
    const [last = ''] = (await visible(ann, 0)).slice(-1);
    const before = world.feedReads();
    const others = Array.from({ length: 100 }, (_, at) => ({ ...ann, userId: `other-${at}` }));
    const followers = await Promise.all([ann, ...others].flatMap((user) => [follow(user), follow(user, last)]));
    // The first read begins with the first follower, and another reads for all who came meanwhile.
    expect(world.feedReads() - before).toBeLessThanOrEqual(3);
    // Events of acme wake no read for a follower of globex.
    const elsewhere = await follow({ ...ann, tenantId: tenants.globex });
    await announceMany(ann, id);
    await eventually(() => expect(followers[1]?.received).toHaveLength(1));
    const opened = world.feedReads();
    const events = 10;
    for (let at = 0; at < events; at += 1) await announceMany(ann, id);
    await eventually(() => expect(followers[1]?.received).toHaveLength(1 + events));
    await eventually(() => expect(followers[0]?.received).toHaveLength(1 + events));
    expect(followers[1]?.received).toEqual(followers[0]?.received);
    expect(followers.slice(2).flatMap(({ received }) => received)).toEqual([]);
    expect(world.feedReads() - opened).toBeLessThanOrEqual(events);
    for (const each of [...followers, elsewhere]) await each.end();
  });

  test('a client that reads slowly, or was away for many events, receives each one in order', async () => {
    const events = [{ internal: false, actor: 'bob' }];
    const [mine, theirs] = [
      await file({ complainant: 'ann', creator: 'bob', assignee: null, events }),
      await file({ complainant: 'eve', creator: 'bob', assignee: null, events }),
    ];
    const users = ['ann', 'eve', 'bob'].map((userId) => ({
      ...(everyone[0] as ScopeUser),
      userId,
      role: userId === 'bob' ? 'agent' : 'complainant',
    }));
    const start = await seqNow();
    const gone = new AbortController();
    const slow = users.map((user) =>
      world.feed.follow(user, { lastId: undefined, signal: gone.signal, onQuiet: () => {} }),
    );
    for (const each of slow) await each.next();
    const lastIds = await Promise.all(users.map(async (user) => (await visible(user, 0)).at(-1) ?? ''));
    for (const id of [mine, theirs, mine]) await announceMany(users[2] as ScopeUser, id, { count: 600 });
    const shown = await Promise.all(users.map((user) => visible(user, start)));
    expect(shown.map(({ length }) => length)).toEqual([1_200, 600, 1_800]);
    const away = await Promise.all(users.map((user, at) => follow(user, lastIds[at])));
    await eventually(() => expect(away.map(({ received }) => received)).toEqual(shown));
    for (const [at, each] of slow.entries()) {
      const received: string[] = [];
      while (received.length < (shown[at]?.length ?? 0)) {
        const { value } = await each.next();
        const batch = value as { id: string }[];
        expect(batch.length).toBeLessThanOrEqual(250);
        received.push(...batch.map(({ id }) => id));
      }
      expect(received).toEqual(shown[at]);
    }
    gone.abort();
    for (const each of slow) await each.return(undefined);
    for (const each of away) await each.end();
  });
});
