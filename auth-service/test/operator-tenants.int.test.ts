import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { databases } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import { sendCommand } from '../src/operator/cli.ts';
import { type AccountsWorld, accountsWorld, freshEmail, newPassword } from './support/accounts-world.ts';
import { gatewayItself } from './support/gateway.ts';
import { tokenIn } from './support/mailed-token.ts';
import { makeTenant, password } from './support/people.ts';
import { probing } from './support/probed-database.ts';

describe.each(databases())('an operator’s tenants on %s', (_, database) => {
  let home: string;
  let socket: string;
  let world: AccountsWorld;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'countersign-tenants-'));
    socket = join(home, 'operator', 'auth.sock');
    world = await accountsWorld(database, { AUTH_OPERATOR_SOCKET: socket });
  });
  afterAll(async () => {
    await world.close();
    rmSync(home, { recursive: true, force: true });
  });

  const run = (...command: string[]) => sendCommand(socket, ['tenants', ...command]);
  const freshSlug = () => `t-${uuidv7()}`;
  const accept = (token: string) => world.post('/v1/auth/invitations/accept', { token, password: newPassword });
  const chainOf = (tenantId: string) =>
    probing(world.store.db, async (trx) =>
      (
        await trx
          .selectFrom('audit_log')
          .select(['action', 'detail'])
          .where('tenant_id', '=', tenantId)
          .orderBy('seq')
          .execute()
      ).map(({ action, detail }) => ({ action, detail: JSON.parse(detail) as Record<string, unknown> })),
    );

  test('a new tenant gets a first administrator, who can invite others', async () => {
    const slug = freshSlug();
    const made = await run('create', slug, 'Initech & Söhne');
    expect(made).toMatchObject({ ok: true, lines: [expect.stringContaining(`created ${slug}`)] });
    const email = freshEmail();
    expect(await run('invite', slug, email.toUpperCase())).toMatchObject({ ok: true });
    const mail = await world.mail.mailTo(email);
    expect(mail.text).toContain('Initech & Söhne on Countersign as admin');
    const { status, body } = await accept(tokenIn(mail));
    expect([status, body.tenant]).toEqual([200, { id: expect.any(String), slug, role: 'admin' }]);

    const { id } = body.tenant;
    const { sub, sid } = decodeJwt<{ sid: string }>(body.access_token);
    const as = { kind: 'user', userId: sub ?? '', role: 'admin', tenantId: id, context: { sid } } as const;
    const next = await world.call('POST', `/v1/auth/tenants/${id}/invitations`, {
      as,
      body: { email: freshEmail(), role: 'agent' },
    });
    expect(next.status).toBe(201);
    expect((await run('list')).lines.join('\n')).toMatch(new RegExp(`${id} +${slug} +active +Initech & Söhne`));
    // The membership update is queued for the users-service, which does not run in this test.
    const updates = await probing(world.store.db, (trx) =>
      trx.selectFrom('outbox').select('payload').where('topic', '=', 'membership').execute(),
    );
    expect(updates.map(({ payload }) => JSON.parse(String(payload)))).toContainEqual(
      expect.objectContaining({ tenant_id: id, user_id: sub, role: 'admin', status: 'active' }),
    );
    const named = { tenant_id: id };
    expect(await chainOf('operator')).toEqual(
      expect.arrayContaining([
        { action: 'tenant.created', detail: { ...named, slug, name: 'Initech & Söhne' } },
        { action: 'tenant.admin_invited', detail: { ...named, email } },
      ]),
    );
    expect((await chainOf(id)).map(({ action }) => action).slice(0, 3)).toEqual([
      'invitation.created',
      'invitation.accepted',
      'member.joined',
    ]);
  });

  test('a tenant can get a second invitation after a lost email, and only the newest link works', async () => {
    const slug = freshSlug();
    await run('create', slug, 'Again');
    const email = freshEmail();
    await run('invite', slug, email);
    const first = tokenIn(await world.mail.mailTo(email));
    expect((await run('invite', slug, email)).ok).toBe(true);
    const second = tokenIn(await world.mail.mailTo(email, 2));
    expect((await accept(first)).body.code).toBe('invitation_gone');
    const { body } = await accept(second);
    expect(body.tenant.role).toBe('admin');
    expect(await run('invite', slug, email)).toMatchObject({ ok: false, lines: [expect.stringContaining('already')] });
  });

  test.each([
    ['a slug that is already taken', ['create', 'acme', 'Another'], 'SLUG: is already taken'],
    ['an invalid slug', ['create', 'Ac/me', 'Acme'], 'SLUG: must be 1 to 64 characters of a-z, 0-9 and -'],
    ['an empty slug', ['create', '', 'Acme'], 'SLUG: must be'],
    ['a name with two lines', ['create', 'two-lines', 'Acme\r\nBcc: x@evil.test'], 'NAME: must be one line of text'],
    ['a missing name', ['create', 'nameless', ' '], 'NAME: '],
    ['an invalid email address', ['invite', 'acme', 'no-address'], 'EMAIL: '],
    ['a header in the email address', ['invite', 'acme', 'a@b.test\r\nBcc: c@d.test'], 'EMAIL: '],
    ['an unknown tenant', ['invite', 'nowhere', 'a@b.test'], 'SLUG: the tenant does not exist or is disabled'],
    ['an unknown tenant to disable', ['disable', 'nowhere'], 'SLUG: the tenant does not exist or is disabled'],
    ['an unknown tenant to enable', ['enable', 'nowhere'], 'SLUG: the tenant does not exist or is disabled'],
  ])('a command that is refused because of %s changes nothing', async (_what, command, message) => {
    const state = () =>
      probing(world.store.db, async (trx) => [
        await trx.selectFrom('tenants').selectAll().orderBy('id').execute(),
        await trx.selectFrom('invitations').select('id').orderBy('id').execute(),
      ]);
    const before = await state();
    expect(await run(...command)).toMatchObject({
      ok: false,
      lines: [expect.anything(), expect.stringContaining(message)],
    });
    expect(await state()).toEqual(before);
  });

  // A disabled tenant's sessions must not continue.
  test('a disabled tenant refuses logins and refreshes, and sessions in other tenants continue', async () => {
    const closed = await makeTenant(world.store.db, freshSlug());
    const who = await world.account('agent', [closed, world.acme]);
    const [there, here] = [
      (await world.logIn(who.email, password, closed.slug)).body,
      (await world.logIn(who.email, password, 'acme')).body,
    ];
    // The new account started one session.
    expect((await run('disable', closed.slug)).lines).toEqual([`${closed.slug} is disabled; 2 sessions ended`]);
    expect((await world.logIn(who.email, password, closed.slug)).body.code).toBe('invalid_credentials');
    const refresh = (token: string) => world.post('/v1/auth/refresh', { refresh_token: token });
    expect((await refresh(there.refresh_token)).body.code).toBe('session_revoked');
    expect((await refresh(here.refresh_token)).status).toBe(200);
    const { body } = await world.call('GET', '/internal/revocations', { as: gatewayItself });
    expect(body.items).toContainEqual(expect.objectContaining({ kind: 'tenant', tenant_id: closed.id }));
    const chain = await chainOf(closed.id);
    expect(chain.filter(({ action }) => action !== 'login.failed').at(-1)).toEqual({
      action: 'tenant.sessions_ended',
      detail: { reason: 'tenant_disabled', ended: 2 },
    });

    expect((await run('enable', closed.slug)).lines).toEqual([`${closed.slug} is enabled`]);
    expect((await world.logIn(who.email, password, closed.slug)).status).toBe(200);
    expect((await refresh(there.refresh_token)).body.code).toBe('session_revoked');
  });
});
