import { databases, eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Account,
  type AccountsWorld,
  accountsWorld,
  freshAddress,
  freshEmail,
  newPassword,
} from './support/accounts-world.ts';
import { tokenIn } from './support/mailed-token.ts';
import { makeTenant, password } from './support/people.ts';
import { probing } from './support/probed-database.ts';

describe.each(databases())('attacks on accounts, on %s', (_, database) => {
  let world: AccountsWorld;
  let admin: Account;
  beforeAll(async () => {
    world = await accountsWorld(database);
    admin = await world.account('admin');
  });
  afterAll(() => world.close());

  const disable = (table: 'users' | 'memberships', who: Account) =>
    probing(world.store.db, (trx) =>
      table === 'users'
        ? trx.updateTable('users').set({ status: 'disabled' }).where('id', '=', who.userId).execute()
        : trx.updateTable('memberships').set({ status: 'disabled' }).where('user_id', '=', who.userId).execute(),
    );
  const changeMember = (who: Account, wanted: object) =>
    world.call('PATCH', `/v1/auth/tenants/${world.acme.id}/members/${who.userId}`, {
      as: world.as(admin),
      body: wanted,
    });
  const reset = async ({ email }: Account) => {
    await world.post('/v1/auth/password/forgot', { email });
    const token = tokenIn(await world.mail.mailTo(email));
    return world.post('/v1/auth/password/reset', { token, password: newPassword });
  };

  // A stolen refresh token must not survive these changes.
  test.each<[string, (who: Account) => Promise<unknown>]>([
    ['the password was reset', (who) => reset(who)],
    [
      'the password was changed elsewhere',
      (who) => world.post('/v1/auth/password/change', { current_password: password, new_password: newPassword }, who),
    ],
    ['the role was changed', (who) => changeMember(who, { role: 'complainant' })],
    ['the member was disabled', (who) => changeMember(who, { status: 'disabled' })],
    [
      'the member was disabled and is active again',
      async (who) => {
        await changeMember(who, { status: 'disabled' });
        await changeMember(who, { status: 'active' });
      },
    ],
    ['the membership was disabled in the database', (who) => disable('memberships', who)],
    ['the user was disabled in the database', (who) => disable('users', who)],
  ])('a session ends after %s, and no token is issued', async (_what, event) => {
    const who = await world.account('agent');
    const { refresh_token, session_id } = (await world.logIn(who.email)).body;
    const read = () =>
      probing(world.store.db, (trx) =>
        trx.selectFrom('sessions').select(['id', 'counter']).where('user_id', '=', who.userId).orderBy('id').execute(),
      );
    const before = await read();
    await event(who);
    const answer = await world.post('/v1/auth/refresh', { refresh_token });
    expect([answer.status, answer.body.code]).toEqual([401, 'session_revoked']);
    expect(answer.body.access_token).toBeUndefined();
    expect(await read()).toEqual(before);
    expect(before.map(({ id }) => id)).toContain(session_id);
  });

  // Control characters in an email address must not forge log lines.
  const bare = ['\u001b[2J', '{"level":60}', '"', '\u2028', '%0d%0a', '\u202e'];
  test.each(
    bare.flatMap((what) =>
      ['/v1/auth/login', '/v1/auth/password/forgot', '/v1/auth/register'].map((path) => [what, path] as const),
    ),
  )('writes one log line for an email address with %j at %s', async (what, path) => {
    const before = world.log.lines().length;
    const answer = await world.post(path, { email: `ann${what}@acme.test`, password: newPassword });
    expect(answer.status).toBeGreaterThanOrEqual(202);
    const lines = world.log
      .lines()
      .slice(before)
      .filter(({ msg }) => msg === 'request');
    expect(lines).toHaveLength(1);
    for (const raw of ['\u001b', '\r', '\u0000']) expect(world.log.text()).not.toContain(raw);
  });

  // Errors must not reveal how the service works.
  test.each<[string, string, unknown]>([
    ['/v1/auth/password/reset', 'POST', { token: "x' or 1=1 --", password: newPassword }],
    ['/v1/auth/email/verify', 'POST', { token: '../../etc/passwd', password: newPassword }],
    ['/v1/auth/invitations/accept', 'POST', { token: '\u0000', password: newPassword }],
    ['/v1/auth/invitations/accept', 'POST', '{"token":'],
    ['/v1/auth/register', 'POST', { email: {} }],
    ['/v1/auth/audit?cursor=-1', 'GET', undefined],
    ['/v1/auth/tenants/%00/invitations', 'GET', undefined],
    ["/v1/auth/tenants/x'/members/y'", 'PATCH', { role: 'agent' }],
  ])('answers %s %s without a stack trace, path, SQL or library name', async (target, method, body) => {
    const answer = await world.call(method as 'GET', target, {
      as: world.as(admin),
      ...(body !== undefined && { body }),
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.text).not.toMatch(/node_modules|\.ts:|at \w+ \(|select |zod|kysely|postgres|pglite/i);
    expect(answer.body.request_id).toBe(answer.headers['x-request-id']);
  });

  // Fields that a client must not set.
  test.each<[string, string, object]>([
    ['the tenant', 'invitations', { tenant_id: 'globex' }],
    ['the inviter', 'invitations', { invited_by: 'someone' }],
    ['the state of the invitation', 'invitations', { accepted_at: '2020-01-01T00:00:00Z' }],
  ])('refuses %s in the body', async (_what, path, more) => {
    const email = freshEmail();
    const answer = await world.post(
      `/v1/auth/tenants/${world.acme.id}/${path}`,
      { email, role: 'agent', ...more },
      admin,
    );
    expect([answer.status, answer.body.code]).toEqual([422, 'validation_failed']);
    const rows = await probing(world.store.db, (trx) =>
      trx.selectFrom('invitations').selectAll().where('email_ci', '=', email).execute(),
    );
    expect(rows).toEqual([]);
  });

  test('counts an email address once regardless of case: seven requests from one network send five emails', async () => {
    const who = await world.account('agent');
    const ip = freshAddress();
    for (let count = 0; count < 7; count += 1) {
      const body = { email: count % 2 === 0 ? who.email : who.email.toUpperCase() };
      expect((await world.call('POST', '/v1/auth/password/forgot', { ip, body })).status).toBe(202);
    }
    await world.mail.mailTo(who.email, 5);
    await eventually(async () => {
      const orders = await probing(world.store.db, (trx) =>
        trx.selectFrom('outbox').selectAll().where('topic', '=', 'mail').execute(),
      );
      expect(orders).toEqual([]);
    });
    expect(world.mail.received.filter(({ to }) => to === who.email)).toHaveLength(5);
  });

  test('sends a password reset and an invitation even when other email has reached its limit', async () => {
    const globex = await makeTenant(world.store.db, `globex-${admin.userId}`);
    const elsewhere = await world.account('admin', [globex]);
    const { email } = await world.account('agent');
    for (let count = 0; count < 22; count += 1) {
      for (const path of ['/v1/auth/email/resend', '/v1/auth/register']) {
        expect((await world.post(path, { email })).status).toBe(202);
      }
    }
    const seen = () => world.mail.received.filter((mail) => mail.to === email).map(({ subject }) => subject);
    expect((await world.post('/v1/auth/password/forgot', { email })).status).toBe(202);
    await eventually(async () => expect(seen()).toContain('Choose a new password'));
    const invited = await world.post(`/v1/auth/tenants/${globex.id}/invitations`, { email, role: 'agent' }, elsewhere);
    expect(invited.status).toBe(201);
  });
});
