import { databases, eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { formTokenOf } from '../src/domain/sessions/cookies.ts';
import { type Account, type AccountsWorld, accountsWorld, freshEmail } from './support/accounts-world.ts';
import { codeIn, formIn, type PageVisitor, pagesOrigin, pageVisitor } from './support/page-visitor.ts';
import { makeTenant, password, type Tenant } from './support/people.ts';
import { probing } from './support/probed-database.ts';

type Entry = Readonly<{ action: string; seq: number }>;

const paths = ['/account/members', '/account/invitations', '/account/audit', '/account/audit.ndjson'];

describe.each(databases())('the pages of a tenant on %s', (_, database) => {
  let world: AccountsWorld;
  let globex: Tenant;
  let admin: Account;
  let visitor: PageVisitor;
  beforeAll(async () => {
    world = await accountsWorld(database);
    globex = await makeTenant(world.store.db, 'globex');
    admin = await world.account('admin');
    visitor = await enter(admin);
  });
  afterAll(() => world.close());

  const enter = async (who: Account): Promise<PageVisitor> => {
    const browser = pageVisitor(world);
    const answer = await browser.submit(await browser.open('/login'), { email: who.email, password });
    expect(answer.status).toBe(303);
    return browser;
  };
  const noticeOf = ({ headers }: Response) => headers.location?.split('notice=')[1];
  const membership = ({ userId, tenant }: Account) =>
    probing(world.store.db, (trx) =>
      trx
        .selectFrom('memberships')
        .select(['role', 'status'])
        .where('user_id', '=', userId)
        .where('tenant_id', '=', tenant.id)
        .executeTakeFirstOrThrow(),
    );
  const openSessions = ({ userId }: Account) =>
    probing(world.store.db, (trx) =>
      trx.selectFrom('sessions').select('id').where('user_id', '=', userId).where('revoked_at', 'is', null).execute(),
    );
  const act = async (path: string, name: string, values: Record<string, string>, who = visitor) => {
    const { hidden } = formIn(await who.open(path));
    return who.post(path, { form_token: hidden.form_token ?? '', do: name, ...values }, { origin: pagesOrigin });
  };

  test.each(paths)('%s is only for administrators', async (path) => {
    const stranger = await pageVisitor(world).open(path);
    expect([stranger.status, stranger.headers.location]).toEqual([303, '/login?to=account']);
    const agent = await enter(await world.account('agent'));
    const refused = await agent.open(path);
    expect([refused.status, refused.type, codeIn(refused)]).toEqual([403, 'text/html', 'insufficient_role']);
    expect((await agent.open('/account')).text).not.toContain(paths[0]);
    expect((await visitor.open(path)).status).toBe(200);
  });

  test('lists the members of this tenant only, with role, second factor and last login', async () => {
    const [here, there] = [await world.account('agent'), await world.account('agent', [globex])];
    const { text } = await visitor.open('/account/members');
    expect(text).toContain('Names are unavailable right now.');
    const [row = ''] = text.split('<li>').filter((each) => each.includes(`<b>${here.email}</b>`));
    expect(row.replaceAll(/<[^>]+>/g, '')).toMatch(/Agent · two-factor off · last login \d/);
    expect(text).not.toContain(there.email);
    expect(text).not.toMatch(/<script|<style| style=| on\w+=/);
  });

  test('changes a role, ends sessions, removes a member and lets them in again', async () => {
    const bob = await world.account('agent');
    const browser = await enter(bob);
    const changed = await act('/account/members', 'change_role', { id: bob.userId, role: 'complainant' });
    expect(noticeOf(changed)).toBe('member_changed');
    expect([await membership(bob), await openSessions(bob)]).toEqual([{ role: 'complainant', status: 'active' }, []]);
    expect((await browser.open('/account')).headers.location).toBe('/login?to=account');
    await enter(bob);
    expect(noticeOf(await act('/account/members', 'end_sessions', { id: bob.userId }))).toBe('sessions_ended');
    expect([await membership(bob), await openSessions(bob)]).toEqual([{ role: 'complainant', status: 'active' }, []]);
    await act('/account/members', 'remove', { id: bob.userId });
    expect((await membership(bob)).status).toBe('disabled');
    expect((await visitor.open('/account/members')).text).toContain('Let in again');
    await act('/account/members', 'restore', { id: bob.userId });
    expect((await membership(bob)).status).toBe('active');
  });

  test('ends only sessions in this tenant', async () => {
    const both = await world.account('agent', [world.acme, globex]);
    await world.logIn(both.email, password, 'globex');
    await act('/account/members', 'end_sessions', { id: both.userId });
    expect(await openSessions(both)).toHaveLength(1);
  });

  test('keeps the last administrator, and says so', async () => {
    const alone = await makeTenant(world.store.db, 'alone');
    const boss = await world.account('admin', [alone]);
    const browser = await enter(boss);
    for (const [name, values] of [
      ['change_role', { role: 'agent' }],
      ['remove', {}],
    ] as const) {
      const refused = await act('/account/members', name, { id: boss.userId, ...values }, browser);
      expect([refused.status, codeIn(refused)]).toEqual([409, 'last_admin']);
      expect(refused.text).toContain('must keep at least one administrator');
    }
    expect(await membership(boss)).toEqual({ role: 'admin', status: 'active' });
  });

  test.each(['change_role', 'remove', 'restore', 'end_sessions'])(
    '%s changes nothing for a member of another tenant, or by a member or another tenant’s administrator',
    async (name) => {
      const [here, there] = [await world.account('agent'), await world.account('agent', [globex])];
      const foreign = await enter(await world.account('admin', [globex]));
      const bob = await world.account('agent');
      const member = await enter(bob);
      const session = (await openSessions(bob))
        .map(({ id }) => id)
        .sort()
        .at(-1);
      const role = name === 'change_role' ? { role: 'admin' } : {};
      const attempts = [
        [await act('/account/members', name, { id: there.userId, ...role }), 'not_found'],
        [await act('/account/members', name, { id: here.userId, ...role }, foreign), 'not_found'],
      ] as const;
      for (const [refused, code] of attempts) expect([refused.status, codeIn(refused)]).toEqual([404, code]);
      // The key of the form token is the member's own cookie, so the member can make one for any page.
      const token = formTokenOf(member.jar.get('__Host-account') ?? '', '/account/members', session);
      const values = { form_token: token, do: name, id: here.userId, ...role };
      const forged = await member.post('/account/members', values, { origin: pagesOrigin });
      expect([forged.status, codeIn(forged)]).toEqual([403, 'insufficient_role']);
      for (const one of [here, there]) {
        expect(await membership(one)).toEqual({ role: 'agent', status: 'active' });
        expect(await openSessions(one)).toHaveLength(1);
      }
    },
  );

  test.each(['members?after=%00', 'audit?person=%00', 'audit?action=%00', 'audit.ndjson?person=%00'])(
    '/account/%s is ignored, because the database cannot store NUL',
    async (target) => expect((await visitor.open(`/account/${target}`)).status).toBe(200),
  );

  test('an id with NUL is refused', async () => {
    const refused = await act('/account/members', 'remove', { id: 'a\0b' });
    expect([refused.status, codeIn(refused)]).toEqual([422, 'validation_failed']);
  });

  test('a role that was just lost no longer counts', async () => {
    const [former, bob] = [await world.account('admin'), await world.account('agent')];
    const browser = await enter(former);
    const page = await browser.open('/account/members');
    await probing(world.store.db, (trx) =>
      trx.updateTable('memberships').set({ role: 'agent' }).where('user_id', '=', former.userId).execute(),
    );
    const refused = await browser.act(page, 'remove', { id: bob.userId });
    expect([refused.status, codeIn(refused)]).toEqual([403, 'insufficient_role']);
    expect((await membership(bob)).status).toBe('active');
  });

  test('a page of one tenant changes nothing in another after a switch in another tab', async () => {
    const both = [world.acme, globex];
    const [boss, bob] = [await world.account('admin', both), await world.account('agent', both)];
    const [browser, tab] = [pageVisitor(world), pageVisitor(world)];
    for (const [each, { id }] of [
      [browser, world.acme],
      [tab, globex],
    ] as const) {
      const choice = await each.submit(await each.open('/login'), { email: boss.email, password });
      expect((await each.submit(choice, { tenant_id: id })).status).toBe(303);
    }
    const page = await browser.open('/account/members');
    browser.jar.set('__Host-rt', tab.jar.get('__Host-rt') ?? '');
    const refused = await browser.act(page, 'remove', { id: bob.userId });
    expect([refused.status, codeIn(refused)]).toEqual([403, 'form_expired']);
    const still = await probing(world.store.db, (trx) =>
      trx.selectFrom('memberships').select('status').where('user_id', '=', bob.userId).execute(),
    );
    expect(still).toEqual([{ status: 'active' }, { status: 'active' }]);
  });

  test('invites, sends again and takes back', async () => {
    const email = freshEmail();
    const invited = await act('/account/invitations', 'invite', { email, role: 'agent' });
    expect(noticeOf(invited)).toBe('invited');
    const again = await act('/account/invitations', 'invite', { email, role: 'agent' });
    expect([again.status, codeIn(again)]).toEqual([409, 'already_invited']);
    const page = await visitor.open('/account/invitations');
    const [row = ''] = page.text.split('<li>').filter((each) => each.includes(email));
    const [, id = ''] = /name="id" value="([^"]+)"/.exec(row) ?? [];
    const foreign = await enter(await world.account('admin', [globex]));
    for (const name of ['resend', 'withdraw'])
      expect((await act('/account/invitations', name, { id }, foreign)).status).toBe(404);
    await act('/account/invitations', 'resend', { id });
    await world.mail.mailTo(email, 2);
    await act('/account/invitations', 'withdraw', { id });
    expect((await visitor.open('/account/invitations')).text).not.toContain(email);
    expect((await act('/account/invitations', 'invite', { email: '', role: 'agent' })).text).toContain(
      'Enter an email address',
    );
  });

  test('the audit log tells in words what happened, also failed logins without what was typed', async () => {
    const bob = await world.account('agent');
    const typed = 'my secret in the wrong field';
    await world.logIn(bob.email, typed);
    await world.logIn(typed);
    const filtered = `/account/audit?action=login.failed&person=${bob.userId}`;
    await eventually(async () => expect((await visitor.open(filtered)).text).toContain('<b>Failed login</b>'));
    const page = await visitor.open(filtered);
    expect(page.text.match(/<li>/g)).toHaveLength(1);
    expect(page.text).toContain(bob.email);
    const { text } = await visitor.open('/account/audit');
    expect(text).toContain('<b>Logged in</b>');
    expect(text).not.toMatch(/<b>[a-z_]+\.[a-z_]+<\/b>/);
    expect(text + page.text).not.toContain(typed);
    const foreign = await enter(await world.account('admin', [globex]));
    expect((await foreign.open(filtered)).text).not.toContain(bob.email);
  });

  test.each(['/account/audit', '/account/audit.ndjson'])('%s has no form, so a POST finds nothing', async (path) => {
    const token = formTokenOf(visitor.jar.get('__Host-account') ?? '', path);
    const answer = await visitor.post(path, { form_token: token, do: '' }, { origin: pagesOrigin });
    expect([answer.status, answer.type]).toEqual([404, 'text/html']);
  });

  test('a failed export ends early, and does not begin again in the same file', async () => {
    const tenant = await makeTenant(world.store.db, 'exporting');
    const browser = await enter(await world.account('admin', [tenant]));
    const at = new Date();
    const [hash, common] = [Buffer.alloc(32), { at, tenant_id: tenant.id, user_id: null, session_id: null }];
    await probing(world.store.db, async (trx) => {
      const entries = Array.from({ length: 1_001 }, (_entry, index) => ({
        ...{ ...common, seq: 10_000 + index, action: 'login.failed', request_id: 'r' },
        ...{ prev_hash: hash, hash, detail: index === 0 ? 'no JSON' : '{}' },
      }));
      await trx.insertInto('audit_log').values(entries).execute();
    });
    let text = '';
    const cookie = [...browser.jar].map((pair) => pair.join('=')).join('; ');
    await world
      .call('GET', '/account/audit.ndjson', { headers: { cookie } })
      .buffer(true)
      .parse((response, done) => {
        response.on('data', (chunk) => (text += chunk));
        response.on('close', () => done(null, undefined));
      })
      .catch(() => undefined);
    expect(text.match(/"seq":11000,/g)).toHaveLength(1);
  });

  test('exports the entries of this tenant, one a line, with the filter', async () => {
    const linesOf = ({ text, body }: Response): Entry[] =>
      String(text ?? body)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    const answer = await visitor.open('/account/audit.ndjson?action=session.started&person=');
    expect(answer.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'content-disposition': 'attachment; filename="audit.ndjson"',
    });
    const lines = linesOf(answer);
    expect(lines.length).toBeGreaterThan(3);
    expect(new Set(lines.map(({ action }) => action))).toEqual(new Set(['session.started']));
    const all = linesOf(await visitor.open('/account/audit.ndjson'));
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_entry, at) => all.length - at));
  });
});
