import { databases, eventually, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql, type Transaction } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { addMember } from '../src/flows/accounts/seed.ts';
import { disableUser, inviteAdministrator } from '../src/flows/operator/operate.ts';
import type { LoginParts } from '../src/flows/sessions/log-in.ts';
import { acceptInvitation, invite } from '../src/flows/tenants/invitations.ts';
import { type Admin, changeMember } from '../src/flows/tenants/members.ts';
import { operatorChain } from '../src/store/audit/audit.ts';
import { saveMailedToken } from '../src/store/mail/mailed-tokens.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { holdLock, roles } from '../src/store/transaction.ts';
import { newPassword } from './support/accounts-world.ts';
import { caller, codeOf, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, password, type Tenant } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

/*
 * Tests races between an invitation and losing the right to invite or to join. PGlite runs one transaction at a time,
 * so none of them can happen there.
 */
const servers = databases().filter(([kind]) => kind === 'postgres');

describe.each(servers)('on %s, an invitation whose inviter loses the right to invite', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts;
  let tenant: Tenant;
  let boss: Admin;
  beforeAll(async () => {
    store = await openProbed(database);
    parts = await loginParts(store.db);
    tenant = await makeTenant(store.db, 'acme');
    boss = await makeAdmin();
  });
  afterAll(() => store.close());

  const emailOf = ({ userId }: Admin) => `${userId}@acme.test`;
  const makeAdmin = async (): Promise<Admin> => {
    const admin = { tenantId: tenant.id, userId: uuidv7(), sessionId: null, requestId: 'test' };
    await addMember(store.db, { ...admin, email: emailOf(admin), role: 'admin', password: undefined });
    return admin;
  };
  const invitationBy = async (admin: Admin, email = `${uuidv7()}@new.test`) => {
    const { id: invitationId } = await invite(parts, admin, { email, role: 'admin' });
    const token = uuidv7();
    const subject = { purpose: 'invitation', invitation_id: invitationId, tenant_id: tenant.id } as const;
    await store.db.transaction({ role: roles.courier }, (trx) =>
      saveMailedToken(trx, token, { subject, lifetimeSec: 60 }),
    );
    return { email, token };
  };
  const accept = (token: string, secret = newPassword) =>
    codeOf(acceptInvitation(parts, { token, password: secret, session: undefined, transport: 'body' }, caller));
  const members = () =>
    probing(store.db, async (trx) => {
      const rows = await trx
        .selectFrom('users as u')
        .innerJoin('memberships as m', 'm.user_id', 'u.id')
        .select('u.email_ci as email')
        .where('m.tenant_id', '=', tenant.id)
        .execute();
      return rows.map(({ email }) => email);
    });

  /**
   * Resolves once this many clients wait for a lock. Asks in the transaction that holds it: that needs no connection,
   * which may take long on a busy machine, and PostgreSQL ends a transaction that is idle for 10 s.
   */
  const waiting = (trx: Transaction<AuthSchema>, count: number) =>
    eventually(async () => {
      await sql`select pg_stat_clear_snapshot()`.execute(trx);
      const { rows } = await sql`select distinct pid from pg_locks where not granted and pid in
        (select pid from pg_stat_activity where datname = current_database())`.execute(trx);
      expect(rows).toHaveLength(count);
    });

  /**
   * Starts operations in order while an audit chain is locked, so that the first has made its decision before the
   * second reads.
   */
  async function inThisOrder<A, B>(chain: string, first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> {
    const started: [Promise<A>?, Promise<B>?] = [];
    await probing(store.db, async (trx) => {
      await holdLock(trx, 'auditChain', chain);
      started[0] = first();
      await waiting(trx, 1);
      started[1] = second();
      await waiting(trx, 2);
    });
    return Promise.all(started as [Promise<A>, Promise<B>]);
  }

  const losses: [name: string, chain: () => string, lose: (admin: Admin) => Promise<unknown>][] = [
    ['demoted', () => tenant.id, ({ userId }) => changeMember(store.db, boss, { userId, wanted: { role: 'agent' } })],
    [
      'disabled in the tenant',
      () => tenant.id,
      ({ userId }) => changeMember(store.db, boss, { userId, wanted: { status: 'disabled' } }),
    ],
    ['disabled by the operator', () => operatorChain, (admin) => disableUser(store.db, emailOf(admin), 'test')],
  ];

  test.each(losses)('an invitation cannot be accepted once its inviter is being %s', async (_how, chain, lose) => {
    const admin = await makeAdmin();
    const { email, token } = await invitationBy(admin);
    const [lost, accepted] = await inThisOrder(
      chain(),
      () => codeOf(lose(admin)),
      () => accept(token),
    );
    expect([lost, accepted]).toEqual(['ok', 'invitation_gone']);
    expect(await members()).not.toContain(email);
  });

  test.each(losses)(
    'an invitation is valid if it was accepted before its inviter is %s',
    async (_how, _chain, lose) => {
      const admin = await makeAdmin();
      const { email, token } = await invitationBy(admin);
      const [accepted, lost] = await inThisOrder(
        tenant.id,
        () => accept(token),
        () => codeOf(lose(admin)),
      );
      expect([accepted, lost]).toEqual(['ok', 'ok']);
      expect(await members()).toContain(email);
    },
  );

  test.each(losses)('an invitation cannot be sent once the inviter is being %s', async (_how, chain, lose) => {
    const admin = await makeAdmin();
    const [lost, made] = await inThisOrder(
      chain(),
      () => codeOf(lose(admin)),
      () => codeOf(invitationBy(admin)),
    );
    expect([lost, made]).toEqual(['ok', 'insufficient_role']);
  });

  describe('an invitation and the status of the invited person', () => {
    const stranger = async () => {
      const elsewhere = await makeTenant(store.db, `t-${uuidv7()}`);
      const person = await makePerson(store.db, parts.passwords, [elsewhere]);
      return { ...person, token: (await invitationBy(boss, person.email)).token };
    };

    test('a person whose account is being disabled gets no membership', async () => {
      const { email, token } = await stranger();
      const [disabled, accepted] = await inThisOrder(
        operatorChain,
        () => codeOf(disableUser(store.db, email, 'test')),
        () => accept(token, password),
      );
      expect([disabled, accepted]).toEqual(['ok', 'invalid_credentials']);
      expect(await members()).not.toContain(email);
    });

    test('the last update says disabled when the person is disabled right after joining', async () => {
      const { userId, email, token } = await stranger();
      const [, disabled] = await inThisOrder(
        tenant.id,
        () => accept(token, password),
        () => codeOf(disableUser(store.db, email, 'test')),
      );
      expect(disabled).toBe('ok');
      const rows = await probing(store.db, (trx) =>
        trx
          .selectFrom('outbox')
          .select('payload')
          .where('ordering_key', '=', `member ${tenant.id} ${userId}`)
          .orderBy('seq')
          .execute(),
      );
      expect(rows.map(({ payload }) => JSON.parse(payload).status)).toEqual(['active', 'disabled']);
    });
  });

  test('an operator can repeat an invitation while its inviter is disabled', async () => {
    const admin = await makeAdmin();
    const { email } = await invitationBy(admin);
    const [invited, disabled] = await inThisOrder(
      tenant.id,
      () => codeOf(inviteAdministrator(store.db, { slug: 'acme', email }, 'test')),
      () => codeOf(disableUser(store.db, emailOf(admin), 'test')),
    );
    expect([invited, disabled]).toEqual(['ok', 'ok']);
  });
});
