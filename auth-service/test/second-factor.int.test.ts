import type { IdentityClaims } from '@countersign/identity';
import { databases, silentLogger, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { totpCode, totpStep } from '../src/domain/second-factor/totp.ts';
import type { RunningService } from '../src/service.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { type TestGateway, testGateway } from './support/gateway.ts';
import { makePerson, makeTenant, type Person, password, type Tenant, testPasswords } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';
import { startService } from './support/service.ts';
import { base32Bytes } from './support/totp.ts';

const nowSec = () => Math.floor(Date.now() / 1000);

describe.each(databases())('a second factor on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let gateway: TestGateway;
  let service: RunningService;
  let tenant: Tenant;
  beforeAll(async () => {
    store = await openProbed(database);
    gateway = await testGateway();
    service = await startService(store.db, gateway, silentLogger());
    tenant = await makeTenant(store.db, 'acme');
  });
  afterAll(async () => {
    await service.stop();
    await gateway.close();
    await store.close();
  });

  let places = 0;
  const freshAddress = () => {
    places += 1;
    return `198.51.${Math.floor(places / 250)}.${1 + (places % 250)}`;
  };
  const send = async (target: string, body: unknown, more: { as?: IdentityClaims; ip?: string } = {}) => {
    const { status, body: answer } = await gateway.call(service.port, 'POST', target, { ...more, body });
    return { status, code: answer.code as string | undefined, body: answer };
  };
  const logIn = (who: Person, more: object = {}) =>
    send('/v1/auth/login', { email: who.email, password, ...more }, { ip: freshAddress() });
  /** The identity that the gateway signs for a person with this access token. */
  const asHolder = (accessToken: string, more: { authTime?: number } = {}): IdentityClaims => {
    const claims = decodeJwt<{ sid: string; tenant_id: string; role: string; amr: string[]; auth_time: number }>(
      accessToken,
    );
    return {
      kind: 'user',
      userId: claims.sub ?? '',
      role: claims.role,
      tenantId: claims.tenant_id,
      context: { sid: claims.sid, amr: claims.amr, authTime: claims.auth_time, ...more },
    };
  };
  /**
   * A code of the next step, because enrolling used up the current one. It stays valid even if the current step ends
   * meanwhile.
   */
  const codeOf = (secret: Buffer, stepsAhead = 1) => totpCode(secret, totpStep(new Date()) + stepsAhead);

  async function enrolled(tenants: Tenant[] = [tenant]) {
    const who = await makePerson(store.db, await testPasswords(), tenants);
    const first = await logIn(who, { tenant: tenants[0]?.slug });
    const me = asHolder(first.body.access_token);
    const enrolment = await send('/v1/auth/mfa/totp', {}, { as: me });
    expect(enrolment.status).toBe(200);
    const secret = base32Bytes(enrolment.body.secret);
    const confirmed = await send('/v1/auth/mfa/totp/confirm', { code: codeOf(secret, 0) }, { as: me });
    expect(confirmed.status).toBe(200);
    return { who, me, secret, first, recoveryCodes: confirmed.body.recovery_codes as string[] };
  }
  const audited = (who: Person) =>
    probing(store.db, async (trx) =>
      (
        await trx.selectFrom('audit_log').select('action').where('user_id', '=', who.userId).orderBy('seq').execute()
      ).map(({ action }) => action),
    );

  test('a confirmed second factor is required, and then the token has otp in amr', async () => {
    const { who, secret } = await enrolled();
    const asked = await logIn(who);
    expect(asked).toMatchObject({ status: 401, code: 'mfa_required', body: { mfa_token: expect.any(String) } });
    expect(asked.body.access_token).toBeUndefined();
    const given = { mfa_token: asked.body.mfa_token, code: codeOf(secret) };
    const done = await send('/v1/auth/login/mfa', given);
    expect(done.status).toBe(200);
    expect(decodeJwt(done.body.access_token)).toMatchObject({ amr: ['pwd', 'otp'] });
    const refreshed = await send('/v1/auth/refresh', { refresh_token: done.body.refresh_token });
    expect(decodeJwt(refreshed.body.access_token)).toMatchObject({ amr: ['pwd', 'otp'] });
    expect((await send('/v1/auth/login/mfa', given)).code).toBe('invalid_mfa_token');
  });

  test('an unconfirmed second factor is not required', async () => {
    const who = await makePerson(store.db, await testPasswords(), [tenant]);
    const first = await logIn(who);
    await send('/v1/auth/mfa/totp', {}, { as: asHolder(first.body.access_token) });
    expect((await logIn(who)).status).toBe(200);
  });

  test('accepts a code once across all logins', async () => {
    const { who, secret } = await enrolled();
    const [one, two] = [await logIn(who), await logIn(who)];
    const code = codeOf(secret);
    const both = await Promise.all(
      [one, two].map(({ body }) => send('/v1/auth/login/mfa', { mfa_token: body.mfa_token, code })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
    expect(both.find(({ status }) => status === 401)?.code).toBe('invalid_code');
  });

  test('finishes a login only once when two codes arrive at the same time', async () => {
    const { who, secret, recoveryCodes } = await enrolled();
    const { body } = await logIn(who);
    const codes = [codeOf(secret, 0), codeOf(secret), recoveryCodes[0], recoveryCodes[1]];
    const all = await Promise.all(codes.map((code) => send('/v1/auth/login/mfa', { mfa_token: body.mfa_token, code })));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
    const left = await gateway.call(service.port, 'GET', '/v1/auth/mfa', {
      as: asHolder((await finish()).access_token),
    });
    // The code that lost the race was not used up.
    expect(left.body.recovery_codes_left).toBeGreaterThanOrEqual(8);

    async function finish() {
      const again = await logIn(who);
      return (await send('/v1/auth/login/mfa', { mfa_token: again.body.mfa_token, code: recoveryCodes[9] })).body;
    }
  });

  test('a code is requested after the choice of a tenant', async () => {
    const other = await makeTenant(store.db, `globex-${nowSec()}`);
    const { who, secret } = await enrolled([tenant, other]);
    const choice = await logIn(who);
    expect([choice.status, choice.code]).toEqual([409, 'tenant_selection_required']);
    const { selection_token } = choice.body;
    const asked = await send('/v1/auth/login/tenant', { selection_token, tenant_id: other.id });
    expect([asked.status, asked.code]).toEqual([401, 'mfa_required']);
    const done = await send('/v1/auth/login/mfa', { mfa_token: asked.body.mfa_token, code: codeOf(secret) });
    expect(done.body.tenant).toMatchObject({ slug: other.slug });
  });

  test('each of the ten recovery codes works once, however it is typed', async () => {
    const { who, recoveryCodes } = await enrolled();
    expect(new Set(recoveryCodes).size).toBe(10);
    const use = async (code: string | undefined) => {
      const { body } = await logIn(who);
      return send('/v1/auth/login/mfa', { mfa_token: body.mfa_token, code });
    };
    const typed = recoveryCodes[0]?.toLowerCase().replaceAll('-', ' ');
    const done = await use(typed);
    expect(done.status).toBe(200);
    expect(decodeJwt(done.body.access_token)).toMatchObject({ amr: ['pwd', 'otp'] });
    expect((await use(recoveryCodes[0])).code).toBe('invalid_code');
    const status = await gateway.call(service.port, 'GET', '/v1/auth/mfa', { as: asHolder(done.body.access_token) });
    expect(status.body).toEqual({ totp: true, recovery_codes_left: 9 });
    expect(await audited(who)).toContain('mfa.recovery_code_used');
  });

  test('ends the other sessions when it is confirmed, and revokes their tokens; this session continues', async () => {
    const who = await makePerson(store.db, await testPasswords(), [tenant]);
    const [here, there] = [await logIn(who), await logIn(who)];
    const me = asHolder(here.body.access_token);
    const { body } = await send('/v1/auth/mfa/totp', {}, { as: me });
    await send('/v1/auth/mfa/totp/confirm', { code: codeOf(base32Bytes(body.secret), 0) }, { as: me });
    const refresh = (from: typeof here) => send('/v1/auth/refresh', { refresh_token: from.body.refresh_token });
    expect((await refresh(there)).code).toBe('session_revoked');
    expect((await refresh(here)).status).toBe(200);
    const revoked = await probing(store.db, (trx) =>
      trx.selectFrom('revocations').select('sid').where('user_id', '=', who.userId).execute(),
    );
    expect(revoked).toEqual([{ sid: there.body.session_id }]);
  });

  const changes: [name: string, method: 'POST' | 'DELETE', target: string, body: unknown][] = [
    ['an enrollment', 'POST', '/v1/auth/mfa/totp', {}],
    ['a confirmation', 'POST', '/v1/auth/mfa/totp/confirm', { code: '000000' }],
    ['a removal', 'DELETE', '/v1/auth/mfa/totp', undefined],
    ['new recovery codes', 'POST', '/v1/auth/mfa/recovery-codes', {}],
  ];
  test.each(changes)(
    'refuses %s long after the login, with the challenge of RFC 9470',
    async (_name, method, target, body) => {
      const { me } = await enrolled();
      if (me.kind !== 'user') throw new Error('not a user');
      const late = { ...me, context: { ...me.context, amr: ['pwd', 'otp'], authTime: nowSec() - 301 } };
      const refused = await gateway.call(service.port, method, target, {
        as: late,
        ...(body !== undefined && { body }),
      });
      expect([refused.status, refused.body.code]).toEqual([401, 'fresh_login_required']);
      expect(refused.headers['www-authenticate']).toBe('Bearer error="insufficient_user_authentication", max_age=300');
      const without = await gateway.call(service.port, method, target, { as: me, ...(body !== undefined && { body }) });
      expect([without.status, without.body.code]).toEqual([401, 'fresh_login_required']);
    },
  );

  test('a person can remove it or replace the recovery codes after a recent login with it', async () => {
    const { who, me, secret, recoveryCodes } = await enrolled();
    if (me.kind !== 'user') throw new Error('not a user');
    const fresh = { ...me, context: { ...me.context, amr: ['pwd', 'otp'] } };
    const renewed = await send('/v1/auth/mfa/recovery-codes', {}, { as: fresh });
    expect(renewed.body.recovery_codes).toHaveLength(10);
    const asked = await logIn(who);
    const old = await send('/v1/auth/login/mfa', { mfa_token: asked.body.mfa_token, code: recoveryCodes[0] });
    expect(old.code).toBe('invalid_code');
    expect((await send('/v1/auth/mfa/totp', {}, { as: fresh })).code).toBe('mfa_already_enabled');
    const removed = await gateway.call(service.port, 'DELETE', '/v1/auth/mfa/totp', { as: fresh });
    expect(removed.status).toBe(204);
    // A login that was asked for a code before this can no longer be finished.
    const stale = await send('/v1/auth/login/mfa', { mfa_token: asked.body.mfa_token, code: codeOf(secret) });
    expect(stale.code).toBe('invalid_mfa_token');
    expect((await logIn(who)).status).toBe(200);
    expect(await audited(who)).toEqual(expect.arrayContaining(['mfa.enabled', 'mfa.codes_renewed', 'mfa.removed']));
  });

  test('limits guesses to ten per network in 15 minutes, and thirty per person in an hour', async () => {
    const { who, secret } = await enrolled();
    const { body } = await logIn(who);
    const guess = (ip: string, code = '000000') =>
      send('/v1/auth/login/mfa', { mfa_token: body.mfa_token, code }, { ip });
    const codes: (string | undefined)[] = [];
    for (let place = 0; place < 3; place += 1) {
      const ip = freshAddress();
      codes.push(...(await Promise.all(Array.from({ length: 12 }, () => guess(ip)))).map(({ code }) => code));
    }
    // Attempts refused for an address do not count against the person's thirty.
    expect(codes.filter((code) => code === 'invalid_code')).toHaveLength(30);
    expect(codes.filter((code) => code === 'too_many_attempts')).toHaveLength(6);
    expect((await guess(freshAddress(), codeOf(secret))).code).toBe('too_many_attempts');
  });

  test.each([
    ['from a login without the second factor', {}],
    ['from an old login', { authTime: nowSec() - 600, amr: ['pwd', 'otp'] }],
    ['from a recent login with all factors', { amr: ['pwd', 'otp'] }],
  ])('does not count confirmations with an access token %s against the owner’s attempts', async (_what, context) => {
    const { who, me, secret } = await enrolled();
    const as: IdentityClaims = { ...me, context: { ...me.context, ...context } };
    for (let count = 0; count < 31; count += 1) {
      const { code } = await send('/v1/auth/mfa/totp/confirm', { code: '000000' }, { as, ip: freshAddress() });
      expect(['fresh_login_required', 'mfa_already_enabled']).toContain(code);
    }
    const { body } = await logIn(who);
    const given = { mfa_token: body.mfa_token, code: codeOf(secret) };
    expect((await send('/v1/auth/login/mfa', given, { ip: freshAddress() })).status).toBe(200);
  });

  test('encrypts the stored secret, and stores only hashes of codes and tokens', async () => {
    const { who, secret, recoveryCodes } = await enrolled();
    const { body } = await logIn(who);
    const dump = await probing(store.db, async (trx) =>
      JSON.stringify(
        [
          await trx.selectFrom('totp').selectAll().execute(),
          await trx.selectFrom('recovery_codes').selectAll().execute(),
          await trx.selectFrom('one_time_tokens').selectAll().execute(),
          await trx.selectFrom('audit_log').selectAll().execute(),
        ],
        (_key, value) =>
          value?.type === 'Buffer' || value instanceof Uint8Array
            ? Buffer.from(value.data ?? value).toString('latin1')
            : value,
      ),
    );
    const canaries = [secret.toString('latin1'), secret.toString('hex'), body.mfa_token, ...recoveryCodes];
    for (const canary of [...canaries, ...recoveryCodes.map((code) => code.replaceAll('-', ''))]) {
      expect(dump).not.toContain(JSON.stringify(canary).slice(1, -1));
    }
  });

  test('one person’s secret cannot be decrypted for another person', async () => {
    const [a, b] = [await enrolled(), await enrolled()];
    await probing(store.db, async (trx) => {
      const row = await trx
        .selectFrom('totp')
        .select('secret_enc')
        .where('user_id', '=', a.who.userId)
        .executeTakeFirstOrThrow();
      await trx.updateTable('totp').set({ secret_enc: row.secret_enc }).where('user_id', '=', b.who.userId).execute();
    });
    const { body } = await logIn(b.who);
    const tried = await send('/v1/auth/login/mfa', { mfa_token: body.mfa_token, code: codeOf(a.secret) });
    expect([tried.status, tried.code]).toEqual([500, 'internal_error']);
  });
});
