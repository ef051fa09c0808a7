import { databases, redisServers } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Account, type AccountsWorld, accountsWorld, freshEmail, newPassword } from './support/accounts-world.ts';
import { gatewayItself } from './support/gateway.ts';
import { tokenIn } from './support/mailed-token.ts';
import { makeTenant, password } from './support/people.ts';
import { probing } from './support/probed-database.ts';

describe.each(databases())('passwords on %s', (_, database) => {
  // One run has Redis and the other does not, which changes where attempts are counted.
  describe.each(redisServers().slice(-1))('with attempts in %s', (__, { url }) => {
    let world: AccountsWorld;
    beforeAll(async () => {
      world = await accountsWorld(database, { REDIS_URL: url });
    });
    afterAll(() => world.close());

    const forgot = (email: string) => world.post('/v1/auth/password/forgot', { email });
    const reset = (token: string, to = newPassword) => world.post('/v1/auth/password/reset', { token, password: to });
    const change = (who: Account, body: object) => world.post('/v1/auth/password/change', body, who);
    const refresh = (token: string) => world.post('/v1/auth/refresh', { refresh_token: token });
    const linkFor = async (email: string, count = 1) => {
      expect((await forgot(email)).status).toBe(202);
      return tokenIn(await world.mail.mailTo(email, count));
    };
    const revocationsOf = async ({ userId }: Account) => {
      const { body } = await world.call('GET', '/internal/revocations', { as: gatewayItself });
      return (body.items as { user_id?: string; kind: string; sid?: string }[]).filter(
        (item) => item.user_id === userId,
      );
    };

    test('the holder of a link can reset the password once', async () => {
      const who = await world.account('agent');
      const token = await linkFor(who.email);
      const answers = await Promise.all([reset(token), reset(token, 'another stapler, same piano')]);
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 400]);
      expect((await reset(token)).body.code).toBe('invalid_token');
      expect((await world.logIn(who.email)).status).toBe(401);
      const opened = await Promise.all(
        [newPassword, 'another stapler, same piano'].map((each) => world.logIn(who.email, each)),
      );
      expect(opened.filter(({ status }) => status === 200)).toHaveLength(1);
      expect((await world.mail.mailTo(who.email, 2)).subject).toBe('Your password was changed');
    });

    test('a reset ends every session and revokes every token, in every tenant', async () => {
      const other = await makeTenant(world.store.db, `other-${Math.random().toString(36).slice(2)}`);
      const who = await world.account('agent', [world.acme, other]);
      const [here, there] = [
        (await world.logIn(who.email, password, 'acme')).body,
        (await world.logIn(who.email, password, other.slug)).body,
      ];
      expect((await reset(await linkFor(who.email))).status).toBe(204);
      for (const { refresh_token } of [here, there]) {
        expect((await refresh(refresh_token)).body.code).toBe('session_revoked');
      }
      const revoked = await revocationsOf(who);
      expect(revoked.filter(({ kind }) => kind === 'user')).toHaveLength(1);
      expect(revoked.map(({ sid }) => sid)).toEqual(
        expect.arrayContaining([who.sid, here.session_id, there.session_id]),
      );
      const ended = await probing(world.store.db, (trx) =>
        trx.selectFrom('sessions').selectAll().where('user_id', '=', who.userId).execute(),
      );
      expect(ended.map(({ revoked_reason }) => revoked_reason)).toEqual([
        'password_reset',
        'password_reset',
        'password_reset',
      ]);
      const recorded = await probing(world.store.db, (trx) =>
        trx
          .selectFrom('audit_log')
          .select('tenant_id')
          .where('user_id', '=', who.userId)
          .where('action', '=', 'password.reset')
          .execute(),
      );
      expect(recorded.map(({ tenant_id }) => tenant_id).sort()).toEqual([world.acme.id, other.id].sort());
    });

    test('a used link invalidates all other links, and logins that wait for the choice of a tenant', async () => {
      const other = await makeTenant(world.store.db, `third-${Math.random().toString(36).slice(2)}`);
      const who = await world.account('agent', [world.acme, other]);
      const question = await world.logIn(who.email);
      expect(question.status).toBe(409);
      const first = await linkFor(who.email);
      const second = await linkFor(who.email, 2);
      expect((await reset(second)).status).toBe(204);
      expect((await reset(first)).status).toBe(400);
      const late = await world.post('/v1/auth/login/tenant', {
        selection_token: question.body.selection_token,
        tenant_id: other.id,
      });
      expect([late.status, late.body.code]).toEqual([401, 'invalid_selection_token']);
    });

    test('an expired link, or a link for a disabled account, cannot reset the password', async () => {
      const [late, gone] = [await world.account('agent'), await world.account('agent')];
      const [lateToken, goneToken] = [await linkFor(late.email), await linkFor(gone.email)];
      await probing(world.store.db, async (trx) => {
        await trx
          .updateTable('mailed_tokens')
          .set({ expires_at: new Date(Date.now() - 1_000) })
          .where('user_id', '=', late.userId)
          .execute();
        await trx.updateTable('users').set({ status: 'disabled' }).where('id', '=', gone.userId).execute();
      });
      for (const token of [lateToken, goneToken]) expect((await reset(token)).body.code).toBe('invalid_token');
      // A disabled account gets no new link.
      await forgot(gone.email);
      const other = await world.account('agent');
      await linkFor(other.email);
      expect(world.mail.received.filter(({ to }) => to === gone.email)).toHaveLength(1);
    });

    test('a reset request gets the same response for known, unknown and disabled addresses, without a bcrypt', async () => {
      const known = await world.account('agent');
      const disabled = await world.account('agent');
      await probing(world.store.db, (trx) =>
        trx.updateTable('users').set({ status: 'disabled' }).where('id', '=', disabled.userId).execute(),
      );
      const before = await world.hashes();
      const seen: unknown[] = [];
      for (const email of [known.email, known.email.toUpperCase(), disabled.email, freshEmail()]) {
        const { status, headers, text } = await forgot(email);
        const { date: _date, 'x-request-id': _id, ...rest } = headers;
        seen.push({ status, rest, text });
      }
      expect(seen[0]).toMatchObject({ status: 202, text: '' });
      for (const other of seen.slice(1)) expect(other).toEqual(seen[0]);
      expect(await world.hashes()).toBe(before);
    });

    test('a reset link leads to the configured page, whatever Host the request has', async () => {
      const who = await world.account('agent');
      await world
        .post('/v1/auth/password/forgot', { email: who.email })
        .set({ host: 'evil.test', 'x-forwarded-host': 'evil.test' });
      const { text, raw } = await world.mail.mailTo(who.email);
      expect(text).toContain('\nhttps://app.example.test/reset-password?token=');
      expect(raw).not.toContain('evil.test');
    });

    test('a refused new password leaves the link usable', async () => {
      const who = await world.account('agent');
      const token = await linkFor(who.email);
      const refused = await reset(token, 'qwertyqwerty');
      expect(refused.status).toBe(422);
      expect(refused.body.errors).toEqual([{ path: 'password', message: 'is one of the most common passwords' }]);
      expect((await reset(token, who.email)).status).toBe(422);
      expect((await reset(token)).status).toBe(204);
    });

    test('a user changes their password with the current one; this session continues and the others end', async () => {
      const who = await world.account('agent');
      const here = (await world.logIn(who.email)).body;
      const other = (await world.logIn(who.email)).body;
      const link = await linkFor(who.email);
      const changed = await change(
        { ...who, sid: here.session_id },
        { current_password: password, new_password: newPassword },
      );
      expect([changed.status, changed.text]).toEqual([204, '']);
      expect((await refresh(here.refresh_token)).status).toBe(200);
      expect((await refresh(other.refresh_token)).body.code).toBe('session_revoked');
      const revoked = (await revocationsOf(who)).map(({ kind, sid }) => [kind, sid]);
      expect(revoked).toEqual(
        expect.arrayContaining([
          ['session', who.sid],
          ['session', other.session_id],
        ]),
      );
      expect(revoked).not.toContainEqual(['session', here.session_id]);
      expect((await world.logIn(who.email)).status).toBe(401);
      expect((await world.logIn(who.email, newPassword)).status).toBe(200);
      // An older link would let its holder take the account back.
      expect((await reset(link)).status).toBe(400);
    });

    test('only one of two concurrent changes succeeds', async () => {
      const who = await world.account('agent');
      const answers = await Promise.all(
        ['first of two new passwords', 'second of two new passwords'].map((next) =>
          change(who, { current_password: password, new_password: next }),
        ),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 401]);
    });

    test.each<[string, object, number, string]>([
      ['the wrong current password', { current_password: 'wrong' }, 401, 'invalid_credentials'],
      ['no current password', { current_password: '' }, 401, 'invalid_credentials'],
      ['a short new password', { new_password: 'short' }, 422, 'validation_failed'],
      ['no new password', { new_password: undefined }, 422, 'validation_failed'],
    ])('a password is not changed with %s', async (_what, wrong, status, code) => {
      const who = await world.account('agent');
      const answer = await change(who, { current_password: password, new_password: newPassword, ...wrong });
      expect([answer.status, answer.body.code]).toEqual([status, code]);
      expect((await world.logIn(who.email)).status).toBe(200);
    });

    test('a password cannot be changed from a session that has ended', async () => {
      const who = await world.account('agent');
      await world.post('/v1/auth/logout', {}, who);
      const answer = await change(who, { current_password: password, new_password: newPassword });
      expect([answer.status, answer.body.code]).toEqual([401, 'session_revoked']);
    });

    test('guesses with an access token count like guesses at login', async () => {
      const who = await world.account('agent');
      const ip = '2001:db8:1:2::1'.replace('1:2', who.userId.slice(-4));
      const guess = () =>
        world.call('POST', '/v1/auth/password/change', {
          ip,
          as: world.as(who),
          body: { current_password: 'a guess', new_password: newPassword },
        });
      const answers = await Promise.all(Array.from({ length: 12 }, guess));
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(10);
      const login = { ip, body: { email: who.email, password } };
      expect((await world.call('POST', '/v1/auth/login', login)).status).toBe(429);
    });

    test('passwords and tokens appear neither in the log nor in the database', async () => {
      const who = await world.account('agent');
      const canary = `canary ${who.userId}`;
      const email = freshEmail();
      await world.post('/v1/auth/register', { email });
      const verification = tokenIn(await world.mail.mailTo(email));
      await world.post('/v1/auth/email/verify', { token: verification, password: canary });
      const unused = await linkFor(who.email);
      const used = await linkFor(who.email, 2);
      await reset(used, canary);
      await world.post('/v1/auth/password/reset', { token: unused, password: canary });
      await change(who, { current_password: canary, new_password: canary });
      const { access_token, refresh_token } = (await world.logIn(who.email, canary)).body;
      await world.call('POST', `/v1/auth/password/reset?token=${used}`, { body: '{"token":' });
      const secrets = [canary, verification, unused, used, access_token, refresh_token];
      const dump = await dumped();
      for (const secret of secrets) {
        const text = String(secret);
        expect(world.log.text()).not.toContain(text);
        for (const encoding of ['utf8', 'hex', 'base64'] as const) {
          expect(dump).not.toContain(Buffer.from(text).toString(encoding));
        }
        expect(dump).not.toContain(Buffer.from(text, 'base64url').toString('hex'));
      }
      expect(dump).toContain(who.email);
    });

    /** All rows, as a superuser sees them, with bytes in hex. */
    const dumped = () =>
      probing(world.store.db, async (trx) => {
        const tables = [
          ...(['users', 'credentials', 'memberships', 'sessions', 'one_time_tokens', 'audit_log', 'outbox'] as const),
          ...(['registrations', 'invitations', 'mailed_tokens', 'login_attempts', 'signing_keys'] as const),
        ];
        const rows = [];
        for (const table of tables) rows.push(...(await trx.selectFrom(table).selectAll().execute()));
        return JSON.stringify(rows, (_key, value) =>
          value?.type === 'Buffer'
            ? Buffer.from(value.data).toString('hex')
            : ArrayBuffer.isView(value)
              ? Buffer.from(value as Uint8Array).toString('hex')
              : value,
        );
      });
  });
});
