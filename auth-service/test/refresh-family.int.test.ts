import { databases, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sql } from 'kysely';
import { parseKeyRing } from '../src/domain/keys/key-ring.ts';
import { decodeRefreshToken, encodeRefreshToken } from '../src/domain/sessions/refresh-token.ts';
import type { Grant } from '../src/flows/sessions/admit.ts';
import { logOut } from '../src/flows/sessions/end-sessions.ts';
import type { LoginParts } from '../src/flows/sessions/log-in.ts';
import { identifySession, type RefreshParts, refresh } from '../src/flows/sessions/refresh.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { removeExpired } from '../src/store/upkeep.ts';
import { caller, codeOf, grantFor, loginParts, macKeys } from './support/flows.ts';
import { makePerson, makeTenant, type Person, ring, type Tenant } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

describe.each(databases())('a refresh token family on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts & RefreshParts;
  let tenant: Tenant;
  let person: Person;
  beforeAll(async () => {
    store = await openProbed(database);
    parts = await loginParts(store.db);
    tenant = await makeTenant(store.db, 'acme');
    person = await makePerson(store.db, parts.passwords, [tenant]);
  });
  afterAll(() => store.close());

  const start = () => grantFor(parts, person, tenant);
  const present = (token: string) => refresh(parts, token, caller);
  const sessionRow = ({ access }: Grant) =>
    probing(store.db, (trx) =>
      trx.selectFrom('sessions').selectAll().where('id', '=', access.sessionId).executeTakeFirstOrThrow(),
    );
  /** Moves the last rotation into the past by this duration. */
  const age = ({ access }: Grant, seconds: number) =>
    probing(store.db, (trx) =>
      sql`update sessions set rotated_at = rotated_at - make_interval(secs => ${seconds}::int)
          where id = ${access.sessionId}`.execute(trx),
    );
  const revocationsOf = ({ access }: Grant) =>
    probing(store.db, (trx) => trx.selectFrom('revocations').selectAll().where('sid', '=', access.sessionId).execute());
  const auditOf = ({ access }: Grant) =>
    probing(store.db, (trx) =>
      trx.selectFrom('audit_log').selectAll().where('session_id', '=', access.sessionId).orderBy('seq').execute(),
    );

  test('continues with a new token each time, and with the current role', async () => {
    const first = await start();
    const second = await present(first.refreshToken);
    const third = await present(second.refreshToken);
    expect(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size).toBe(3);
    expect(third.access).toMatchObject({ role: 'agent', sessionId: first.access.sessionId });
    expect((await sessionRow(first)).counter).toBe(3);
  });

  test('returns the same successor to 50 concurrent refreshes, and steps once', async () => {
    const first = await start();
    const grants = await Promise.all(Array.from({ length: 50 }, () => present(first.refreshToken)));
    expect(new Set(grants.map(({ refreshToken }) => refreshToken)).size).toBe(1);
    expect((await sessionRow(first)).counter).toBe(2);
  });

  test('returns the same successor to a client that lost the response, without extending the grace period', async () => {
    const first = await start();
    const { refreshToken } = await present(first.refreshToken);
    await age(first, 29);
    const { rotated_at } = await sessionRow(first);
    expect((await present(first.refreshToken)).refreshToken).toBe(refreshToken);
    expect((await sessionRow(first)).rotated_at).toEqual(rotated_at);
  });

  test('ends when a token is reused after the grace period: row, audit and revocation together', async () => {
    const first = await start();
    const second = await present(first.refreshToken);
    await age(first, 31);
    expect(await codeOf(present(first.refreshToken))).toBe('refresh_token_reused');
    expect(await sessionRow(first)).toMatchObject({ revoked_reason: 'reuse', sealed_successor: null });
    expect(await revocationsOf(first)).toMatchObject([{ kind: 'session', user_id: person.userId }]);
    expect((await auditOf(first)).map(({ action, detail }) => [action, detail])).toContainEqual([
      'session.ended',
      '{"reason":"reuse"}',
    ]);
    expect(await codeOf(present(second.refreshToken))).toBe('session_revoked');
  });

  test('ends when a token from two rotations ago is reused, even within the grace period', async () => {
    const first = await start();
    const second = await present(first.refreshToken);
    await present(second.refreshToken);
    expect(await codeOf(present(first.refreshToken))).toBe('refresh_token_reused');
  });

  test('a family has no grace period after a logout', async () => {
    const first = await start();
    const second = await present(first.refreshToken);
    await logOut(store.db, { userId: person.userId, sessionId: first.access.sessionId }, 'this', 'test');
    expect(await codeOf(present(first.refreshToken))).toBe('session_revoked');
    expect(await codeOf(present(second.refreshToken))).toBe('session_revoked');
  });

  test.each([
    ['idle', 'idle_expires_at'],
    ['absolute', 'absolute_expires_at'],
  ])('ends at its %s timeout, even within the grace period', async (_name, column) => {
    const first = await start();
    const second = await present(first.refreshToken);
    await probing(store.db, (trx) =>
      sql`update sessions set ${sql.ref(column)} = clock_timestamp() where id = ${first.access.sessionId}`.execute(trx),
    );
    expect(await codeOf(present(second.refreshToken))).toBe('session_expired');
    expect(await codeOf(present(first.refreshToken))).toBe('session_expired');
  });

  test('ends at its absolute timeout even when it is in use', async () => {
    const first = await start();
    await probing(store.db, (trx) =>
      sql`update sessions set absolute_expires_at = clock_timestamp() + interval '1 hour'
          where id = ${first.access.sessionId}`.execute(trx),
    );
    const second = await present(first.refreshToken);
    expect(second.refreshExpiresInSec).toBeLessThanOrEqual(3600);
    expect(second.refreshExpiresInSec).toBeGreaterThan(3590);
  });

  test.each<[string, 'users' | 'memberships' | 'tenants']>([
    ['the person', 'users'],
    ['the membership', 'memberships'],
    ['the tenant', 'tenants'],
  ])('ends when %s is disabled', async (_name, table) => {
    const own = await makeTenant(store.db, `t-${table}`);
    const member = await makePerson(store.db, parts.passwords, [own]);
    const first = await grantFor(parts, member, own);
    await probing(store.db, (trx) =>
      table === 'memberships'
        ? trx.updateTable(table).set({ status: 'disabled' }).where('tenant_id', '=', own.id).execute()
        : trx
            .updateTable(table)
            .set({ status: 'disabled' })
            .where('id', '=', table === 'users' ? member.userId : own.id)
            .execute(),
    );
    expect(await codeOf(present(first.refreshToken))).toBe('session_revoked');
    expect(await sessionRow(first)).toMatchObject({ revoked_reason: 'inactive' });
  });

  test('a token that this service did not issue changes nothing', async () => {
    const first = await start();
    const token = decodeRefreshToken(first.refreshToken, macKeys);
    if (token === undefined) throw new Error('our own token does not decode');
    const forged = encodeRefreshToken(token, parseKeyRing(ring('mac', 9)).current);
    expect(await codeOf(present(forged))).toBe('invalid_refresh_token');
    expect(await codeOf(present(first.refreshToken))).toBe('ok');
  });

  test('ends when someone with a stolen MAC key forges a token', async () => {
    const forge = async (change: { counter?: number; random?: Buffer }) => {
      const first = await start();
      const token = decodeRefreshToken(first.refreshToken, macKeys);
      if (token === undefined) throw new Error('our own token does not decode');
      const code = await codeOf(present(encodeRefreshToken({ ...token, ...change }, macKeys.current)));
      return [code, (await sessionRow(first)).revoked_reason];
    };
    const seen: unknown[] = [];
    parts = { ...parts, observe: (outcome) => seen.push(outcome) };
    expect(await forge({ counter: 2 })).toEqual(['invalid_refresh_token', 'ahead']);
    expect(seen).toEqual(['ahead']);
    expect(await forge({ random: Buffer.alloc(32) })).toEqual(['refresh_token_reused', 'reuse']);
  });

  test('a token is not found in another tenant, even with a valid MAC', async () => {
    const other = await makeTenant(store.db, `other-${Date.now().toString(36)}`);
    const first = await start();
    const token = decodeRefreshToken(first.refreshToken, macKeys);
    if (token === undefined) throw new Error('our own token does not decode');
    const moved = encodeRefreshToken({ ...token, tenantId: other.id }, macKeys.current);
    expect(await codeOf(present(moved))).toBe('invalid_refresh_token');
    expect(await codeOf(present(first.refreshToken))).toBe('ok');
  });

  test('a family that is bound to a key is neither continued nor ended without a proof of that key', async () => {
    const first = await start();
    await probing(store.db, (trx) =>
      trx.updateTable('sessions').set({ jkt: 'thumb' }).where('id', '=', first.access.sessionId).execute(),
    );
    for (const jkt of [null, 'other']) {
      expect(await codeOf(refresh(parts, first.refreshToken, { ...caller, jkt }))).toBe('invalid_refresh_token');
      expect(await codeOf(identifySession(parts, first.refreshToken, jkt))).toBe('invalid_refresh_token');
    }
    expect(await identifySession(parts, first.refreshToken, 'thumb')).toMatchObject({ current: true });
    const bound = await refresh(parts, first.refreshToken, { ...caller, jkt: 'thumb' });
    expect(bound.access.jkt).toBe('thumb');
  });

  test('deletes the encrypted successor token after the grace period', async () => {
    const first = await start();
    await present(first.refreshToken);
    await age(first, 31);
    await removeExpired(store.db);
    expect((await sessionRow(first)).sealed_successor).toBeNull();
  });

  test('matches a small model for any sequence of tokens', async () => {
    type Step = { do: 'present'; which: number } | { do: 'wait' } | { do: 'logout' };
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('present' as const), which: fc.nat({ max: 3 }) }) },
      { weight: 2, arbitrary: fc.constant<Step>({ do: 'wait' }) },
      { weight: 1, arbitrary: fc.constant<Step>({ do: 'logout' }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        const first = await start();
        // The model: every issued token, newest last, and the state of the family.
        const given = [first.refreshToken];
        let dead = false;
        let graceOpen = false;
        for (const next of steps) {
          if (next.do === 'wait') {
            await age(first, 31);
            graceOpen = false;
          } else if (next.do === 'logout') {
            await logOut(store.db, { userId: person.userId, sessionId: first.access.sessionId }, 'this', 'test');
            dead = true;
          } else {
            const index = Math.max(0, given.length - 1 - next.which);
            const stepsBack = given.length - 1 - index;
            const outcome = await present(given[index] ?? '').catch((error: { code: string }) => error);
            if (dead) expect(outcome).toMatchObject({ code: 'session_revoked' });
            else if (stepsBack === 0) {
              expect(outcome).toMatchObject({ refreshToken: expect.any(String) });
              given.push((outcome as Grant).refreshToken);
              graceOpen = true;
            } else if (stepsBack === 1 && graceOpen) {
              expect(outcome).toMatchObject({ refreshToken: given.at(-1) });
            } else {
              expect(outcome).toMatchObject({ code: 'refresh_token_reused' });
              dead = true;
            }
          }
        }
        expect(new Set(given).size).toBe(given.length);
        expect((await revocationsOf(first)).length).toBe(dead ? 1 : 0);
      }),
      { numRuns: 25 },
    );
  });
});
