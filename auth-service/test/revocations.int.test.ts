import { databases, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { revocationInForceSec } from '../src/domain/sessions/session-rules.ts';
import { disableTenant, endAllSessions } from '../src/flows/operator/operate.ts';
import { logOut } from '../src/flows/sessions/end-sessions.ts';
import { type Feed, openFeed } from '../src/flows/sessions/follow-revocations.ts';
import type { LoginParts } from '../src/flows/sessions/log-in.ts';
import { refresh } from '../src/flows/sessions/refresh.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { appendRevocations, batchSize, issueTimeSec, readFeed } from '../src/store/sessions/revocations.ts';
import { listOwnSessions } from '../src/store/sessions/sessions.ts';
import { roles, type Trx } from '../src/store/transaction.ts';
import { removeExpired } from '../src/store/upkeep.ts';
import { caller, codeOf, grantFor, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, type Tenant } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

const never = new AbortController().signal;

describe.each(databases())('the revocation log on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts;
  let tenant: Tenant;
  let feed: Feed;
  beforeAll(async () => {
    store = await openProbed(database);
    parts = await loginParts(store.db);
    tenant = await makeTenant(store.db, 'acme');
    feed = await openFeed(store.db);
  });
  afterAll(async () => {
    await feed.end();
    await store.close();
  });

  const newPerson = (...tenants: Tenant[]) =>
    makePerson(store.db, parts.passwords, tenants.length === 0 ? [tenant] : tenants);
  const head = () => readFeed(store.db, { log: undefined, after: 0 });
  const since = async (position: { log: string; cursor: number }) =>
    (await readFeed(store.db, { log: position.log, after: position.cursor })).items;
  const revoke = (userId: string) =>
    store.db.transaction({ role: roles.self, userId }, (trx) =>
      appendRevocations(trx, [{ kind: 'user', user_id: userId }]),
    );

  test('lists what a logout ended: this session, the others, or all sessions and earlier tokens', async () => {
    const who = await newPerson();
    const [a, b, c] = [
      await grantFor(parts, who, tenant),
      await grantFor(parts, who, tenant),
      await grantFor(parts, who, tenant),
    ].map(({ access }) => access.sessionId) as [string, string, string];
    const revokedBy = async (scope: 'this' | 'others' | 'all', sessionId: string) => {
      const before = await head();
      await logOut(store.db, { userId: who.userId, sessionId }, scope, 'test');
      return (await since(before)).map(({ kind, sid }) => sid ?? kind);
    };
    expect(await revokedBy('this', a)).toEqual([a]);
    expect(await revokedBy('this', a)).toEqual([]);
    expect(await revokedBy('others', b)).toEqual([c]);
    expect(await revokedBy('all', b)).toEqual([b, 'user']);
    expect(await listOwnSessions(store.db, who.userId)).toEqual([]);
  });

  test('ends the person’s sessions in every tenant, and no others', async () => {
    const other = await makeTenant(store.db, 'globex');
    const who = await newPerson(tenant, other);
    const bystander = await newPerson();
    const kept = await grantFor(parts, bystander, tenant);
    const here = await grantFor(parts, who, tenant);
    const there = await grantFor(parts, who, other);
    const owner = { userId: bystander.userId, sessionId: there.access.sessionId };
    expect(await logOut(store.db, owner, 'this', 'test')).toBe(false);
    await logOut(store.db, { userId: who.userId, sessionId: here.access.sessionId }, 'all', 'test');
    expect(await codeOf(refresh(parts, there.refreshToken, caller))).toBe('session_revoked');
    expect(await codeOf(refresh(parts, kept.refreshToken, caller))).toBe('ok');
  });

  test('accepts later tokens: a login in the same second has the not_before as its iat', async () => {
    const who = await newPerson();
    for (let round = 0; round < 3; round += 1) {
      const before = await head();
      await logOut(store.db, { userId: who.userId, sessionId: uuidv7() }, 'all', 'test');
      const { access } = await grantFor(parts, who, tenant);
      const [entry] = await since(before);
      expect(access.issuedAtSec * 1000).toBeGreaterThanOrEqual(entry?.not_before.getTime() ?? Infinity);
      expect(entry?.not_before.getMilliseconds()).toBe(0);
    }
  });

  test.each<[name: string, end: (slug: string) => Promise<unknown>]>([
    ['disabled', (slug) => disableTenant(store.db, slug, 'test')],
    ['logged-out', () => endAllSessions(store.db, 'test')],
  ])(
    'also refuses tokens of a %s tenant that were issued after another revocation in the same second',
    async (_name, end) => {
      // Three times, because a run may cross the boundary of a second.
      for (let round = 0; round < 3; round += 1) {
        const slug = `t-${uuidv7()}`;
        const own = await makeTenant(store.db, slug);
        const who = await newPerson(own);
        await logOut(store.db, { userId: who.userId, sessionId: uuidv7() }, 'all', 'test');
        const { access } = await grantFor(parts, who, own);
        await end(slug);
        const entry = (await head()).items.find(({ kind, tenant_id }) => kind === 'tenant' && tenant_id === own.id);
        expect(access.issuedAtSec * 1000).toBeLessThan(entry?.not_before.getTime() ?? Number.NaN);
      }
    },
  );

  test('refuses all tenants that end together from the same moment, after one read of the log', async () => {
    // Three times, because a run may cross the boundary of a second.
    for (let round = 0; round < 3; round += 1) {
      const [one, ...more] = Array.from({ length: 3 }, () => ({ kind: 'tenant', tenant_id: uuidv7() }) as const);
      if (one === undefined) throw new Error('no tenant');
      const append = (entries: (typeof one)[]) =>
        store.db.transaction({ role: roles.operator }, (trx) => appendRevocations(trx, entries));
      await append([one]);
      const { cursor, log } = await head();
      await append([one, ...more]);
      const { items } = await readFeed(store.db, { log, after: cursor });
      expect(items).toHaveLength(3);
      expect(new Set(items.map(({ not_before }) => not_before.getTime())).size).toBe(1);
    }
  });

  test('also refuses an OAuth client’s tokens for a user that were issued after a revocation in the same second', async () => {
    // Three times, because a run may cross the boundary of a second.
    for (let round = 0; round < 3; round += 1) {
      const [tenantId, userId, clientId] = [uuidv7(), uuidv7(), `client-${uuidv7()}`];
      const inTenant = <T>(work: (trx: Trx) => Promise<T>, who: { userId?: string } = {}) =>
        store.db.transaction({ role: roles.app, tenantId, ...who }, work);
      await revoke(userId);
      const issuedAtSec = await inTenant((trx) => issueTimeSec(trx, { tenantId, userId, clientId }), { userId });
      const { log, cursor } = await head();
      const entry = { kind: 'client', client_id: clientId, tenant_id: tenantId } as const;
      await inTenant((trx) => appendRevocations(trx, [entry]));
      const [revoked] = await since({ log, cursor });
      expect(issuedAtSec * 1000).toBeLessThan(revoked?.not_before.getTime() ?? Number.NaN);
    }
  });

  test('revoking other OAuth clients does not postpone the iat of a client’s next token', async () => {
    const tenantId = uuidv7();
    const inTenant = <T>(work: (trx: Trx) => Promise<T>) => store.db.transaction({ role: roles.app, tenantId }, work);
    const end = (clientId: string) =>
      inTenant((trx) => appendRevocations(trx, [{ kind: 'client', client_id: clientId, tenant_id: tenantId }]));
    for (let count = 0; count < 20; count += 1) await end(`client-${uuidv7()}`);
    const clientId = `client-${uuidv7()}`;
    await end(clientId);
    const issuedAtSec = await inTenant((trx) => issueTimeSec(trx, { tenantId, clientId }));
    expect(issuedAtSec - Date.now() / 1000).toBeLessThanOrEqual(3);
  });

  test('keeps a revocation of an OAuth client or tenant for as long as the revoked tokens could be valid', async () => {
    const entry = { kind: 'client', client_id: `client-${uuidv7()}`, tenant_id: tenant.id } as const;
    const { log, cursor } = await head();
    for (let count = 0; count < 10; count += 1)
      await store.db.transaction({ role: roles.app, tenantId: tenant.id }, (trx) => appendRevocations(trx, [entry]));
    await store.db.transaction({ role: roles.operator }, (trx) =>
      appendRevocations(trx, [{ kind: 'tenant', tenant_id: tenant.id }]),
    );
    const entries = await since({ log, cursor });
    expect(entries).toHaveLength(11);
    for (const { not_before, expires_at } of entries)
      expect(expires_at.getTime() - not_before.getTime()).toBeGreaterThanOrEqual(revocationInForceSec * 1000);
  });

  test('wakes waiting requests', async () => {
    const { log, cursor } = await head();
    const asked = feed.next({ log, after: cursor, waitMs: 30_000 }, never);
    const userId = uuidv7();
    await revoke(userId);
    expect((await asked).items).toMatchObject([{ kind: 'user', user_id: userId }]);
  });

  test('reads an entry once for all waiting followers, so that they do not use up the connections', async () => {
    let reads = 0;
    const transaction: typeof store.db.transaction = (...args) => {
      reads += 1;
      return store.db.transaction(...args);
    };
    const own = await openFeed({ ...store.db, transaction });
    const { log, cursor } = await head();
    const asked = Array.from({ length: 100 }, () => own.next({ log, after: cursor, waitMs: 30_000 }, never));
    const userId = uuidv7();
    await revoke(userId);
    for (const batch of await Promise.all(asked)) expect(batch.items).toMatchObject([{ user_id: userId }]);
    // The first read, one after the notification, and another where the entry came between.
    expect(reads).toBeLessThanOrEqual(3);
    await own.end();
  });

  test('responds with an empty batch when the wait times out or the client disconnects', async () => {
    const { log, cursor } = await head();
    expect(await feed.next({ log, after: cursor, waitMs: 20 }, never)).toMatchObject({ items: [], cursor });
    const gone = new AbortController();
    const asked = feed.next({ log, after: cursor, waitMs: 30_000 }, gone.signal);
    gone.abort();
    expect(await asked).toMatchObject({ items: [], complete: true });
  });

  test('the log is read from the start with a cursor from another log, or one ahead of this log', async () => {
    await revoke(uuidv7());
    const { log, cursor, items } = await head();
    for (const position of [
      { log: 'another', after: cursor },
      { log, after: cursor + 1_000 },
    ]) {
      const page = await feed.next({ ...position, waitMs: 30_000 }, never);
      expect([page.log, page.cursor, page.items.length]).toEqual([log, cursor, items.length]);
    }
  });

  test('the log is read in batches without gaps', async () => {
    const { log, cursor } = await head();
    const count = batchSize + 3;
    await probing(store.db, (trx) =>
      sql`insert into revocations (kind, user_id, not_before, expires_at)
          select 'user', 'bulk-' || n, clock_timestamp(), clock_timestamp() + interval '1 hour'
          from generate_series(1, ${count}::int) n`.execute(trx),
    );
    const first = await readFeed(store.db, { log, after: cursor });
    const second = await readFeed(store.db, { log, after: first.cursor });
    expect([first.items.length, first.complete]).toEqual([batchSize, false]);
    expect([second.items.length, second.complete]).toEqual([3, true]);
    await probing(store.db, (trx) => trx.deleteFrom('revocations').where('user_id', 'like', 'bulk-%').execute());
  });

  test('lists groups with the same times, equal to the single entries', async () => {
    const { log, cursor } = await head();
    const [userId, sid, kid] = [uuidv7(), uuidv7(), uuidv7()];
    const session = { kind: 'session', sid, user_id: userId, tenant_id: tenant.id } as const;
    const entries = [
      ...[session, { ...session, sid: uuidv7() }, { kind: 'member', user_id: userId, tenant_id: tenant.id } as const],
      ...[{ kind: 'user', user_id: userId } as const, { kind: 'tenant', tenant_id: tenant.id } as const],
      { kind: 'key', kid } as const,
      { kind: 'client', client_id: `client-${uuidv7()}`, tenant_id: tenant.id } as const,
    ];
    await probing(store.db, (trx) => appendRevocations(trx, entries));
    const items = await since({ log, cursor });
    const page = await readFeed(store.db, { log, after: cursor }, 'groups');
    expect(page).toMatchObject({ log, cursor: items.at(-1)?.seq, complete: true, fromStart: false, items: [] });
    const idOf = ({ kind, ...names }: (typeof items)[number]) =>
      kind === 'member' || kind === 'client'
        ? `${names.tenant_id} ${kind === 'member' ? names.user_id : names.client_id}`
        : { session: names.sid, user: names.user_id, tenant: names.tenant_id, key: names.kid }[kind];
    const flat = page.groups.flatMap(({ ids, ...rest }) => ids.map((id) => ({ ...rest, id })));
    expect(flat).toHaveLength(items.length);
    expect(flat).toEqual(
      expect.arrayContaining(
        items.map((item) => ({
          kind: item.kind,
          not_before: item.not_before,
          expires_at: item.expires_at,
          id: idOf(item),
        })),
      ),
    );
    expect(page.groups.find(({ kind }) => kind === 'session')?.ids).toHaveLength(2);
  });

  test('the log is read in batches of groups, and entries added meanwhile come last', async () => {
    const { log, cursor } = await head();
    const addBulk = (from: number, to: number) =>
      probing(store.db, (trx) =>
        sql`insert into revocations (kind, user_id, not_before, expires_at)
            select 'user', 'bulk-' || n, clock_timestamp(), clock_timestamp() + interval '1 hour'
            from generate_series(${from}::int, ${to}::int) n`.execute(trx),
      );
    await addBulk(1, batchSize + 1);
    const seen: string[] = [];
    let page = await readFeed(store.db, { log, after: cursor }, 'groups');
    expect([page.complete, page.groups.flatMap(({ ids }) => ids).length]).toEqual([false, batchSize]);
    await addBulk(batchSize + 2, batchSize + 3);
    seen.push(...page.groups.flatMap(({ ids }) => ids));
    page = await readFeed(store.db, { log, after: page.cursor }, 'groups');
    seen.push(...page.groups.flatMap(({ ids }) => ids));
    expect(page.complete).toBe(true);
    expect(seen).toHaveLength(batchSize + 3);
    expect(new Set(seen).size).toBe(seen.length);
    const after = await feed.next({ log, after: page.cursor, form: 'groups', waitMs: 0 }, never);
    expect(after).toMatchObject({ groups: [], cursor: page.cursor, complete: true });
    await probing(store.db, (trx) => trx.deleteFrom('revocations').where('user_id', 'like', 'bulk-%').execute());
  });

  test('drops expired entries, and cursors stay valid', async () => {
    await revoke(uuidv7());
    await revoke(uuidv7());
    const { log, cursor } = await head();
    await probing(store.db, (trx) =>
      trx.updateTable('revocations').set({ expires_at: sql<Date>`clock_timestamp() - interval '1 second'` }).execute(),
    );
    expect((await head()).items).toEqual([]);
    await removeExpired(store.db);
    expect(await readFeed(store.db, { log, after: cursor })).toMatchObject({
      fromStart: false,
      cursor,
      complete: true,
    });
  });

  test('ends all waiting requests when the service stops', async () => {
    const own = await openFeed(store.db);
    const { log, cursor } = await head();
    const asked = own.next({ log, after: cursor, waitMs: 30_000 }, never);
    await own.end();
    expect(await asked).toMatchObject({ items: [] });
    expect(own.ended).toBe(true);
  });
});
