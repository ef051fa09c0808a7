import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IdentityClaims } from '@countersign/identity';
import {
  type CapturingLogger,
  capturingLogger,
  type SmtpSink,
  smtpSink,
  type TestDatabase,
  type ThrowAway,
} from '@countersign/testing';
import request from 'supertest';
import { v7 as uuidv7 } from 'uuid';
import { addMember } from '../../src/flows/accounts/seed.ts';
import type { RunningService } from '../../src/service.ts';
import type { AuthSchema } from '../../src/store/schema.ts';
import { type Call, type TestGateway, testGateway } from './gateway.ts';
import { makeTenant, password, type Tenant, testPasswords } from './people.ts';
import { openProbed } from './probed-database.ts';
import { startService } from './service.ts';

export type Account = Readonly<{ userId: string; email: string; role: string; tenant: Tenant; sid: string }>;

/** The service behind a gateway, with a mail server, a tenant and its administrator. */
export async function accountsWorld(
  database: TestDatabase,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<AccountsWorld> {
  const store: ThrowAway<AuthSchema> = await openProbed(database);
  const gateway: TestGateway = await testGateway();
  const mail: SmtpSink = await smtpSink();
  const log: CapturingLogger = capturingLogger();
  const home = join(tmpdir(), `countersign-accounts-${process.pid}`);
  const service: RunningService = await startService(store.db, gateway, log.logger, {
    AUTH_REGISTRATION: 'open',
    AUTH_REGISTRATION_TENANT: 'acme',
    AUTH_SMTP_URL: mail.url,
    AUTH_LINK_BASE_URL: 'https://app.example.test/',
    COUNTERSIGN_HOME: home,
    ...env,
  });
  const passwords = await testPasswords();
  const acme = await makeTenant(store.db, 'acme');
  const hash = await passwords.hash(password, { address: 'test' });

  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', target: string, options: Call = {}) =>
    gateway.call(service.port, method, target, { ip: freshAddress(), ...options });

  const logIn = async (email: string, secret = password, tenant?: string) =>
    call('POST', '/v1/auth/login', { body: { email, password: secret, ...(tenant && { tenant }) } });

  const account = async (role: string, tenants: readonly Tenant[] = [acme]): Promise<Account> => {
    const userId = uuidv7();
    const email = `${userId}@acme.test`;
    for (const { id } of tenants) await addMember(store.db, { tenantId: id, userId, email, role, password: hash });
    const [tenant = acme] = tenants;
    const { body } = await logIn(email, password, tenant.slug);
    return { userId, email, role, tenant, sid: body.session_id };
  };

  return {
    store,
    mail,
    log,
    acme,
    service,
    call,
    logIn,
    account,
    post: (target, body, as) => call('POST', target, { body, ...(as && { as: factsOf(as) }) }),
    as: factsOf,
    async hashes() {
      const { text } = await request(`http://127.0.0.1:${service.port}`).get('/metrics');
      return Number(/^auth_password_hashes_total (\d+)$/m.exec(text)?.[1]);
    },
    async close() {
      await service.stop();
      await mail.close();
      await gateway.close();
      await store.close();
    },
  };
}

export type AccountsWorld = Readonly<{
  store: ThrowAway<AuthSchema>;
  mail: SmtpSink;
  log: CapturingLogger;
  acme: Tenant;
  service: RunningService;
  call(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', target: string, options?: Call): ReturnType<TestGateway['call']>;
  post(target: string, body: unknown, as?: Account): ReturnType<TestGateway['call']>;
  logIn(email: string, secret?: string, tenant?: string): Promise<Awaited<ReturnType<TestGateway['call']>>>;
  /** A member of these tenants, logged in to the first. */
  account(role: string, tenants?: readonly Tenant[]): Promise<Account>;
  as(account: Account): IdentityClaims;
  /** Number of bcrypt runs so far. */
  hashes(): Promise<number>;
  close(): Promise<void>;
}>;

export const factsOf = ({ userId, role, tenant, sid }: Account): IdentityClaims => ({
  kind: 'user',
  userId,
  role,
  tenantId: tenant.id,
  context: { sid },
});

/** An address without counted attempts, from this run or an earlier one. */
export const freshAddress = (): string => {
  const groups = randomBytes(6).toString('hex').match(/.{4}/g) ?? [];
  return `2001:${groups.join(':')}::1`;
};

export const freshEmail = (): string => `${uuidv7()}@new.test`;
export const newPassword = 'a stapler under the piano';
