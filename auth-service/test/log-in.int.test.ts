import { databases, redisServers, silentLogger, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createHashQueue, createPasswords } from '../src/domain/accounts/passwords.ts';
import { parseKeyRing } from '../src/domain/keys/key-ring.ts';
import { chooseTenant, type LoginParts, logIn } from '../src/flows/sessions/log-in.ts';
import { createThrottle, loginLimits } from '../src/flows/sessions/throttle.ts';
import { auditHash, chainStart } from '../src/store/audit/audit.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { type Attempts, databaseAttempts, redisAttempts, withFallback } from '../src/store/sessions/attempts.ts';
import { type AuthDatabase, roles } from '../src/store/transaction.ts';
import { caller, codeOf, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, type Person, password, peppers, ring, type Tenant } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

const transport = 'body' as const;

describe.each(databases())('logging in on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts;
  let tenant: Tenant;
  beforeAll(async () => {
    store = await openProbed(database);
    parts = await loginParts(store.db);
    tenant = await makeTenant(store.db, 'acme');
  });
  afterAll(() => store.close());

  const person = () => makePerson(store.db, parts.passwords, [tenant]);
  const attempt = (email: string, secret = password, more: { tenant?: string; ip?: string } = {}) =>
    logIn(parts, { email, password: secret, tenant: more.tenant, transport }, { ...caller, ip: more.ip ?? caller.ip });

  test('accepts the email address in any case', async () => {
    const { email, userId } = await person();
    expect(await attempt(email.toUpperCase())).toMatchObject({ kind: 'granted', grant: { access: { userId } } });
  });

  test('chains audit entries, so that a changed or removed entry is detected', async () => {
    const { email } = await person();
    for (let count = 0; count < 3; count += 1) await attempt(email);
    const rows = await probing(store.db, (trx) =>
      trx.selectFrom('audit_log').selectAll().where('tenant_id', '=', tenant.id).orderBy('seq').execute(),
    );
    let previous: Buffer = chainStart;
    for (const [index, row] of rows.entries()) {
      expect(row.seq).toBe(index + 1);
      const hash = auditHash(previous, row);
      expect(Buffer.from(row.hash)).toEqual(hash);
      previous = hash;
    }
    expect(rows.length).toBeGreaterThanOrEqual(3);
  });

  test('asks for the tenant if there are several, and accepts the selection token once', async () => {
    const other = await makeTenant(store.db, 'globex');
    const both = await makePerson(store.db, parts.passwords, [tenant, other]);
    const result = await attempt(both.email);
    if (result.kind !== 'choose') throw new Error('no choice was asked for');
    expect(result.tenants.map(({ slug }) => slug)).toEqual(['acme', 'globex']);
    const choice = { selectionToken: result.selectionToken, tenantId: other.id, mayUse() {} };
    expect(await chooseTenant(parts, choice, caller)).toMatchObject({ grant: { tenantSlug: 'globex' } });
    expect(await codeOf(chooseTenant(parts, choice, caller))).toBe('invalid_selection_token');
    expect(await attempt(both.email, password, { tenant: 'acme' })).toMatchObject({ grant: { tenantSlug: 'acme' } });
  });

  test('refuses a tenant that the person does not belong to', async () => {
    const stranger = await makeTenant(store.db, 'initech');
    const other = await makeTenant(store.db, 'hooli');
    const { email } = await makePerson(store.db, parts.passwords, [tenant, other]);
    expect(await codeOf(attempt(email, password, { tenant: 'initech' }))).toBe('invalid_credentials');
    const result = await attempt(email);
    if (result.kind !== 'choose') throw new Error('no choice was asked for');
    const choice = { selectionToken: result.selectionToken, tenantId: stranger.id, mayUse() {} };
    expect(await codeOf(chooseTenant(parts, choice, caller))).toBe('invalid_selection_token');
  });

  test('stores only hashes of selection and refresh tokens', async () => {
    const other = await makeTenant(store.db, 'umbrella');
    const both = await makePerson(store.db, parts.passwords, [tenant, other]);
    const result = await attempt(both.email);
    const tokens = await probing(store.db, (trx) => trx.selectFrom('one_time_tokens').selectAll().execute());
    if (result.kind !== 'choose') throw new Error('no choice was asked for');
    expect(tokens.some(({ hash }) => Buffer.from(hash).equals(Buffer.from(result.selectionToken, 'base64url')))).toBe(
      false,
    );
    expect(tokens.length).toBeGreaterThan(0);
  });

  test('does exactly one bcrypt for every account and every failure', async () => {
    let hashes = 0;
    const queue = createHashQueue({ concurrency: 2, maxWaiting: 10 });
    const counting = await createPasswords({ peppers: parseKeyRing(peppers), cost: 4, queue }, () => {
      hashes += 1;
    });
    const counted = { ...parts, passwords: counting };
    const known = await person();
    const disabled = await disable(await person());
    const noTenant = await makePerson(store.db, parts.passwords, [await makeTenant(store.db, 'gone')]);
    await probing(store.db, (trx) =>
      trx.updateTable('memberships').set({ status: 'disabled' }).where('user_id', '=', noTenant.userId).execute(),
    );
    const cases: [email: string, secret: string][] = [
      [known.email, password],
      [known.email, 'wrong'],
      [known.email, ''],
      ['unknown@acme.test', password],
      ['unknown@acme.test', ''],
      [disabled.email, password],
      [disabled.email, 'wrong'],
      [noTenant.email, password],
    ];
    for (const [email, secret] of cases) {
      hashes = 0;
      const code = await codeOf(logIn(counted, { email, password: secret, tenant: undefined, transport }, caller));
      expect([code, hashes]).toEqual([email === known.email && secret === password ? 'ok' : 'invalid_credentials', 1]);
    }
  });

  test('updates a hash with an outdated pepper, and keeps the password', async () => {
    const { email, userId } = await person();
    const newer = await createPasswords({
      peppers: parseKeyRing(`${ring('newer', 5)},${peppers}`),
      cost: 5,
      queue: createHashQueue({ concurrency: 2, maxWaiting: 10 }),
    });
    const stored = () =>
      probing(store.db, (trx) =>
        trx.selectFrom('credentials').selectAll().where('user_id', '=', userId).executeTakeFirstOrThrow(),
      );
    const before = await stored();
    const given = { email, password, tenant: undefined, transport };
    expect(await codeOf(logIn({ ...parts, passwords: newer }, given, caller))).toBe('ok');
    const after = await stored();
    expect([before.pepper_kid, after.pepper_kid]).toEqual(['pepper', 'newer']);
    expect(after.changed_at).toEqual(before.changed_at);
    expect(await codeOf(logIn({ ...parts, passwords: newer }, given, caller))).toBe('ok');
  });

  async function disable(who: Person): Promise<Person> {
    await probing(store.db, (trx) =>
      trx.updateTable('users').set({ status: 'disabled' }).where('id', '=', who.userId).execute(),
    );
    return who;
  }
});

describe.each(databases())('the login throttle over %s', (_, database) => {
  describe.each(redisServers())('with attempts in %s', (kind, { url }) => {
    let store: ThrowAway<AuthSchema>;
    let parts: LoginParts;
    let tenant: Tenant;
    let redis: Redis | undefined;
    let attempts: Attempts;
    beforeAll(async () => {
      store = await openProbed(database);
      redis = url === undefined ? undefined : new Redis(url);
      attempts = redis === undefined ? databaseAttempts(store.db) : redisAttempts(redis);
      parts = { ...(await loginParts(store.db)), throttle: createThrottle(attempts) };
      tenant = await makeTenant(store.db, 'acme');
    });
    afterAll(async () => {
      redis?.disconnect();
      await store.close();
    });
    let place = 0;
    /** An address without counted attempts, from this run or an earlier one. */
    const freshAddress = () => {
      place += 1;
      const parts16 = [process.pid % 65536, Date.now() % 65536, place];
      return `2001:db8:${kind === 'redis' ? 'a' : 'b'}:${(parts16[0] ?? 0).toString(16)}::1`.replace(
        'db8',
        (((parts16[1] ?? 0) + place) % 65536).toString(16),
      );
    };
    const attempt = (email: string, secret: string, ip: string) =>
      codeOf(logIn(parts, { email, password: secret, tenant: undefined, transport }, { ...caller, ip }));

    test('counts 200 concurrent guesses exactly: ten are checked, and then even the right password is refused', async () => {
      const { email } = await makePerson(store.db, parts.passwords, [tenant]);
      const ip = freshAddress();
      const codes = await Promise.all(Array.from({ length: 200 }, (__, index) => attempt(email, `wrong ${index}`, ip)));
      expect(codes.filter((code) => code === 'invalid_credentials')).toHaveLength(10);
      expect(codes.filter((code) => code === 'too_many_attempts')).toHaveLength(190);
      expect(await attempt(email, password, ip)).toBe('too_many_attempts');
    });

    test('lets the victim log in from another network', async () => {
      const { email } = await makePerson(store.db, parts.passwords, [tenant]);
      const attacker = freshAddress();
      for (let count = 0; count < 12; count += 1) await attempt(email, 'wrong', attacker);
      expect(await attempt(email, password, freshAddress())).toBe('ok');
    });

    test('lets other users on the network log in, because refused attempts do not count', async () => {
      const [victim, other] = [
        await makePerson(store.db, parts.passwords, [tenant]),
        await makePerson(store.db, parts.passwords, [tenant]),
      ];
      const ip = freshAddress();
      await Promise.all(Array.from({ length: 110 }, () => attempt(victim.email, 'wrong', ip)));
      expect(await attempt(other.email, password, ip)).toBe('ok');
      // More than 100 guesses within the hour would have slowed the victim down.
      const [count] = await attempts.add([loginLimits(victim.email, ip).email]);
      expect(count?.count).toBe(11);
    });

    test('resets the counter of the address and network after a correct password', async () => {
      const { email } = await makePerson(store.db, parts.passwords, [tenant]);
      const ip = freshAddress();
      for (let round = 0; round < 3; round += 1) {
        for (let count = 0; count < 9; count += 1) await attempt(email, 'wrong', ip);
        expect(await attempt(email, password, ip)).toBe('ok');
      }
    });

    test('does not count an attempt that failed because of a server fault, even with the right password', async () => {
      const { email } = await makePerson(store.db, parts.passwords, [tenant]);
      const ip = freshAddress();
      const transaction: AuthDatabase['transaction'] = (scope, work) =>
        scope.role === roles.app ? Promise.reject(new Error('no session today')) : store.db.transaction(scope, work);
      const broken = { ...parts, db: { ...store.db, transaction } };
      const given = { email, password, tenant: undefined, transport };
      for (let count = 0; count < 11; count += 1) {
        await expect(logIn(broken, given, { ...caller, ip })).rejects.toThrow('no session today');
      }
      expect(await attempt(email, password, ip)).toBe('ok');
    });

    test('refuses a network that tries many email addresses, known or unknown, with Retry-After', async () => {
      const ip = freshAddress();
      const codes = await Promise.all(
        Array.from({ length: 110 }, (__, index) => attempt(`guess-${index}@acme.test`, 'wrong', ip)),
      );
      expect(codes.filter((code) => code === 'invalid_credentials')).toHaveLength(100);
      await expect(
        logIn(parts, { email: 'new@acme.test', password, tenant: undefined, transport }, { ...caller, ip }),
      ).rejects.toMatchObject({
        code: 'too_many_attempts',
        headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
      });
      const neighbour = ip.replace(/::1$/, '::2');
      expect(await attempt('x@acme.test', 'wrong', neighbour)).toBe('too_many_attempts');
    });

    test('counts in the database when the first store fails', async () => {
      const { email } = await makePerson(store.db, parts.passwords, [tenant]);
      const gone = new Redis(1, '127.0.0.1', { enableOfflineQueue: false, retryStrategy: () => null });
      gone.on('error', () => {});
      const either = withFallback(redisAttempts(gone), databaseAttempts(store.db), silentLogger());
      const guarded = { ...parts, throttle: createThrottle(either) };
      const given = { email, tenant: undefined, password: 'wrong', transport };
      const from = { ...caller, ip: freshAddress() };
      const codes = await Promise.all(Array.from({ length: 12 }, () => codeOf(logIn(guarded, given, from))));
      expect(codes.filter((code) => code === 'too_many_attempts')).toHaveLength(2);
    });
  });
});
