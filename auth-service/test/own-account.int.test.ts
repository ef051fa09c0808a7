import { databases, eventually, type RecordingUpstream, recordingUpstream } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { totpCode, totpStep } from '../src/domain/second-factor/totp.ts';
import { type Account, type AccountsWorld, accountsWorld, newPassword } from './support/accounts-world.ts';
import { codeIn, formIn, type PageVisitor, pagesOrigin, pageVisitor } from './support/page-visitor.ts';
import { makeTenant, password, type Tenant } from './support/people.ts';
import { probing } from './support/probed-database.ts';
import { base32Bytes } from './support/totp.ts';

const refreshCookie = '__Host-rt';

describe.each(databases())('your account on %s', (_, database) => {
  let world: AccountsWorld;
  let globex: Tenant;
  let users: RecordingUpstream;
  let isUsersServiceDown = false;
  beforeAll(async () => {
    // Stands for the gateway's internal listener and the users-service behind it.
    users = await recordingUpstream({
      answer({ target, body }, res) {
        res.statusCode = isUsersServiceDown ? 503 : 200;
        const { ids = [] } = JSON.parse(body.toString());
        const names = Object.fromEntries(ids.map((id: string) => [id, `Name <of> ${id}`]));
        res
          .setHeader('content-type', 'application/json')
          .end(target.endsWith('/names') ? JSON.stringify({ names }) : '{}');
      },
    });
    world = await accountsWorld(database, { GATEWAY_INTERNAL_URL: users.url });
    globex = await makeTenant(world.store.db, 'globex');
  });
  afterAll(async () => {
    await world.close();
    await users.close();
  });

  const enter = async (who: Account): Promise<PageVisitor> => {
    const visitor = pageVisitor(world);
    let answer = await visitor.submit(await visitor.open('/login'), { email: who.email, password });
    if (answer.status === 200) answer = await visitor.submit(answer, { tenant_id: who.tenant.id });
    expect(answer.status).toBe(303);
    return visitor;
  };
  const openSessions = (userId: string) =>
    probing(world.store.db, (trx) =>
      trx.selectFrom('sessions').select('id').where('user_id', '=', userId).where('revoked_at', 'is', null).execute(),
    );
  /** Makes every login of this person six minutes old. */
  const age = (userId: string) =>
    probing(world.store.db, (trx) =>
      trx
        .updateTable('sessions')
        .set({ auth_time: new Date(Date.now() - 360_000) })
        .where('user_id', '=', userId)
        .execute(),
    );
  const noticeOf = (answer: Response) => [answer.status, answer.headers.location];

  const paths = ['', '/password', '/second-factor', '/devices', '/applications', '/organizations', '/log-in'];

  test.each(paths)('/account%s needs a session, and cannot be framed, cached or scripted', async (path) => {
    const stranger = await pageVisitor(world).open(`/account${path}`);
    expect(noticeOf(stranger)).toEqual([303, '/login?to=account']);
    const visitor = await enter(await world.account('agent'));
    const { status, headers, text } = await visitor.open(`/account${path}`);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      'x-frame-options': 'DENY',
    });
    expect(text).not.toMatch(/<script|<style| style=| on\w+=/);
    const german = await visitor.open(`/account${path}?lang=de`);
    expect(german.text).toContain('<html lang="de">');
  });

  test('a login returns to the account only by name', async () => {
    const { email } = await world.account('agent');
    const visitor = pageVisitor(world);
    const login = await visitor.open('/login?to=account');
    expect(noticeOf(await visitor.submit(login, { email, password }))).toEqual([303, '/account']);
    const foreign = await visitor.open('/login?to=//evil.example');
    expect(foreign.text).not.toContain('evil');
    const asked = await visitor.submit(foreign, { email, password, to: '//evil.example' });
    expect(asked.status).toBe(422);
  });

  test('shows and changes the name, and says when names are unavailable', async () => {
    const ann = await world.account('agent');
    const visitor = await enter(ann);
    const page = await visitor.open('/account');
    expect(page.text).toContain(`value="Name &lt;of&gt; ${ann.userId}"`);
    const blank = await visitor.act(page, 'rename', { name: ' ' });
    expect([blank.status, blank.text]).toEqual([422, expect.stringContaining('<a href="#name">Enter your name')]);
    expect(noticeOf(await visitor.act(page, 'rename', { name: ' Ann ' }))).toEqual([303, '/account?notice=saved']);
    const sent = users.requests.find(({ target }) => target === '/internal/members/name');
    const { userId: user_id, tenant } = ann;
    expect(JSON.parse(String(sent?.body))).toEqual({ tenant_id: tenant.id, user_id, display_name: 'Ann' });
    isUsersServiceDown = true;
    const refused = await visitor.act(page, 'rename', { name: 'Ann' });
    expect([refused.status, codeIn(refused)]).toEqual([503, 'names_unavailable']);
    expect((await visitor.open('/account')).text).toContain('Names are unavailable right now.');
    isUsersServiceDown = false;
  });

  test('the audit log shows the address too, because anyone can take the name of another', async () => {
    const boss = await world.account('admin');
    const { text } = await (await enter(boss)).open(`/account/audit?person=${boss.userId}`);
    expect(text).toContain(`Name &lt;of&gt; ${boss.userId} (${boss.email})`);
  });

  test('keeps the chosen language', async () => {
    const visitor = await enter(await world.account('agent'));
    expect((await visitor.open('/account')).text).toContain('href="/account?lang=de" lang="de">Deutsch</a>');
    await visitor.open('/account?lang=de');
    expect((await visitor.open('/account')).text).toContain('<h1>Ihr Konto</h1>');
  });

  test('changes the password with the current one, ends the other sessions, and emails the owner', async () => {
    const ann = await world.account('agent');
    const visitor = await enter(ann);
    const page = await visitor.open('/account/password');
    const wrong = await visitor.act(page, 'change', { current_password: 'not this one', new_password: newPassword });
    expect([wrong.status, codeIn(wrong)]).toEqual([401, 'invalid_credentials']);
    expect(wrong.text).toContain('<a href="#current_password">');
    expect(wrong.text).not.toContain('not this one');
    const weak = await visitor.act(page, 'change', { current_password: password, new_password: 'elevenchars' });
    expect([weak.status, weak.text]).toEqual([422, expect.stringContaining('12 characters or more')]);
    const changed = await visitor.act(page, 'change', { current_password: password, new_password: newPassword });
    expect(noticeOf(changed)).toEqual([303, '/account/password?notice=password_changed']);
    expect(await openSessions(ann.userId)).toHaveLength(1);
    expect((await visitor.open('/account')).status).toBe(200);
    expect((await world.mail.mailTo(ann.email)).subject).toBe('Your password was changed');
  });

  test('sets up, renews and removes a second factor after a fresh login, each with an email', async () => {
    const ann = await world.account('agent');
    const visitor = await enter(ann);
    await age(ann.userId);
    const path = '/account/second-factor';
    const stale = await visitor.open(path);
    expect(stale.text).toContain('href="/account/log-in?to=factor"');
    expect(stale.text).not.toContain('value="enrol"');
    const token = formIn(await visitor.open('/account/log-in')).hidden.form_token ?? '';
    expect(codeIn(await visitor.post(path, { do: 'enrol', form_token: token }, { origin: pagesOrigin }))).toBe(
      'form_expired',
    );
    const before = visitor.jar.get(refreshCookie);
    const again = await visitor.act(await visitor.open('/account/log-in?to=factor'), 'log_in', { password });
    expect(noticeOf(again)).toEqual([303, path]);
    expect(visitor.jar.get(refreshCookie)).not.toBe(before);

    const fresh = await visitor.open(path);
    const enrolled = await visitor.act(fresh, 'enrol');
    expect(enrolled.text).toMatch(/<svg [^>]*viewBox/);
    const [, secret = ''] = /<code>([A-Z2-7]+)<\/code>/.exec(enrolled.text) ?? [];
    const wrong = await visitor.act(enrolled, 'confirm', { code: '000000' });
    expect([wrong.status, codeIn(wrong)]).toEqual([401, 'invalid_code']);
    const code = totpCode(base32Bytes(secret), totpStep(new Date()));
    const confirmed = await visitor.act(wrong, 'confirm', { code });
    const codes = confirmed.text.match(/[A-Z2-7]{4}(?:-[A-Z2-7]{4}){3}/g) ?? [];
    expect(codes).toHaveLength(10);
    expect(await openSessions(ann.userId)).toHaveLength(1);

    // The session has no second factor yet, so it must log in with it.
    const incomplete = await visitor.open(path);
    expect(incomplete.text).toContain('href="/account/log-in?to=factor"');
    const refused = await visitor.act(fresh, 'enrol', { do: 'remove' });
    expect([refused.status, codeIn(refused)]).toEqual([401, 'fresh_login_required']);
    const asked = await visitor.act(await visitor.open('/account/log-in?to=factor'), 'log_in', { password });
    expect(noticeOf(await visitor.submit(asked, { code: codes[0] ?? '' }))).toEqual([303, path]);
    const other = await world.logIn(ann.email);
    expect(other.body.code).toBe('mfa_required');
    const complete = await visitor.open(path);
    expect(complete.text).toContain('You have 9 unused recovery codes.');
    expect((await visitor.act(complete, 'renew')).text).toMatch(/[A-Z2-7]{4}-/);
    expect(noticeOf(await visitor.act(complete, 'remove'))).toEqual([303, `${path}?notice=factor_removed`]);
    await world.mail.mailTo(ann.email, 3);
    const subjects = world.mail.received.filter(({ to }) => to === ann.email).map(({ subject }) => subject);
    expect(subjects).toEqual([
      'Two-factor authentication is on',
      'Your recovery codes were replaced',
      'Two-factor authentication is off',
    ]);
  });

  test('lists the devices by readable names, and ends one or all others', async () => {
    const [ann, bob] = [await world.account('agent'), await world.account('agent')];
    const visitor = await enter(ann);
    await world.call('POST', '/v1/auth/login', {
      body: { email: ann.email, password },
      headers: { 'user-agent': 'Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0' },
    });
    const page = await visitor.open('/account/devices');
    expect(page.text).toContain('<b>Firefox, Windows</b>');
    expect(page.text.match(/This device/g)).toHaveLength(1);
    const foreign = await visitor.act(page, 'end', { id: bob.sid });
    expect([foreign.status, codeIn(foreign)]).toEqual([404, 'not_found']);
    expect(await openSessions(bob.userId)).toHaveLength(1);
    await visitor.act(page, 'end', { id: ann.sid });
    expect((await openSessions(ann.userId)).map(({ id }) => id)).not.toContain(ann.sid);
    await visitor.act(await visitor.open('/account/devices'), 'end_others');
    expect(await openSessions(ann.userId)).toHaveLength(1);
    expect((await visitor.open('/account/devices')).text).not.toContain('value="end"');
  });

  test('switches only to an organization of the person, and ends the old session', async () => {
    const ann = await world.account('agent', [world.acme, globex]);
    const visitor = await enter(ann);
    const page = await visitor.open('/account/organizations');
    const other = await makeTenant(world.store.db, `other-${ann.userId}`);
    const refused = await visitor.act(page, 'switch', { tenant_id: other.id });
    expect([refused.status, codeIn(refused)]).toEqual([403, 'not_a_member']);
    const old = visitor.jar.get(refreshCookie) ?? '';
    expect(noticeOf(await visitor.act(page, 'switch'))).toEqual([303, '/account']);
    expect((await visitor.open('/account')).text).toContain('at globex.');
    visitor.jar.set(refreshCookie, old);
    expect(noticeOf(await visitor.open('/account'))).toEqual([303, '/login?to=account']);
  });

  test('a login ends the session that the browser had', async () => {
    const [ann, bob] = [await world.account('agent'), await world.account('agent')];
    const visitor = await enter(ann);
    const [, own] = await openSessions(ann.userId);
    await visitor.submit(await visitor.open('/login'), { email: bob.email, password });
    await eventually(async () => expect((await openSessions(ann.userId)).map(({ id }) => id)).not.toContain(own?.id));
  });

  test.each([
    ['another origin', { origin: 'https://evil.example' }, {}, 'cross_site_refused'],
    ['no origin', { origin: '' }, {}, 'cross_site_refused'],
    ['no form token', {}, { form_token: '' }, 'form_expired'],
  ])('a form with %s changes nothing', async (_what, headers, values, code) => {
    const ann = await world.account('agent');
    const visitor = await enter(ann);
    const page = await visitor.open('/account/devices');
    const refused = await visitor.act(page, 'end_others', values, headers);
    expect([refused.status, codeIn(refused), refused.type]).toEqual([403, code, 'text/html']);
    expect(await openSessions(ann.userId)).toHaveLength(2);
  });

  test('a form of another browser changes nothing', async () => {
    const [ann, eve] = [await world.account('agent'), await world.account('agent')];
    const [visitor, attacker] = [await enter(ann), await enter(eve)];
    const planted = formIn(await attacker.open('/account/devices')).hidden;
    const refused = await visitor.post('/account/devices', { ...planted, do: 'end_others' }, { origin: pagesOrigin });
    expect([refused.status, codeIn(refused)]).toEqual([403, 'form_expired']);
    expect(await openSessions(ann.userId)).toHaveLength(2);
  });

  test('an unknown page below /account is a page, and an ended session leads to the login', async () => {
    const ann = await world.account('agent');
    const visitor = await enter(ann);
    const answer = await visitor.open('/account/nothing', { accept: 'text/html' });
    expect([answer.status, answer.type, codeIn(answer)]).toEqual([404, 'text/html', 'not_found']);
    const page = await visitor.open('/account/devices');
    await world.post('/v1/auth/logout', { scope: 'all' }, ann);
    expect(noticeOf(await visitor.act(page, 'end_others'))).toEqual([303, '/login?to=account']);
  });
});
