import { databases, eventually, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { changePassword, resetPassword } from '../src/flows/accounts/passwords.ts';
import { addMember } from '../src/flows/accounts/seed.ts';
import { disableUser, endAllSessions, inviteAdministrator } from '../src/flows/operator/operate.ts';
import type { Admission, Grant } from '../src/flows/sessions/admit.ts';
import { logOut } from '../src/flows/sessions/end-sessions.ts';
import { type LoginParts, switchTenant } from '../src/flows/sessions/log-in.ts';
import { refresh } from '../src/flows/sessions/refresh.ts';
import { type Admin, changeMember } from '../src/flows/tenants/members.ts';
import { saveMailedToken } from '../src/store/mail/mailed-tokens.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { appendRevocations, readFeed } from '../src/store/sessions/revocations.ts';
import { holdLock, roles, type Trx } from '../src/store/transaction.ts';
import { newPassword } from './support/accounts-world.ts';
import { caller, codeOf, grantFor, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, type Person, password, type Tenant } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

/*
 * Races between connections while a token is revoked. PGlite runs one transaction at a time, so they cannot happen there.
 * Each of these tests fails when the lock under test is removed.
 */
const servers = databases().filter(([kind]) => kind === 'postgres');

describe.each(servers)('concurrent revocations on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts;
  let tenant: Tenant;
  let who: Person;
  let admin: Admin;
  beforeAll(async () => {
    store = await openProbed(database);
    parts = await loginParts(store.db);
    tenant = await makeTenant(store.db, 'acme');
    who = await makePerson(store.db, parts.passwords, [tenant]);
    admin = { tenantId: tenant.id, userId: uuidv7(), sessionId: null, requestId: 'test' };
    const stored = await parts.passwords.hash(password, { address: 'test' });
    await addMember(store.db, {
      tenantId: tenant.id,
      userId: admin.userId,
      email: 'admin@acme.test',
      role: 'admin',
      password: stored,
    });
  });
  afterAll(() => store.close());

  const head = () => readFeed(store.db, { log: undefined, after: 0 });
  const since = (position: { log: string; cursor: number }) =>
    readFeed(store.db, { log: position.log, after: position.cursor });

  /** Resolves once this many database connections wait for a lock. */
  const waiting = (count: number) =>
    eventually(async () => {
      const { rows } = await probing(store.db, (trx) =>
        sql`select distinct pid from pg_locks where not granted
            and pid in (select pid from pg_stat_activity where datname = current_database())`.execute(trx),
      );
      expect(rows).toHaveLength(count);
    });

  /** Takes a lock and holds it until the returned function is called. */
  async function hold(lock: (trx: Trx) => Promise<unknown>): Promise<() => Promise<void>> {
    const held = Promise.withResolvers<void>();
    const mayEnd = Promise.withResolvers<void>();
    const holding = probing(store.db, async (trx) => {
      await lock(trx);
      held.resolve();
      await mayEnd.promise;
    });
    await held.promise;
    return () => {
      mayEnd.resolve();
      return holding;
    };
  }
  const holdSessions = () => hold((trx) => sql`lock table sessions in share mode`.execute(trx));
  const holdAuditChain = () => hold((trx) => holdLock(trx, 'auditChain', tenant.id));

  const secondNow = async () => {
    const { rows } = await probing(store.db, (trx) =>
      sql<{ sec: number }>`select floor(extract(epoch from clock_timestamp()))::bigint as sec`.execute(trx),
    );
    return Number(rows[0]?.sec);
  };

  test('a follower misses no entry, even when a transaction with a lower number commits late', async () => {
    const before = await head();
    const [slow, fast] = [uuidv7(), uuidv7()];
    const revoke = (userId: string, beforeCommit?: Promise<void>, written?: () => void) =>
      store.db.transaction({ role: roles.self, userId }, async (trx) => {
        await appendRevocations(trx, [{ kind: 'user', user_id: userId }]);
        written?.();
        await beforeCommit;
      });
    const written = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const slowWriter = revoke(slow, mayCommit.promise, written.resolve);
    await written.promise;
    const fastWriter = revoke(fast);
    await Promise.race([fastWriter, waiting(1)]);
    const first = await since(before);
    mayCommit.resolve();
    await Promise.all([slowWriter, fastWriter]);
    const second = await since(first);
    const seen = [...first.items, ...second.items].map(({ user_id }) => user_id);
    expect(seen).toEqual([slow, fast]);
  });

  type Revoking = (person: Person, own: Grant) => Promise<unknown>;
  const ownerOf = ({ access: { userId, sessionId } }: Grant) => ({ userId, sessionId });
  const revokings: [name: string, kind: 'session' | 'member' | 'user' | 'tenant', revoke: Revoking][] = [
    ['everything is logged out', 'user', (_person, own) => logOut(store.db, ownerOf(own), 'all', 'test')],
    ['the person is disabled', 'user', ({ email }) => disableUser(store.db, email, 'test')],
    [
      'the role is changed',
      'member',
      ({ userId }) => changeMember(store.db, admin, { userId, wanted: { role: 'complainant' } }),
    ],
    ['all sessions of all tenants are ended', 'tenant', () => endAllSessions(store.db, 'test')],
    [
      'the password is changed',
      'session',
      (_person, own) => changePassword(parts, ownerOf(own), { current: password, next: `${password} 2` }, caller),
    ],
  ];

  test.each(revokings)('a login that runs while %s also ends', async (_name, kind, revoke) => {
    const person = await makePerson(store.db, parts.passwords, [tenant]);
    const own = await grantFor(parts, person, tenant);
    const before = await head();
    const letGo = await holdSessions();
    const issuing = grantFor(parts, person, tenant);
    await waiting(1);
    const startedSec = await secondNow();
    const revoking = revoke(person, own);
    await Promise.race([revoking, waiting(2)]);
    // The token's `iat` is then later than the second in which the revocation began.
    await eventually(async () => expect(await secondNow()).toBeGreaterThan(startedSec));
    await letGo();
    const [{ access, refreshToken }] = await Promise.all([issuing, revoking]);
    const { items } = await since(before);
    if (kind === 'tenant') expect(items.map(({ tenant_id }) => tenant_id)).toContain(tenant.id);
    else expect(items.map(({ sid }) => sid)).toContain(access.sessionId);
    if (kind !== 'session') {
      const entry = items.findLast((item) => item.kind === kind);
      expect(access.issuedAtSec * 1000).toBeLessThan(entry?.not_before.getTime() ?? 0);
    }
    expect(await codeOf(refresh(parts, refreshToken, caller))).toBe('session_revoked');
  });

  describe('a concurrent switch of tenant', () => {
    let other: Tenant;
    let person: Person;
    let from: Grant;
    beforeEach(async () => {
      other = await makeTenant(store.db, `other-${uuidv7()}`);
      person = await makePerson(store.db, parts.passwords, [tenant, other]);
      from = await grantFor(parts, person, tenant);
    });
    const switching = () =>
      switchTenant(parts, from.access, { tenantId: other.id, transport: 'body' }, caller) as Promise<
        Extract<Admission, { kind: 'granted' }>
      >;

    test('a session that starts from a session that is being logged out also ends', async () => {
      const mine = await grantFor(parts, person, tenant);
      const letGo = await holdSessions();
      const issuing = switching();
      await waiting(1);
      const revoking = logOut(store.db, ownerOf(mine), 'others', 'test');
      await Promise.race([revoking, waiting(2)]);
      await letGo();
      const [{ grant }] = await Promise.all([issuing, revoking]);
      expect(await codeOf(refresh(parts, grant.refreshToken, caller))).toBe('session_revoked');
      expect(await codeOf(refresh(parts, mine.refreshToken, caller))).toBe('ok');
    });

    test('a tenant switch delays the logout of its session, and no session starts from it after the response', async () => {
      // The lock is on the new tenant, so the logout in the old tenant does not wait for it.
      const letGo = await hold((trx) => holdLock(trx, 'auditChain', other.id));
      const issuing = switching();
      await waiting(1);
      const revoking = logOut(store.db, ownerOf(from), 'this', 'test').then(() => 'logged out');
      const first = await Promise.race([revoking, waiting(2)]);
      await letGo();
      await Promise.all([issuing, revoking]);
      expect(first).toBeUndefined();
    });
  });

  test('a login that waits for a revocation is valid afterwards', async () => {
    const before = await head();
    const revoked = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const revoking = store.db.transaction({ role: roles.self, userId: who.userId }, async (trx) => {
      await sql`select id from users where id = ${who.userId} for update`.execute(trx);
      await appendRevocations(trx, [{ kind: 'user', user_id: who.userId }]);
      revoked.resolve();
      await mayCommit.promise;
    });
    await revoked.promise;
    const issuing = grantFor(parts, who, tenant);
    await Promise.race([issuing, waiting(1)]);
    mayCommit.resolve();
    await revoking;
    const { access } = await issuing;
    const [entry] = (await since(before)).items;
    expect(access.issuedAtSec * 1000).toBeGreaterThanOrEqual(entry?.not_before.getTime() ?? Infinity);
  });

  test.each(['user', 'member', 'tenant'] as const)(
    'with a %s revoked in the same second, earlier tokens are refused and later ones are accepted',
    async (kind) => {
      // Three times, because a run may cross the boundary of a second.
      for (let round = 0; round < 3; round += 1) {
        const own = await makeTenant(store.db, `${kind}-${uuidv7()}`);
        const person = await makePerson(store.db, parts.passwords, [own]);
        const earlier = await grantFor(parts, person, own);
        const before = await head();
        await probing(store.db, (trx) =>
          trx
            .insertInto('revocations')
            .values({
              kind,
              ...(kind !== 'tenant' && { user_id: person.userId }),
              ...(kind !== 'user' && { tenant_id: own.id }),
              not_before: sql<Date>`date_trunc('second', clock_timestamp()) + interval '1 second'`,
              expires_at: sql<Date>`clock_timestamp() + interval '1 hour'`,
            })
            .execute(),
        );
        const later = await grantFor(parts, person, own);
        const refreshed = await refresh(parts, later.refreshToken, caller);
        const notBefore = (await since(before)).items[0]?.not_before.getTime() ?? Number.NaN;
        const isRefused = ({ access }: Grant) => access.issuedAtSec * 1000 < notBefore;
        expect([earlier, later, refreshed].map(isRefused)).toEqual([true, false, false]);
      }
    },
  );

  test('the second of two logouts from everywhere in one second ends a session that started in between', async () => {
    const person = await makePerson(store.db, parts.passwords, [tenant]);
    const everywhere = () => logOut(store.db, { userId: person.userId, sessionId: uuidv7() }, 'all', 'test');
    await everywhere();
    // Its `iat` is the not_before of the first logout, which may equal that of the second one: the entry alone would
    // accept it.
    const { access } = await grantFor(parts, person, tenant);
    const before = await head();
    await everywhere();
    expect((await since(before)).items.map(({ sid }) => sid)).toContain(access.sessionId);
  });

  const mailedReset = async (userId: string) => {
    const token = uuidv7();
    const subject = { purpose: 'password_reset', user_id: userId } as const;
    await store.db.transaction({ role: roles.courier }, (trx) =>
      saveMailedToken(trx, token, { subject, lifetimeSec: 60 }),
    );
    return token;
  };
  const changes: [string, (userId: string) => Promise<() => Promise<unknown>>][] = [
    [
      'a member change',
      async (userId) => () => changeMember(store.db, admin, { userId, wanted: { role: 'complainant' } }),
    ],
    [
      'a password reset',
      async (userId) => {
        const token = await mailedReset(userId);
        return () => resetPassword(parts, { token, password: newPassword }, caller);
      },
    ],
  ];
  test.each(changes)('%s and a logout of the same person do not wait for each other', async (_name, prepare) => {
    const person = await makePerson(store.db, parts.passwords, [tenant]);
    const { access, refreshToken } = await grantFor(parts, person, tenant);
    const change = await prepare(person.userId);
    const letGo = await holdAuditChain();
    const changing = change();
    await waiting(1);
    const leaving = logOut(store.db, { userId: person.userId, sessionId: access.sessionId }, 'this', 'test');
    await waiting(2);
    await letGo();
    expect(await Promise.allSettled([changing, leaving])).toMatchObject([
      { status: 'fulfilled' },
      { status: 'fulfilled' },
    ]);
    expect(await codeOf(refresh(parts, refreshToken, caller))).toBe('session_revoked');
  });

  test('two operator commands for one tenant do not deadlock', async () => {
    const person = await makePerson(store.db, parts.passwords, [tenant]);
    await grantFor(parts, person, tenant);
    const letGo = await holdAuditChain();
    const inviting = inviteAdministrator(store.db, { slug: tenant.slug, email: `${uuidv7()}@new.test` }, 'test');
    await waiting(1);
    const disabling = disableUser(store.db, person.email, 'test');
    await waiting(2);
    await letGo();
    expect(await Promise.allSettled([inviting, disabling])).toMatchObject([
      { status: 'fulfilled' },
      { status: 'fulfilled', value: { ended: 1 } },
    ]);
  });
});
