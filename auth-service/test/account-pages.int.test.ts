import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { linkPages } from '../src/domain/mail/mail-messages.ts';
import { totpCode, totpStep } from '../src/domain/second-factor/totp.ts';
import { type Account, type AccountsWorld, accountsWorld, freshEmail, newPassword } from './support/accounts-world.ts';
import { tokenIn } from './support/mailed-token.ts';
import { codeIn, formIn, type PageVisitor, pagesOrigin, pageVisitor } from './support/page-visitor.ts';
import { makeTenant, password, type Tenant } from './support/people.ts';
import { probing } from './support/probed-database.ts';
import { base32Bytes } from './support/totp.ts';

const refreshCookie = '__Host-rt';
const pageCookie = '__Host-account';
const setCookies = ({ headers }: Response): string[] => (headers['set-cookie'] as unknown as string[]) ?? [];

describe.each(databases().slice(0, 1))('the account pages on %s', (_, database) => {
  let world: AccountsWorld;
  let globex: Tenant;
  let ann: Account;
  beforeAll(async () => {
    world = await accountsWorld(database);
    globex = await makeTenant(world.store.db, 'globex');
    ann = await world.account('agent');
  });
  afterAll(() => world.close());

  const logIn = async (visitor: PageVisitor, email: string, secret = password) =>
    visitor.submit(await visitor.open('/login'), { email, password: secret });

  const linkTo = async (kind: 'register' | 'forgot-password', email: string, count = 1) => {
    const visitor = pageVisitor(world);
    const answer = await visitor.submit(await visitor.open(`/${kind}`), { email });
    expect(answer.status).toBe(303);
    return tokenIn(await world.mail.mailTo(email, count));
  };
  const invite = async (email: string) => {
    const admin = await world.account('admin');
    await world.post(`/v1/auth/tenants/${world.acme.id}/invitations`, { email, role: 'agent' }, admin);
    return tokenIn(await world.mail.mailTo(email));
  };

  /** Everything that a refused form must leave unchanged. */
  const state = () =>
    probing(world.store.db, async (trx) => ({
      tokens: (await trx.selectFrom('mailed_tokens').select('hash').execute()).length,
      steps: (await trx.selectFrom('one_time_tokens').select('hash').execute()).length,
      users: (await trx.selectFrom('users').select('id').execute()).length,
      sessions: await trx.selectFrom('sessions').select(['id', 'revoked_at']).orderBy('id').execute(),
      registrations: (await trx.selectFrom('registrations').select('id').execute()).length,
      // Every request that sends an email is counted first.
      attempts: await trx
        .selectFrom('login_attempts')
        .select(['key', 'count'])
        .where('count', '>', 0)
        .orderBy('key')
        .execute(),
      changed: await trx.selectFrom('credentials').select(['user_id', 'changed_at']).orderBy('user_id').execute(),
    }));

  describe('the login page', () => {
    test('sets the API’s refresh cookie and redirects to the application', async () => {
      const visitor = pageVisitor(world);
      const answer = await logIn(visitor, ann.email);
      expect([answer.status, answer.headers.location]).toEqual([303, '/app/']);
      expect(setCookies(answer)[0]).toMatch(
        /^__Host-rt=[\w-]{100,}; Max-Age=1209600; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
      );
      const cookie = `${refreshCookie}=${visitor.jar.get(refreshCookie)}`;
      const headers = { origin: pagesOrigin, 'x-requested-with': 'fetch', cookie };
      // The pages' origin may not use the API's cookie here, but the issuer's origin may.
      const refused = await world.call('POST', '/v1/auth/refresh', { body: {}, headers });
      expect(refused.body.code).toBe('cross_site_refused');
      const own = { ...headers, origin: 'https://id.example.test' };
      const refreshed = await world.call('POST', '/v1/auth/refresh', { body: {}, headers: own });
      expect(refreshed.body.tenant).toMatchObject({ slug: 'acme' });
    });

    test('offers a choice of tenants, and escapes their names', async () => {
      const { email } = await world.account('agent', [world.acme, globex]);
      await probing(world.store.db, (trx) =>
        trx.updateTable('tenants').set({ name: '<b>Globex' }).where('id', '=', globex.id).execute(),
      );
      const visitor = pageVisitor(world);
      const choice = await logIn(visitor, email);
      expect(choice.status).toBe(200);
      expect(choice.text).toContain(`value="${globex.id}">&lt;b&gt;Globex</button>`);
      const answer = await visitor.submit(choice, { tenant_id: globex.id });
      expect([answer.status, visitor.jar.has(refreshCookie)]).toEqual([303, true]);
      const again = await visitor.submit(choice, { tenant_id: globex.id });
      expect([again.status, codeIn(again), formIn(again).action]).toEqual([403, 'form_expired', '/login']);
    });

    test('asks for a second factor, accepts a retry after a wrong code, and replaces the page session at each step', async () => {
      const bob = await world.account('agent');
      const as = { ...world.as(bob), context: { sid: bob.sid, authTime: Math.floor(Date.now() / 1000), amr: ['pwd'] } };
      const enrol = (target: string, body?: object) => world.call('POST', `/v1/auth/mfa/totp${target}`, { as, body });
      const { secret } = (await enrol('')).body;
      const code = totpCode(base32Bytes(secret), totpStep(new Date()));
      const [recovery] = (await enrol('/confirm', { code })).body.recovery_codes;
      const visitor = pageVisitor(world);
      const sessions = new Set<string | undefined>();
      const keep = () => sessions.add(visitor.jar.get(pageCookie));
      const login = await visitor.open('/login');
      keep();
      const asked = await visitor.submit(login, { email: bob.email, password });
      keep();
      expect([asked.status, formIn(asked).action]).toEqual([200, '/login/second-factor']);
      expect(asked.text).toContain('autocomplete="one-time-code"');
      const wrong = await visitor.submit(asked, { code: '000000' });
      expect([wrong.status, codeIn(wrong)]).toEqual([401, 'invalid_code']);
      expect(wrong.text).toContain('<a href="#code">');
      expect(visitor.jar.has(refreshCookie)).toBe(false);
      expect((await visitor.submit(wrong, { code: recovery })).status).toBe(303);
      keep();
      expect([sessions.size, visitor.jar.has(refreshCookie)]).toEqual([3, true]);
    });

    test('shows what was wrong next to the field, and never repeats the password', async () => {
      const answer = await logIn(pageVisitor(world), ann.email, 'not the password');
      expect([answer.status, codeIn(answer)]).toEqual([401, 'invalid_credentials']);
      expect(answer.text).toContain(`value="${ann.email}"`);
      expect(answer.text).not.toContain('not the password');
      expect(answer.text).toMatch(/<title>Error: Log in · Countersign<\/title>/);
      expect(answer.text).toMatch(/role="alert" tabindex="-1" autofocus[^>]*>.*<a href="#password">/);
      expect(answer.text).toMatch(/id="password"[^>]*aria-describedby="password-problem" aria-invalid="true"/s);
    });

    test('a logout ends the session and deletes the cookie', async () => {
      const visitor = pageVisitor(world);
      await logIn(visitor, ann.email);
      const cookie = `${refreshCookie}=${visitor.jar.get(refreshCookie)}`;
      const answer = await visitor.submit(await visitor.open('/logout'), {});
      expect([answer.status, answer.headers.location]).toEqual([303, '/login?notice=logged_out']);
      expect(visitor.jar.has(refreshCookie)).toBe(false);
      const headers = { origin: 'https://id.example.test', 'x-requested-with': 'fetch', cookie };
      const { body } = await world.call('POST', '/v1/auth/refresh', { body: {}, headers });
      expect(body.code).toBe('session_revoked');
      expect((await visitor.submit(await visitor.open('/logout'), {})).status).toBe(303);
    });
  });

  describe('the page of an emailed link', () => {
    test('creates the account', async () => {
      const email = freshEmail();
      const visitor = pageVisitor(world);
      const page = await visitor.open(`/verify-email?token=${await linkTo('register', email)}`);
      expect(page.text).toContain(`value="${email}" readonly`);
      const answer = await visitor.submit(page, { email, name: 'Ann Archer', password: newPassword });
      expect(answer.headers.location).toBe('/login?notice=account_created');
      expect((await visitor.open('/login?notice=account_created')).text).toContain('role="status"');
      expect((await logIn(visitor, email, newPassword)).status).toBe(303);
    });

    test('logs in only the browser that began the registration', async () => {
      const email = freshEmail();
      const [attacker, victim] = [pageVisitor(world), pageVisitor(world)];
      await attacker.submit(await attacker.open('/register'), { email });
      await victim.submit(await victim.open('/register'), { email: freshEmail() });
      const link = `/verify-email?token=${tokenIn(await world.mail.mailTo(email))}`;
      const values = { email, name: 'Eve', password: newPassword };
      const followed = await victim.submit(await victim.open(link), values);
      expect([followed.headers.location, victim.jar.has(refreshCookie)]).toEqual([
        '/login?notice=account_created',
        false,
      ]);
      const own = freshEmail();
      const begun = pageVisitor(world);
      await begun.submit(await begun.open('/register'), { email: own });
      const page = await begun.open(`/verify-email?token=${tokenIn(await world.mail.mailTo(own))}`);
      const nameless = await begun.submit(page, { email: own, name: ' ', password: newPassword });
      expect([codeIn(nameless), nameless.text]).toEqual([
        'validation_failed',
        expect.stringContaining('Enter your name'),
      ]);
      const answer = await begun.submit(nameless, { email: own, name: 'Ann', password: newPassword });
      expect([answer.headers.location, begun.jar.has(refreshCookie)]).toEqual(['/app/', true]);
    });

    test('changes the password, and ends the sessions', async () => {
      const { email } = await world.account('agent');
      const visitor = pageVisitor(world);
      await logIn(visitor, email);
      const page = await visitor.open(`/reset-password?token=${await linkTo('forgot-password', email)}`);
      expect((await visitor.submit(page, { email, password: newPassword })).status).toBe(303);
      expect((await logIn(visitor, email)).status).toBe(401);
      expect((await logIn(visitor, email, newPassword)).status).toBe(303);
    });

    test('accepts an invitation: a new user chooses a password', async () => {
      const email = freshEmail();
      const visitor = pageVisitor(world);
      const page = await visitor.open(`/accept-invitation?token=${await invite(email)}`);
      expect(page.text).toContain('autocomplete="new-password"');
      const answer = await visitor.submit(page, { email, name: 'Ann Archer', password: newPassword });
      expect([answer.headers.location, visitor.jar.has(refreshCookie)]).toEqual(['/app/', true]);
    });

    test('accepts an invitation: a user with an account enters its password', async () => {
      const { email } = await world.account('agent', [globex]);
      const visitor = pageVisitor(world);
      const page = await visitor.open(`/accept-invitation?token=${await invite(email)}`);
      expect(page.text).toContain('autocomplete="current-password"');
      const wrong = await visitor.submit(page, { email, name: 'Ann Archer', password: newPassword });
      expect([wrong.status, codeIn(wrong)]).toEqual([401, 'invalid_credentials']);
      expect(wrong.text).toContain('autocomplete="current-password"');
      expect((await visitor.submit(wrong, { email, name: 'Ann Archer', password })).headers.location).toBe('/app/');
    });

    test.each([
      ['short', 'elevenchars', /12 characters or more/],
      ['one of the most used', 'qwertyqwerty!!!', /too common/],
      ['too long', 'ab'.repeat(129), /at most 256/],
    ])('refuses a password that is %s, and the link still works', async (_what, weak, text) => {
      const { email } = await world.account('agent');
      const visitor = pageVisitor(world);
      const page = await visitor.open(`/reset-password?token=${await linkTo('forgot-password', email)}`);
      const refused = await visitor.submit(page, { email, password: weak });
      expect([refused.status, codeIn(refused)]).toEqual([422, 'validation_failed']);
      expect(refused.text).toMatch(text);
      expect((await visitor.submit(refused, { email, password: newPassword })).status).toBe(303);
    });

    test.each(Object.entries(linkPages))(
      'changes nothing when an email scanner opens the link: %s',
      async (purpose, path) => {
        const email = purpose === 'password_reset' ? (await world.account('agent')).email : freshEmail();
        const token =
          purpose === 'invitation'
            ? await invite(email)
            : await linkTo(purpose === 'password_reset' ? 'forgot-password' : 'register', email);
        const before = await state();
        for (let count = 0; count < 3; count += 1) {
          expect((await pageVisitor(world).open(`${path}?token=${token}`)).status).toBe(200);
        }
        expect(await state()).toEqual(before);
      },
    );

    test.each([
      ['/verify-email', '/register'],
      ['/reset-password', '/forgot-password'],
      ['/accept-invitation', '/login'],
    ])('shows an error for an invalid link to %s, with a link to %s', async (path, next) => {
      for (const query of [
        `?token=${'A'.repeat(43)}`,
        '',
        '?token=a&token=b',
        '?token=%00',
        `?token=${'A'.repeat(300)}`,
      ]) {
        const answer = await pageVisitor(world).open(path + query);
        expect([answer.status, codeIn(answer)]).toEqual([400, 'invalid_token']);
        expect(answer.text).toContain('This link is invalid, has expired, or was already used.');
        expect(answer.text).toContain(`<a href="${next}">`);
        expect(answer.text).not.toContain('<form');
      }
    });

    test('shows the same error for a used link, even in a form that is still open', async () => {
      const { email } = await world.account('agent');
      const token = await linkTo('forgot-password', email);
      const visitor = pageVisitor(world);
      const [page, other] = [
        await visitor.open(`/reset-password?token=${token}`),
        await visitor.open(`/reset-password?token=${token}`),
      ];
      expect((await visitor.submit(page, { email, password: newPassword })).status).toBe(303);
      for (const late of [
        await visitor.submit(other, { password }),
        await visitor.open(`/reset-password?token=${token}`),
      ]) {
        expect([late.status, codeIn(late)]).toEqual([400, 'invalid_token']);
        expect(late.text).not.toContain('<form');
      }
      expect((await logIn(visitor, email, newPassword)).status).toBe(303);
    });

    test('writes no token to the log', async () => {
      const { email } = await world.account('agent');
      const token = await linkTo('forgot-password', email);
      const visitor = pageVisitor(world);
      await visitor.submit(await visitor.open(`/reset-password?token=${token}&lang=de`), { password: 'short' });
      expect(world.log.text()).toContain('/reset-password');
      expect(world.log.text()).not.toContain(token);
    });
  });

  describe('a refused form changes nothing', () => {
    type Attack = Readonly<{ values?: Record<string, string>; headers?: Record<string, string> }>;
    const forge: Readonly<Record<string, (visitor: PageVisitor, path: string) => Promise<Attack> | Attack>> = {
      'from another origin': () => ({ headers: { origin: 'https://evil.example' } }),
      'from our origin over http': () => ({ headers: { origin: 'http://app.example.test' } }),
      'from an origin that begins like ours': () => ({ headers: { origin: `${pagesOrigin}.evil.example` } }),
      'from the origin null': () => ({ headers: { origin: 'null' } }),
      'with an empty origin': () => ({ headers: { origin: '' } }),
      'from an origin that only matches Host': () => ({
        headers: { origin: 'https://other.example', host: 'other.example' },
      }),
      'without a form token': () => ({ values: { form_token: '' } }),
      'with the token of another session': async (_visitor, path) => ({
        values: { form_token: formIn(await pageVisitor(world).open(path)).hidden.form_token ?? '' },
      }),
      'with the token of another form': async (visitor, path) => {
        const other = path === '/login' ? '/logout' : '/login';
        return { values: { form_token: formIn(await visitor.open(other)).hidden.form_token ?? '' } };
      },
      'without the page session': (visitor) => {
        visitor.jar.delete(pageCookie);
        return {};
      },
      'with two page sessions': (visitor) => ({
        headers: { cookie: `${pageCookie}=${visitor.jar.get(pageCookie)}; ${pageCookie}=${'A'.repeat(43)}` },
      }),
    };
    const paths = ['/login', '/register', '/forgot-password', '/logout'];

    test.each(Object.keys(forge).flatMap((what) => paths.map((path) => [what, path] as const)))(
      '%s: %s',
      async (what, path) => {
        const visitor = pageVisitor(world);
        const page = await visitor.open(path);
        const { values, headers } = (await forge[what]?.(visitor, path)) ?? {};
        const [before, cookies] = [await state(), new Map(visitor.jar)];
        const typed =
          path === '/login' ? { email: ann.email, password } : path === '/logout' ? {} : { email: freshEmail() };
        const answer = await visitor.submit(page, { ...typed, ...values }, headers);
        const isOrigin = headers?.origin !== undefined;
        expect([answer.status, codeIn(answer)]).toEqual([403, isOrigin ? 'cross_site_refused' : 'form_expired']);
        expect(await state()).toEqual(before);
        expect(visitor.jar.has(refreshCookie)).toBe(false);
        if (isOrigin) expect([visitor.jar, setCookies(answer)]).toEqual([cookies, []]);
      },
    );

    test('a login step that began in another browser is refused', async () => {
      const { email } = await world.account('agent', [world.acme, globex]);
      const [attacker, victim] = [pageVisitor(world), pageVisitor(world)];
      const choice = await logIn(attacker, email);
      const own = formIn(await victim.open('/login')).hidden;
      const planted = { ...formIn(choice).hidden, ...own, tenant_id: globex.id };
      const before = await state();
      const answer = await victim.post('/login/tenant', planted, { origin: pagesOrigin });
      expect([answer.status, codeIn(answer)]).toEqual([403, 'form_expired']);
      expect([await state(), victim.jar.has(refreshCookie)]).toEqual([before, false]);
    });

    test('a page session that an attacker planted before the login is refused', async () => {
      const [attacker, victim] = [pageVisitor(world), pageVisitor(world)];
      const form = await attacker.open('/logout');
      victim.jar.set(pageCookie, attacker.jar.get(pageCookie) ?? '');
      await logIn(victim, ann.email);
      expect(victim.jar.get(pageCookie)).not.toBe(attacker.jar.get(pageCookie));
      const answer = await victim.submit(form, {});
      expect([answer.status, codeIn(answer), victim.jar.has(refreshCookie)]).toEqual([403, 'form_expired', true]);
    });

    test.each(['return_to', 'next', 'redirect', 'continue'])(
      'a redirect URL in the parameter %s is refused in a form, and ignored in the page URL',
      async (name) => {
        const visitor = pageVisitor(world);
        const page = await visitor.open(`/login?${name}=https://evil.example/`);
        expect(page.text).not.toContain('evil.example');
        const asked = await visitor.submit(page, { email: ann.email, password, [name]: 'https://evil.example/' });
        expect([asked.status, codeIn(asked)]).toEqual([422, 'validation_failed']);
        const { action, hidden } = formIn(page);
        const values = { ...hidden, email: ann.email, password };
        const answer = await visitor.post(`${action}?${name}=//evil.example`, values, { origin: pagesOrigin });
        expect(answer.headers.location).toBe('/app/');
      },
    );

    test.each([
      ['JSON', '{"email":"a@b.test"}', 'application/json', 415],
      ['a repeated field', 'email=a@b.test&email=c@d.test', 'application/x-www-form-urlencoded', 422],
      ['a long body', `email=${'a'.repeat(17_000)}`, 'application/x-www-form-urlencoded', 413],
    ])('%s instead of form fields is refused', async (_what, body, contentType, status) => {
      const answer = await world.call('POST', '/login', { body, contentType, headers: { origin: pagesOrigin } });
      expect([answer.status, answer.type]).toEqual([status, 'text/html']);
    });
  });

  test.each(['/login', '/register', '/forgot-password'])(
    '%s answers alike for known and unknown addresses',
    async (path) => {
      const seen = [];
      for (const email of [ann.email, freshEmail()]) {
        const visitor = pageVisitor(world);
        const page = await visitor.open(path);
        const before = await world.hashes();
        const values = path === '/login' ? { email, password: 'not the password' } : { email };
        const { status, headers, text } = await visitor.submit(page, values);
        const { date: _date, 'x-request-id': _id, 'content-length': _length, 'set-cookie': cookies, ...rest } = headers;
        const named = (cookies as unknown as string[] | undefined)?.map((line) => line.replace(/=mac\.[^;]+/, ''));
        const shown = text.replaceAll(email, 'EMAIL').replaceAll(/name="form_token" value="[^"]+"/g, '');
        seen.push({ status, rest, named, shown, hashes: (await world.hashes()) - before });
      }
      expect(seen[0]).toEqual(seen[1]);
    },
  );

  test('counts password guesses together with guesses at the API', async () => {
    const { email } = await world.account('agent');
    const ip = '198.51.100.77';
    const guess = { email, password: 'not the password' };
    for (let count = 0; count < 10; count += 1) await world.call('POST', '/v1/auth/login', { ip, body: guess });
    const visitor = pageVisitor(world, ip);
    const answer = await visitor.submit(await visitor.open('/login'), { email, password });
    expect([answer.status, codeIn(answer)]).toEqual([429, 'too_many_attempts']);
    expect(answer.headers['retry-after']).toMatch(/^\d+$/);
  });

  test.each([
    '/login',
    '/register',
    '/forgot-password',
    '/logout',
    '/verify-email',
    '/reset-password',
    '/accept-invitation',
  ])('%s cannot be framed, cached or scripted, and leaks no URL to other sites', async (path) => {
    const { headers, text } = await pageVisitor(world).open(path);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy':
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      'x-frame-options': 'DENY',
      'referrer-policy': 'strict-origin',
    });
    expect(text).not.toMatch(/<script|<style| style=| on\w+=/);
  });

  test('the steps of a login have no URL of their own', async () => {
    for (const path of ['/login/tenant', '/login/second-factor']) {
      const answer = await pageVisitor(world).open(path);
      expect([answer.status, answer.headers.location]).toEqual([303, '/login']);
    }
  });

  test.each(['/login/', '/login/nothing', '/reset-password/x?token=t'])(
    '%s answers 404, with a page for browsers and a problem document for programs',
    async (path) => {
      const page = await pageVisitor(world).open(path, { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' });
      expect([page.status, page.type, codeIn(page)]).toEqual([404, 'text/html', 'not_found']);
      expect(page.text).toContain('<a href="/login">Go to the login page</a>');
      const problem = await pageVisitor(world).open(path, { accept: '*/*' });
      expect([problem.status, problem.type, problem.body.code]).toEqual([404, 'application/problem+json', 'not_found']);
    },
  );

  // The gateway would answer a longer body with a problem document, because it does not know about pages.
  test('the largest form fits the gateway’s body limit', async () => {
    const inputs = (await pageVisitor(world).open('/login')).text.match(/<input id="[^>]+>/g) ?? [];
    expect(inputs).toHaveLength(2);
    for (const input of inputs) expect(input).toContain('maxlength="257"');
    const longest = new URLSearchParams({ email: '\u{20ac}'.repeat(257), password: '\u{20ac}'.repeat(257) });
    expect(String(longest).length).toBeLessThan(8_192);
    const visitor = pageVisitor(world);
    const answer = await visitor.submit(await visitor.open('/register'), { email: 'a'.repeat(257) });
    expect([answer.status, codeIn(answer)]).toEqual([422, 'validation_failed']);
  });

  test('uses the browser’s language until a link chooses the other language', async () => {
    const visitor = pageVisitor(world);
    const heading = (answer: Response) => /<html lang="(\w+)">.*<h1>([^<]+)/s.exec(answer.text)?.slice(1);
    const german = { 'accept-language': 'de-AT,de;q=0.9,en;q=0.5' };
    expect(heading(await visitor.open('/login', german))).toEqual(['de', 'Anmelden']);
    expect(heading(await visitor.open('/login', { 'accept-language': 'fr' }))).toEqual(['en', 'Log in']);
    const page = await visitor.open('/login?lang=en', german);
    expect(page.text).toContain('<a href="/login?lang=de" lang="de" hreflang="de">Deutsch</a>');
    const refused = await visitor.submit(page, { email: ann.email, password: 'no' }, german);
    expect(heading(refused)).toEqual(['en', 'Log in']);
    await visitor.open('/login?lang=de');
    const anew = await visitor.submit(await visitor.open('/login'), { email: ann.email, password: 'no' });
    expect(anew.text).toContain('E-Mail-Adresse oder Passwort ist falsch.');
  });
});
