import { databases, eventually, redisServers } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { sql } from 'kysely';
import { verifyAudit } from '../src/flows/audit/verify-audit.ts';
import { type Account, type AccountsWorld, accountsWorld, freshEmail, newPassword } from './support/accounts-world.ts';
import { gatewayItself } from './support/gateway.ts';
import { tokenIn } from './support/mailed-token.ts';
import { makeTenant, password, type Tenant } from './support/people.ts';
import { probing } from './support/probed-database.ts';

describe.each(databases())('tenants on %s', (_, database) => {
  // One run has Redis and the other does not, which changes where attempts are counted.
  describe.each(redisServers().slice(-1))('with attempts in %s', (__, { url }) => {
    let world: AccountsWorld;
    let admin: Account;
    let globex: Tenant;
    beforeAll(async () => {
      world = await accountsWorld(database, { REDIS_URL: url });
      admin = await world.account('admin');
      globex = await makeTenant(world.store.db, 'globex');
    });
    afterAll(() => world.close());

    const invitations = (tenant = world.acme) => `/v1/auth/tenants/${tenant.id}/invitations`;
    const invite = (email: string, { role = 'agent', by = admin, to = world.acme } = {}) =>
      world.post(invitations(to), { email, role }, by);
    /** Skips other email to the same address, such as the notice of a changed password. */
    const invitationsTo = (email: string) =>
      world.mail.received.filter(({ to, subject }) => to === email && subject.startsWith('You are invited'));
    const invited = async (email: string, more: Parameters<typeof invite>[1] = {}) => {
      const before = invitationsTo(email).length;
      const answer = await invite(email, more);
      expect(answer.status).toBe(201);
      const token = await eventually(() => {
        const [mail] = invitationsTo(email).slice(before);
        if (mail === undefined) throw new Error(`no invitation to ${email}`);
        return tokenIn(mail);
      });
      return { id: String(answer.body.id), token };
    };
    const accept = (token: string, secret?: string, as?: Account) =>
      world.post('/v1/auth/invitations/accept', { token, ...(secret !== undefined && { password: secret }) }, as);
    const change = (who: Account | string, wanted: object, by = admin, tenant = world.acme) =>
      world.call('PATCH', `/v1/auth/tenants/${tenant.id}/members/${typeof who === 'string' ? who : who.userId}`, {
        as: world.as(by),
        body: wanted,
      });
    const refresh = (token: string) => world.post('/v1/auth/refresh', { refresh_token: token });
    const audit = async (by = admin, query = '') => world.call('GET', `/v1/auth/audit${query}`, { as: world.as(by) });
    /** An administrator of a separate tenant, which no other test changes. */
    const ownTenant = async () => {
      const tenant = await makeTenant(world.store.db, `t${Math.random().toString(36).slice(2)}`);
      return { tenant, boss: await world.account('admin', [tenant]) };
    };

    describe('invitations', () => {
      test('a new user accepts an invitation by choosing a password, and is logged in', async () => {
        const email = freshEmail();
        const { id, token } = await invited(email);
        const list = await world.call('GET', invitations(), { as: world.as(admin) });
        expect(list.body.items).toContainEqual({
          id,
          email,
          role: 'agent',
          invited_by: admin.userId,
          created_at: expect.stringMatching(/Z$/),
          expires_at: expect.stringMatching(/Z$/),
        });
        const before = await world.hashes();
        const answer = await accept(token, newPassword);
        expect(answer.status).toBe(200);
        expect(answer.headers['cache-control']).toBe('no-store');
        expect(answer.body).toMatchObject({
          user: { email },
          tenant: { id: world.acme.id, slug: 'acme', role: 'agent' },
        });
        expect((await world.hashes()) - before).toBe(1);
        expect((await world.logIn(email, newPassword)).status).toBe(200);
        const after = await world.call('GET', invitations(), { as: world.as(admin) });
        expect(JSON.stringify(after.body.items)).not.toContain(id);
      });

      test('a user with an account accepts an invitation only by proving that the account is theirs', async () => {
        const bob = await world.account('agent', [globex]);
        const { token } = await invited(bob.email);
        for (const secret of [undefined, 'wrong', newPassword]) {
          const refused = await accept(token, secret);
          expect([refused.status, refused.body.code]).toEqual([401, 'invalid_credentials']);
        }
        // A session of another person is not a proof either.
        expect((await accept(token, undefined, admin)).body.code).toBe('invalid_credentials');
        expect((await world.logIn(bob.email)).body.tenant.slug).toBe('globex');
        const before = await world.hashes();
        const answer = await accept(token, password);
        expect([answer.status, answer.body.tenant.slug, answer.body.user.id]).toEqual([200, 'acme', bob.userId]);
        expect((await world.hashes()) - before).toBe(1);
      });

      test('a user with a session accepts an invitation without a password, and keeps the authentication methods', async () => {
        const bob = await world.account('agent', [globex]);
        const { token } = await invited(bob.email);
        const answer = await accept(token, undefined, bob);
        expect([answer.status, answer.body.tenant.slug]).toEqual([200, 'acme']);
        const row = await probing(world.store.db, (trx) =>
          trx.selectFrom('sessions').select('auth_time').where('id', '=', bob.sid).executeTakeFirstOrThrow(),
        );
        expect(decodeJwt(answer.body.access_token)).toMatchObject({
          auth_time: Math.floor(row.auth_time.getTime() / 1000),
          amr: ['pwd'],
          tenant_id: world.acme.id,
        });
      });

      test('a user with a second factor accepts an invitation only with a code', async () => {
        const bob = await world.account('agent', [globex]);
        await probing(world.store.db, (trx) =>
          trx
            .insertInto('totp')
            .values({
              user_id: bob.userId,
              secret_enc: Buffer.alloc(32),
              kek_id: 'kek',
              confirmed_at: new Date(),
              last_step: null,
            })
            .execute(),
        );
        const { token } = await invited(bob.email);
        const answer = await accept(token, password);
        expect([answer.status, answer.body.code, answer.body.access_token]).toEqual([401, 'mfa_required', undefined]);
      });

      test('a used, withdrawn or expired invitation is refused', async () => {
        const used = await invited(freshEmail());
        await accept(used.token, newPassword);
        const withdrawn = await invited(freshEmail());
        const remove = (id: string, by = admin) => world.call('DELETE', `${invitations()}/${id}`, { as: world.as(by) });
        expect((await remove(withdrawn.id)).status).toBe(204);
        expect((await remove(withdrawn.id)).status).toBe(404);
        const late = await invited(freshEmail());
        await probing(world.store.db, (trx) =>
          trx
            .updateTable('invitations')
            .set({ expires_at: new Date(Date.now() - 1_000) })
            .where('id', '=', late.id)
            .execute(),
        );
        for (const { token } of [used, withdrawn, late]) {
          const answer = await accept(token, newPassword);
          expect([answer.status, answer.body.code]).toEqual([410, 'invitation_gone']);
        }
        expect((await accept('A'.repeat(43), newPassword)).body.code).toBe('invalid_token');
      });

      test('of two concurrent requests to accept an invitation, one succeeds', async () => {
        const { token } = await invited(freshEmail());
        const answers = await Promise.all([accept(token, newPassword), accept(token, newPassword)]);
        expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      });

      test('a browser accepts an invitation and gets a cookie, but not from an unknown origin', async () => {
        const { token } = await invited(freshEmail());
        const body = { token, password: newPassword, transport: 'cookie' };
        const foreign = await world.call('POST', '/v1/auth/invitations/accept', {
          body,
          headers: { origin: 'https://evil.test' },
        });
        expect([foreign.status, foreign.body.code]).toEqual([403, 'cross_site_refused']);
        const answer = await world.post('/v1/auth/invitations/accept', body);
        expect([answer.status, answer.body.refresh_token]).toEqual([200, undefined]);
        expect(answer.headers['set-cookie']).toEqual([
          expect.stringMatching(/^__Host-rt=.*HttpOnly/),
          expect.stringMatching(/^__Host-signed-in=1; Max-Age=\d+; Path=\/; Secure; SameSite=Strict$/),
          expect.stringMatching(/^__Host-known=/),
        ]);
      });

      test('an address gets a limited number of invitations, even with withdrawals in between', async () => {
        const email = freshEmail();
        const statuses = [];
        let waitSec = '';
        for (let count = 0; count < 6; count += 1) {
          const { status, body, headers } = await invite(email);
          statuses.push(status);
          waitSec = String(headers['retry-after']);
          const target = `${invitations()}/${body.id}`;
          if (status === 201) await world.call('DELETE', target, { as: world.as(admin) });
        }
        expect(statuses).toEqual([201, 201, 201, 201, 201, 429]);
        expect(Number(waitSec)).toBeGreaterThan(3_500);
      });

      test('an invited address or an existing member cannot be invited again', async () => {
        const email = freshEmail();
        await invited(email);
        const again = await invite(email.toUpperCase());
        expect([again.status, again.body.code]).toEqual([409, 'already_invited']);
        const member = await invite((await world.account('agent')).email);
        expect([member.status, member.body.code]).toEqual([409, 'already_member']);
      });

      test.each<[string, object]>([
        ['a role that tenants cannot assign', { role: 'owner' }],
        ['no role', { role: undefined }],
        ['no address', { email: 'no-address' }],
        ['a header in the email address', { email: 'a@b.test\nBcc: c@d.test' }],
      ])('refuses an invitation with %s', async (_what, wrong) => {
        const answer = await world.post(invitations(), { email: freshEmail(), role: 'agent', ...wrong }, admin);
        expect([answer.status, answer.body.code]).toEqual([422, 'validation_failed']);
      });

      test('only the tenant’s administrators can send invitations, and their role is checked again', async () => {
        const agent = await world.account('agent');
        const foreign = await invite(freshEmail(), { to: globex });
        expect([foreign.status, foreign.body.code]).toEqual([403, 'tenant_mismatch']);
        expect((await invite(freshEmail(), { by: agent })).body.code).toBe('insufficient_role');
        // The token still says admin, but the membership does not.
        const stale = await invite(freshEmail(), { by: { ...agent, role: 'admin' } });
        expect([stale.status, stale.body.code]).toEqual([403, 'insufficient_role']);
        for (const target of [invitations(globex), `${invitations(globex)}?limit=1`]) {
          expect((await world.call('GET', target, { as: world.as(admin) })).status).toBe(403);
        }
      });

      test('invitations are listed in pages', async () => {
        const { tenant, boss } = await ownTenant();
        const emails = [freshEmail(), freshEmail(), freshEmail()];
        for (const email of emails) await invited(email, { by: boss, to: tenant });
        const page = async (query: string) =>
          (await world.call('GET', `${invitations(tenant)}${query}`, { as: world.as(boss) })).body;
        const first = await page('?limit=2');
        const second = await page(`?limit=2&cursor=${first.next_cursor}`);
        const seen = [...first.items, ...second.items].map(({ email }: { email: string }) => email);
        expect(seen).toEqual([...emails].reverse());
        expect(second.next_cursor).toBeNull();
      });
    });

    describe('invitations from an administrator', () => {
      /** A second administrator, and the open invitation that they sent to a third one. */
      const inviter = async () => {
        const { tenant, boss } = await ownTenant();
        const second = await world.account('admin', [tenant]);
        const email = freshEmail();
        const offered = await invited(email, { role: 'admin', by: second, to: tenant });
        return { tenant, boss, second, email, ...offered };
      };
      const expectGone = async (token: string) => {
        const answer = await accept(token, newPassword);
        expect([answer.status, answer.body.code]).toEqual([410, 'invitation_gone']);
      };

      test.each<[string, object]>([
        ['demoted', { role: 'agent' }],
        ['disabled', { status: 'disabled' }],
        ['demoted and disabled', { role: 'agent', status: 'disabled' }],
      ])(
        'invitations are withdrawn in the transaction in which their inviter is %s, with an audit entry',
        async (_how, wanted) => {
          const { tenant, boss, second, email, id, token } = await inviter();
          const kept = await invited(freshEmail(), { by: boss, to: tenant });
          expect((await change(second, wanted, boss, tenant)).status).toBe(200);
          const { body } = await world.call('GET', invitations(tenant), { as: world.as(boss) });
          expect(body.items.map((item: { id: string }) => item.id)).toEqual([kept.id]);
          await expectGone(token);
          expect((await world.logIn(email, newPassword)).status).toBe(401);
          const { items } = (await audit(boss)).body;
          const detail = { invitation_id: id, email, invited_by: second.userId, reason: 'member_changed' };
          expect(items).toContainEqual(
            expect.objectContaining({ action: 'invitation.revoked', user_id: boss.userId, detail }),
          );
          // With the role restored, they can invite again.
          await change(second, { role: 'admin', status: 'active' }, boss, tenant);
          await expectGone(token);
          expect((await invite(email, { by: second, to: tenant })).status).toBe(201);
          expect((await accept(kept.token, newPassword)).status).toBe(200);
        },
      );

      test.each<[string, (userId: string) => Promise<unknown>]>([
        ['the role', (userId) => withoutTheService('memberships', 'user_id', userId, { role: 'agent' })],
        ['the membership', (userId) => withoutTheService('memberships', 'user_id', userId, { status: 'disabled' })],
        ['the account', (userId) => withoutTheService('users', 'id', userId, { status: 'disabled' })],
      ])('an invitation cannot be accepted when its inviter has lost %s', async (_, lose) => {
        const { second, token } = await inviter();
        await lose(second.userId);
        await expectGone(token);
        // As for a withdrawn invitation, the password is not checked.
        expect((await accept(token, 'short')).status).toBe(410);
      });

      const withoutTheService = (table: 'memberships' | 'users', key: string, userId: string, values: object) =>
        probing(world.store.db, (trx) => trx.updateTable(table).set(values).where(sql.ref(key), '=', userId).execute());

      test('an administrator whose account is disabled cannot send invitations', async () => {
        const { tenant, second } = await inviter();
        await withoutTheService('users', 'id', second.userId, { status: 'disabled' });
        const answer = await invite(freshEmail(), { by: second, to: tenant });
        expect([answer.status, answer.body.code]).toEqual([403, 'insufficient_role']);
      });
    });

    describe('member changes', () => {
      test('a change ends the member’s sessions in this tenant and revokes their tokens, but not in other tenants', async () => {
        const bob = await world.account('agent', [world.acme, globex]);
        const here = (await world.logIn(bob.email, password, 'acme')).body;
        const there = (await world.logIn(bob.email, password, 'globex')).body;
        const answer = await change(bob, { role: 'complainant' });
        expect([answer.status, answer.body]).toEqual([
          200,
          { tenant_id: world.acme.id, user_id: bob.userId, email: bob.email, role: 'complainant', status: 'active' },
        ]);
        expect((await refresh(here.refresh_token)).body.code).toBe('session_revoked');
        expect((await refresh(there.refresh_token)).status).toBe(200);
        const { body } = await world.call('GET', '/internal/revocations', { as: gatewayItself });
        const member = body.items.find(
          (item: Record<string, string>) => item.kind === 'member' && item.user_id === bob.userId,
        );
        expect(member).toMatchObject({ tenant_id: world.acme.id });
        const { access_token, tenant } = (await world.logIn(bob.email, password, 'acme')).body;
        expect(tenant.role).toBe('complainant');
        expect(decodeJwt(access_token).iat).toBeGreaterThanOrEqual(Date.parse(member.not_before) / 1000);
      });

      test('a change gets a version higher than every earlier one and than the current time', async () => {
        const bob = await world.account('agent');
        const startedAt = Date.now() * 1_000;
        for (const role of ['complainant', 'agent']) await change(bob, { role });
        await probing(world.store.db, (trx) =>
          trx.updateTable('memberships').set({ version: 8e15 }).where('user_id', '=', bob.userId).execute(),
        );
        await change(bob, { role: 'complainant' });
        const rows = await probing(world.store.db, (trx) =>
          trx
            .selectFrom('outbox')
            .select('payload')
            .where('ordering_key', '=', `member ${world.acme.id} ${bob.userId}`)
            .orderBy('seq')
            .execute(),
        );
        const [first = 0, second = 0, third = 0] = rows.map(({ payload }) => JSON.parse(payload).sequence as number);
        // The database and the test use the clock of the same machine.
        expect(first).toBeGreaterThan(startedAt - 60_000_000);
        expect(second).toBeGreaterThan(first);
        expect(third).toBe(8e15 + 1);
      });

      test('a disabled member cannot log in to the tenant until they are active again', async () => {
        const bob = await world.account('agent');
        expect((await change(bob, { status: 'disabled' })).body.status).toBe('disabled');
        expect((await world.logIn(bob.email)).body.code).toBe('invalid_credentials');
        expect((await change(bob, { status: 'active' })).status).toBe(200);
        expect((await world.logIn(bob.email)).status).toBe(200);
      });

      test('the last active administrator cannot be demoted or disabled', async () => {
        const { tenant, boss } = await ownTenant();
        for (const wanted of [{ role: 'agent' }, { status: 'disabled' }]) {
          const answer = await change(boss, wanted, boss, tenant);
          expect([answer.status, answer.body.code]).toEqual([409, 'last_admin']);
        }
        // An administrator with a disabled account does not count.
        const second = await world.account('admin', [tenant]);
        await probing(world.store.db, (trx) =>
          trx.updateTable('users').set({ status: 'disabled' }).where('id', '=', second.userId).execute(),
        );
        expect((await change(boss, { role: 'agent' }, boss, tenant)).status).toBe(409);
        await probing(world.store.db, (trx) =>
          trx.updateTable('users').set({ status: 'active' }).where('id', '=', second.userId).execute(),
        );
        expect((await change(boss, { role: 'agent' }, boss, tenant)).status).toBe(200);
      });

      test('two administrators cannot demote each other at the same time', async () => {
        const { tenant, boss } = await ownTenant();
        const second = await world.account('admin', [tenant]);
        const answers = await Promise.all([
          change(second, { role: 'agent' }, boss, tenant),
          change(boss, { role: 'agent' }, second, tenant),
        ]);
        expect(answers.map(({ status }) => status).sort()).toEqual([200, 403]);
      });

      test('a change without a difference does nothing', async () => {
        const bob = await world.account('agent');
        const { refresh_token } = (await world.logIn(bob.email)).body;
        expect((await change(bob, { role: 'agent', status: 'active' })).status).toBe(200);
        expect((await refresh(refresh_token)).status).toBe(200);
      });

      test.each<[string, object, number, string]>([
        ['no field', {}, 422, 'validation_failed'],
        ['a role that tenants cannot assign', { role: 'root' }, 422, 'validation_failed'],
        ['an unknown status', { status: 'deleted' }, 422, 'validation_failed'],
      ])('a change is refused with %s', async (_what, wanted, status, code) => {
        const bob = await world.account('agent');
        const answer = await change(bob, wanted);
        expect([answer.status, answer.body.code]).toEqual([status, code]);
      });

      test('only administrators of the tenant can change its members', async () => {
        const stranger = await world.account('agent', [globex]);
        const agent = await world.account('agent');
        expect((await change(stranger, { role: 'admin' })).body.code).toBe('not_found');
        expect((await change('unknown', { role: 'admin' })).body.code).toBe('not_found');
        expect((await change(stranger, { role: 'admin' }, admin, globex)).body.code).toBe('tenant_mismatch');
        expect((await change(agent, { role: 'admin' }, agent)).body.code).toBe('insufficient_role');
        expect((await change(agent, { role: 'admin' }, { ...agent, role: 'admin' })).body.code).toBe(
          'insufficient_role',
        );
      });
    });

    describe('switching to a tenant', () => {
      const switchTo = (tenant: Tenant | string, who: Account) =>
        world.post(
          '/v1/auth/sessions/switch-tenant',
          { tenant_id: typeof tenant === 'string' ? tenant : tenant.id },
          who,
        );

      test('a switch starts a new token family, and requires proof of the current session', async () => {
        const bob = await world.account('agent', [world.acme, globex]);
        const first = (await world.logIn(bob.email, password, 'acme')).body;
        const answer = await switchTo(globex, { ...bob, sid: first.session_id });
        expect([answer.status, answer.body.tenant.slug]).toEqual([200, 'globex']);
        expect(answer.body.session_id).not.toBe(first.session_id);
        const [before, after] = [decodeJwt(first.access_token), decodeJwt(answer.body.access_token)];
        expect(after).toMatchObject({ tenant_id: globex.id, auth_time: before.auth_time, amr: before.amr });
        expect((await refresh(answer.body.refresh_token)).status).toBe(200);
        expect((await refresh(first.refresh_token)).status).toBe(200);
      });

      test('a switch works from the session that changed the password, which can also accept invitations', async () => {
        const dora = await makeTenant(world.store.db, `t${Math.random().toString(36).slice(2)}`);
        const boss = await world.account('admin', [dora]);
        const bob = await world.account('agent', [world.acme, globex]);
        const other = (await world.logIn(bob.email, password, 'acme')).body.session_id;
        const change = { current_password: password, new_password: newPassword };
        expect((await world.post('/v1/auth/password/change', change, bob)).status).toBe(204);
        await world.mail.mailTo(bob.email);
        const answer = await switchTo(globex, bob);
        expect([answer.status, answer.body.tenant?.slug]).toEqual([200, 'globex']);
        const { token } = await invited(bob.email, { by: boss, to: dora });
        expect((await accept(token, undefined, bob)).status).toBe(200);
        expect((await switchTo(globex, { ...bob, sid: other })).body.code).toBe('session_revoked');
      });

      test('a switch works only for members, with the same response for every other tenant', async () => {
        const bob = await world.account('agent');
        const former = await world.account('agent', [world.acme, globex]);
        await probing(world.store.db, (trx) =>
          trx
            .updateTable('memberships')
            .set({ status: 'disabled' })
            .where('user_id', '=', former.userId)
            .where('tenant_id', '=', globex.id)
            .execute(),
        );
        const answers = [
          await switchTo(globex, bob),
          await switchTo('no such tenant', bob),
          await switchTo(globex, former),
        ];
        for (const { status, body } of answers) expect([status, body.code]).toEqual([403, 'not_a_member']);
      });

      test('a switch is refused from an ended session, or from another person’s session', async () => {
        const bob = await world.account('agent', [world.acme, globex]);
        const eve = await world.account('agent', [world.acme, globex]);
        expect((await switchTo(globex, { ...eve, sid: bob.sid })).body.code).toBe('session_revoked');
        await world.post('/v1/auth/logout', {}, bob);
        expect((await switchTo(globex, bob)).body.code).toBe('session_revoked');
      });
    });

    describe('the audit log', () => {
      test('the audit log records every change, in pages for administrators', async () => {
        const { tenant, boss } = await ownTenant();
        const email = freshEmail();
        const { token } = await invited(email, { by: boss, to: tenant });
        const { user } = (await accept(token, newPassword)).body;
        await change(user.id, { role: 'complainant' }, boss, tenant);
        const items = [];
        let cursor: string | null = null;
        do {
          const { body } = await audit(boss, `?limit=3${cursor === null ? '' : `&cursor=${cursor}`}`);
          items.push(...body.items);
          cursor = body.next_cursor;
        } while (cursor !== null);
        expect(items.map(({ action }) => action)).toEqual([
          'session.ended',
          'member.changed',
          'session.started',
          'member.joined',
          'invitation.accepted',
          'invitation.created',
          'session.started',
        ]);
        expect(items.map(({ seq }) => seq)).toEqual([7, 6, 5, 4, 3, 2, 1]);
        expect(items[1]).toMatchObject({
          user_id: user.id,
          detail: { by: boss.userId, from: { role: 'agent' }, to: { role: 'complainant' } },
        });
        expect(await chainOf(tenant.id)).toMatchObject({ entries: 7, brokenAt: undefined });
      });

      test('the audit log is shown only to the tenant’s administrators', async () => {
        const agent = await world.account('agent');
        expect((await audit(agent)).body.code).toBe('insufficient_role');
        expect((await audit(admin, '?cursor=0')).status).toBe(422);
        expect((await audit(admin, '?cursor=1%27')).status).toBe(422);
        expect((await audit(admin, '?cursor=2147483647')).status).toBe(200);
        // Larger than the column allows.
        expect((await audit(admin, '?cursor=2147483648')).status).toBe(422);
      });

      test.each<[string, (tenantId: string) => Promise<unknown>, number]>([
        ['changed', (id) => tamper(id, { detail: '{"role":"agent"}' }), 2],
        ['assigned to another person', (id) => tamper(id, { user_id: 'other' }), 2],
        ['given another time', (id) => tamper(id, { at: new Date(0) }), 2],
        ['chained to another hash', (id) => tamper(id, { prev_hash: Buffer.alloc(32, 1) }), 2],
        ['removed', (id) => removeSecond(id), 3],
        ['inserted before the first', (id) => copyFirstBefore(id), 0],
      ])('the audit log reveals an entry that was %s', async (_how, meddle, brokenAt) => {
        const { tenant, boss } = await ownTenant();
        for (let count = 0; count < 3; count += 1) await world.logIn(boss.email);
        expect((await chainOf(tenant.id))?.brokenAt).toBeUndefined();
        await meddle(tenant.id);
        expect((await chainOf(tenant.id))?.brokenAt).toBe(brokenAt);
      });

      const chainOf = async (tenantId: string) =>
        (await verifyAudit(world.store.db)).find((report) => report.tenantId === tenantId);
      const tamper = (tenantId: string, change: object) =>
        probing(world.store.db, (trx) =>
          trx.updateTable('audit_log').set(change).where('tenant_id', '=', tenantId).where('seq', '=', 2).execute(),
        );
      const removeSecond = (tenantId: string) =>
        probing(world.store.db, (trx) =>
          trx.deleteFrom('audit_log').where('tenant_id', '=', tenantId).where('seq', '=', 2).execute(),
        );
      const copyFirstBefore = (tenantId: string) =>
        probing(world.store.db, async (trx) => {
          const all = trx.selectFrom('audit_log').selectAll().where('tenant_id', '=', tenantId);
          const first = await all.where('seq', '=', 1).executeTakeFirstOrThrow();
          await trx
            .insertInto('audit_log')
            .values({ ...first, seq: 0 })
            .execute();
        });
    });
  });
});
