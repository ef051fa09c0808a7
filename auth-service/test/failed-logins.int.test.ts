import { capturingLogger, databases, eventually, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { verifyAudit } from '../src/flows/audit/verify-audit.ts';
import { type LoginParts, logIn } from '../src/flows/sessions/log-in.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { freshEmail } from './support/accounts-world.ts';
import { caller, codeOf, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, type Tenant, testPasswords } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';

describe.each(databases())('refused logins in the audit log on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let parts: LoginParts;
  let tenants: Tenant[];
  const log = capturingLogger();
  beforeAll(async () => {
    store = await openProbed(database);
    parts = { ...(await loginParts(store.db)), logger: log.logger };
    tenants = [await makeTenant(store.db, 'acme'), await makeTenant(store.db, 'globex')];
  });
  afterAll(() => store.close());

  const guess = 'a wrong guess';
  let network = 0;
  const freshIp = () => {
    network += 1;
    return `198.51.${network >> 8}.${network & 255}`;
  };
  const fail = (email: string, ip = freshIp()) =>
    codeOf(
      logIn(parts, { email, password: guess, tenant: undefined, transport: 'body' }, { ...caller, ip, requestId: ip }),
    );
  const entries = () =>
    probing(store.db, (trx) =>
      trx.selectFrom('audit_log').selectAll().where('action', 'like', 'login.%').orderBy('seq').execute(),
    );
  const of = async (tenantId: string, action: string) =>
    (await entries()).filter((entry) => entry.tenant_id === tenantId && entry.action === action);
  const person = async () => makePerson(store.db, await testPasswords(), tenants);

  test('writes a failed login to the chain of each of the person’s tenants, without the password', async () => {
    const who = await person();
    const ip = freshIp();
    expect(await fail(who.email, ip)).toBe('invalid_credentials');
    await eventually(async () => {
      for (const { id } of tenants)
        expect(await of(id, 'login.failed')).toMatchObject([
          { user_id: who.userId, request_id: ip, detail: JSON.stringify({ ip, reason: 'invalid_credentials' }) },
        ]);
    });
    expect(JSON.stringify(await entries())).not.toContain(guess);
  });

  test('writes nothing to the chain of a tenant that removed the person', async () => {
    const who = await person();
    const [former, current] = tenants.map(({ id }) => id);
    await probing(store.db, (trx) =>
      trx
        .updateTable('memberships')
        .set({ status: 'disabled' })
        .where('user_id', '=', who.userId)
        .where('tenant_id', '=', String(former))
        .execute(),
    );
    await fail(who.email);
    const seenBy = async () => (await entries()).filter((entry) => entry.user_id === who.userId);
    await eventually(async () => expect(await seenBy()).toMatchObject([{ tenant_id: current }]));
  });

  test('writes an unknown email address to the operator’s chain, without the address', async () => {
    const email = freshEmail();
    expect(await fail(email)).toBe('invalid_credentials');
    await eventually(async () => expect(await of('operator', 'login.failed')).toMatchObject([{ user_id: null }]));
    expect(JSON.stringify(await entries())).not.toContain(email);
  });

  test('records that the limit was reached', async () => {
    const who = await person();
    const ip = freshIp();
    for (let tried = 0; tried < 11; tried += 1) await fail(who.email, ip);
    await eventually(async () => {
      const [entry] = await of(tenants[0]?.id ?? '', 'login.throttled');
      expect(entry).toMatchObject({ user_id: who.userId, detail: JSON.stringify({ ip, reason: 'too_many_attempts' }) });
    });
  });

  test('an attacker cannot flood the log with one account, from one network, or with unknown addresses', async () => {
    const who = await person();
    const before = (await entries()).length;
    for (let tried = 0; tried < 15; tried += 1) await fail(who.email);
    const ip = freshIp();
    for (let tried = 0; tried < 130; tried += 1) await fail(freshEmail(), ip);
    const written = async (action: string) => (await of('operator', action)).length;
    await eventually(async () => {
      const about = (await of(tenants[0]?.id ?? '', 'login.failed')).filter(({ user_id }) => user_id === who.userId);
      expect(about).toHaveLength(10);
      expect(await written('login.failed')).toBe(100);
      expect(await written('login.throttled')).toBe(10);
    });
    expect((await entries()).length).toBeLessThanOrEqual(before + 10 * tenants.length + 110);
  });

  test('the chains stay valid, and no write failed after a response', async () => {
    const reports = await verifyAudit(store.db);
    expect(reports.map(({ brokenAt }) => brokenAt)).toEqual(reports.map(() => undefined));
    expect(log.lines()).toEqual([]);
  });
});
