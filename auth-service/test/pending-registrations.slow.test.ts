import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Location, openDatabase } from '@countersign/database';
import { databases } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { verifyEmail } from '../src/flows/accounts/register.ts';
import { logIn } from '../src/flows/sessions/log-in.ts';
import { authDatabase } from '../src/store/database.ts';
import { saveMailedToken } from '../src/store/mail/mailed-tokens.ts';
import { roles } from '../src/store/roles.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { freshEmail, newPassword } from './support/accounts-world.ts';
import { caller, codeOf, loginParts } from './support/flows.ts';
import { makeTenant, testPasswords } from './support/people.ts';

test.each(databases())(
  'a registration from before 0019 keeps its link and loses its password, on %s',
  async (_, database) => {
    const { location: anywhere, name, drop } = database.locate();
    const home = mkdtempSync(join(tmpdir(), 'countersign-auth-'));
    const location: Location = 'dataDir' in anywhere ? { dataDir: join(home, 'data') } : anywhere;
    const open = (of: Partial<typeof authDatabase> = {}) =>
      openDatabase<AuthSchema>({ ...authDatabase, ...of, location, name });
    const [email, token, first] = [freshEmail(), 'A'.repeat(43), 'what the attacker knows'];

    const before = await open({
      roles: authDatabase.roles.filter((role) => role !== roles.clients),
      migrations: authDatabase.migrations.filter((migration) => migration.name < '0019'),
    });
    await makeTenant(before, 'acme');
    const { hash, pepperKid } = await (await testPasswords()).hash(first);
    await before.transaction({ role: roles.accounts }, (trx) =>
      sql`insert into registrations (id, email_ci, hash, pepper_kid, expires_at)
        values ('r', ${email}, ${hash}, ${pepperKid}, now() + interval '1 day')`.execute(trx),
    );
    const subject = { purpose: 'email_verification', registrationId: 'r' } as const;
    await before.transaction({ role: roles.courier }, (trx) =>
      saveMailedToken(trx, token, { subject, lifetimeSec: 60 }),
    );
    await before.close();

    const db = await open();
    const parts = await loginParts(db);
    const registration = { mode: 'open', joins: { tenant: 'acme', role: 'complainant' } } as const;
    await verifyEmail({ ...parts, registration }, { token, password: newPassword }, caller);
    const enter = (password: string) =>
      codeOf(logIn(parts, { email, password, tenant: undefined, transport: 'body' }, caller));
    expect([await enter(first), await enter(newPassword)]).toEqual(['invalid_credentials', 'ok']);
    await db.close();
    await drop();
    rmSync(home, { recursive: true });
  },
);
