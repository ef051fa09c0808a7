import { capturingLogger, databases, redisServers } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { requestLink } from '../src/flows/accounts/register.ts';
import { type AccountsWorld, accountsWorld, freshAddress, freshEmail, newPassword } from './support/accounts-world.ts';
import { caller, loginParts } from './support/flows.ts';
import { testGateway } from './support/gateway.ts';
import { tokenIn } from './support/mailed-token.ts';
import { codeIn, pageVisitor } from './support/page-visitor.ts';
import { makeTenant } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';
import { startService } from './support/service.ts';

describe.each(databases())('registration on %s', (_, database) => {
  // One run has Redis and the other does not, which changes where attempts are counted.
  describe.each(redisServers().slice(-1))('with attempts in %s', (__, { url }) => {
    let world: AccountsWorld;
    beforeAll(async () => {
      world = await accountsWorld(database, { REDIS_URL: url });
    });
    afterAll(() => world.close());

    const register = (email: string) => world.post('/v1/auth/register', { email });
    const verify = (token: string, password = newPassword) => world.post('/v1/auth/email/verify', { token, password });
    const registered = async (email = freshEmail()) => {
      expect((await register(email)).status).toBe(202);
      return { email, token: tokenIn(await world.mail.mailTo(email)) };
    };

    test('creates the account when the address is confirmed, with exactly one bcrypt', async () => {
      const { email, token } = await registered();
      expect((await world.logIn(email, newPassword)).body.code).toBe('invalid_credentials');
      const before = await world.hashes();
      expect((await verify(token)).status).toBe(204);
      expect((await world.hashes()) - before).toBe(1);
      const answer = await world.logIn(email, newPassword);
      expect([answer.status, answer.body.tenant]).toEqual([
        200,
        { id: world.acme.id, slug: 'acme', role: 'complainant' },
      ]);
    });

    test('accepts a link once', async () => {
      const { token } = await registered();
      const answers = await Promise.all([verify(token), verify(token)]);
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 400]);
      expect((await verify(token)).body.code).toBe('invalid_token');
    });

    test('refuses an expired link', async () => {
      const { token } = await registered();
      await probing(world.store.db, (trx) =>
        trx
          .updateTable('mailed_tokens')
          .set({ expires_at: new Date(Date.now() - 1_000) })
          .execute(),
      );
      expect((await verify(token)).body.code).toBe('invalid_token');
    });

    test('uses the password chosen with the link, and refuses a password in the registration', async () => {
      const email = freshEmail();
      const attackers = 'what the attacker knows';
      expect((await world.post('/v1/auth/register', { email, password: attackers })).status).toBe(422);
      expect((await register(email)).status).toBe(202);
      expect((await verify(tokenIn(await world.mail.mailTo(email)))).status).toBe(204);
      expect((await world.logIn(email, attackers)).status).toBe(401);
      expect((await world.logIn(email, newPassword)).status).toBe(200);
    });

    test('creates one account when two links for an address are used at the same time', async () => {
      const { email, token } = await registered();
      await register(email);
      const other = tokenIn(await world.mail.mailTo(email, 2));
      const passwords = ['the first of two links', 'the second of two links'] as const;
      const answers = await Promise.all([verify(token, passwords[0]), verify(other, passwords[1])]);
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 400]);
      for (const [index, { status }] of answers.entries()) {
        expect((await world.logIn(email, passwords[index])).status).toBe(status === 204 ? 200 : 401);
      }
    });

    test.each<[string, unknown]>([
      ['a missing password', undefined],
      ['a password of 11 characters', 'elevencharz'],
      ['a password of 257 characters', 'ab'.repeat(128).concat('c')],
      ['a lone surrogate', `${newPassword}\ud800`],
      ['a common password', 'Qwerty123456'],
      ['a common password with a suffix', 'qwertyqwerty!!!'],
      ['the alphabet as the password', 'abcdefghijklmnop'],
      ['one repeated word as the password', 'abcabcabcabc'],
      ['an object as the password', {}],
    ])('refuses %s without a bcrypt, and leaves the link usable', async (_what, password) => {
      const { token } = await registered();
      const before = await world.hashes();
      const refused = await world.post('/v1/auth/email/verify', { token, password });
      expect([refused.status, refused.body.code]).toEqual([422, 'validation_failed']);
      expect(refused.body.errors).toMatchObject([{ path: 'password' }]);
      expect((await world.hashes()) - before).toBe(0);
      expect((await verify(token)).status).toBe(204);
    });

    test('refuses the address itself as the password, and leaves the link usable', async () => {
      const { email, token } = await registered();
      expect((await verify(token, email)).status).toBe(422);
      expect((await verify(token)).status).toBe(204);
    });

    test('sends a second link, and both work until one is used', async () => {
      const { email, token } = await registered();
      expect((await world.post('/v1/auth/email/resend', { email })).status).toBe(202);
      const again = tokenIn(await world.mail.mailTo(email, 2));
      expect(again).not.toBe(token);
      expect((await verify(token)).status).toBe(204);
      expect((await verify(again)).status).toBe(400);
    });

    test('changes nothing for an existing account, and informs its owner only by email', async () => {
      const { email } = await world.account('agent');
      expect((await register(email)).status).toBe(202);
      const mail = await world.mail.mailTo(email);
      expect(mail.subject).toBe('You already have an account');
      expect(mail.text).not.toContain('token');
      expect((await world.logIn(email, newPassword)).status).toBe(401);
      expect((await world.logIn(email)).status).toBe(200);
      const left = await probing(world.store.db, (trx) =>
        trx.selectFrom('registrations').selectAll().where('email_ci', '=', email).execute(),
      );
      expect(left).toEqual([]);
    });

    test('answers alike for known, unknown, disabled and pending addresses, without a bcrypt', async () => {
      const known = await world.account('agent');
      const disabled = await world.account('agent');
      await probing(world.store.db, (trx) =>
        trx.updateTable('users').set({ status: 'disabled' }).where('id', '=', disabled.userId).execute(),
      );
      const { email: awaited } = await registered();
      const seen: unknown[] = [];
      for (const email of [known.email, disabled.email, awaited, freshEmail()]) {
        const before = await world.hashes();
        const { status, headers, text } = await register(email);
        const { date: _date, 'x-request-id': _id, ...rest } = headers;
        seen.push({ status, rest, text, hashes: (await world.hashes()) - before });
      }
      expect(seen[0]).toMatchObject({ status: 202, text: '', hashes: 0 });
      for (const other of seen.slice(1)) expect(other).toEqual(seen[0]);
    });

    const attemptsOn = (email: string) =>
      probing(world.store.db, (trx) =>
        trx.selectFrom('registrations').select('id').where('email_ci', '=', email).execute(),
      );
    const registerFrom = (ip: string, email: string) =>
      world.call('POST', '/v1/auth/register', { ip, body: { email } });

    test('sends five emails an hour for one address from one network, and responds the same to later requests', async () => {
      const email = freshEmail();
      const ip = freshAddress();
      for (let count = 0; count < 25; count += 1) expect((await registerFrom(ip, email)).status).toBe(202);
      expect(await attemptsOn(email)).toHaveLength(5);
      // The owner, on another network, is not blocked.
      expect((await register(email)).status).toBe(202);
      expect(await attemptsOn(email)).toHaveLength(6);
    });

    test('sends twenty emails an hour for one address from all networks', async () => {
      const email = freshEmail();
      for (let count = 0; count < 22; count += 1) expect((await register(email)).status).toBe(202);
      expect(await attemptsOn(email)).toHaveLength(20);
    });

    test.each<[string, object]>([
      ['an invalid address', { email: 'no-address' }],
      ['a header in the email address', { email: 'a@b.test\r\nBcc: c@d.test' }],
      ['two addresses', { email: 'a@b.test, c@d.test' }],
      ['a query operator', { email: { $gt: '' } }],
      ['an array', { email: ['a@b.test'] }],
    ])('refuses %s, and sends no email', async (_what, wrong) => {
      const answer = await world.post('/v1/auth/register', wrong);
      expect([answer.status, answer.body.code]).toEqual([422, 'validation_failed']);
      // Email of earlier tests may not have arrived yet.
      expect(world.mail.received.filter(({ to }) => JSON.stringify(wrong).includes(to))).toEqual([]);
    });

    test.each([
      [{ tenant: 'globex' }],
      [{ tenant_id: 'globex' }],
      [{ role: 'admin' }],
      [{ is_admin: true }],
      [{ status: 'active' }],
    ])('refuses %j in a registration', async (wish) => {
      const email = freshEmail();
      const [named] = Object.keys(wish);
      const refused = await world.post('/v1/auth/register', { email, ...wish });
      expect([refused.status, refused.body.errors]).toEqual([422, [{ path: named, message: 'is not a known field' }]]);
      await register(email);
      const token = tokenIn(await world.mail.mailTo(email));
      expect((await world.post('/v1/auth/email/verify', { token, password: newPassword, ...wish })).status).toBe(422);
      expect((await verify(token)).status).toBe(204);
      expect((await world.logIn(email, newPassword)).body.tenant).toMatchObject({ slug: 'acme', role: 'complainant' });
    });

    test.each([['not a token'], [''], ['A'.repeat(43)], ['é'.repeat(40)]])(
      'refuses the token %j without computing a hash',
      async (token) => {
        const before = await world.hashes();
        const answer = await verify(token);
        expect([answer.status, answer.body.code]).toEqual([400, 'invalid_token']);
        expect((await world.hashes()) - before).toBe(0);
      },
    );
  });
});

describe.each(databases())('registration by invitation on %s', (_, database) => {
  test('emails only invited addresses, and gives every request the same response', async () => {
    const world = await accountsWorld(database, { AUTH_REGISTRATION: 'invite' });
    const admin = await world.account('admin');
    const [invited, stranger] = [freshEmail(), freshEmail()];
    await world.post(`/v1/auth/tenants/${world.acme.id}/invitations`, { email: invited, role: 'agent' }, admin);
    for (const email of [stranger, invited]) {
      expect((await world.post('/v1/auth/register', { email })).status).toBe(202);
    }
    const mail = await world.mail.mailTo(invited, 2);
    expect(mail.subject).toBe('Confirm your email address');
    expect((await world.post('/v1/auth/email/verify', { token: tokenIn(mail), password: newPassword })).status).toBe(
      204,
    );
    // An account without memberships.
    expect((await world.logIn(invited, newPassword)).body.code).toBe('invalid_credentials');
    expect(world.mail.received.filter(({ to }) => to === stranger)).toEqual([]);
    await world.close();
  });

  test.each([
    ['a missing tenant', 'nowhere', true],
    ['an existing tenant', 'somewhere', false],
  ])('with %s: logs a warning at startup only if the tenant is missing', async (_what, slug, warns) => {
    const log = capturingLogger();
    const store = await openProbed(database);
    const gateway = await testGateway();
    await makeTenant(store.db, 'somewhere');
    const env = { AUTH_REGISTRATION: 'open', AUTH_REGISTRATION_TENANT: slug };
    const service = await startService(store.db, gateway, log.logger, env);
    await service.stop();
    await gateway.close();
    await store.close();
    expect(log.text().includes('AUTH_REGISTRATION_TENANT does not exist')).toBe(warns);
  });

  test('refuses registrations when registration is off', async () => {
    const world = await accountsWorld(database, { AUTH_REGISTRATION: 'off' });
    const answer = await world.post('/v1/auth/register', { email: freshEmail() });
    expect([answer.status, answer.body.code]).toEqual([403, 'registration_off']);
    const visitor = pageVisitor(world);
    const page = await visitor.open('/register');
    expect([page.status, codeIn(page)]).toEqual([403, 'registration_off']);
    expect(page.text).not.toContain('<form');
    expect((await visitor.open('/login')).text).not.toContain('href="/register"');
    await world.close();
  });
});

describe.each(databases())('requests that send email, on %s', (_, database) => {
  test('a network with too many requests is refused with Retry-After, whatever the address', async () => {
    const store = await openProbed(database);
    const parts = await loginParts(store.db);
    const ask = (ip: string) => requestLink(parts, 'password_reset', freshEmail(), { ...caller, ip });
    for (let count = 0; count < 100; count += 1) await ask('2001:db8::7');
    await expect(ask('2001:db8::7')).rejects.toMatchObject({
      code: 'too_many_attempts',
      headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
    });
    await ask('2001:db8:0:1::7');
    await store.close();
  });
});
