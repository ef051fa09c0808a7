import { databases, silentLogger, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Response } from 'supertest';
import { createHashQueue, createPasswords } from '../src/domain/accounts/passwords.ts';
import { parseKeyRing } from '../src/domain/keys/key-ring.ts';
import { knownBrowserCookie } from '../src/domain/sessions/cookies.ts';
import { changePassword } from '../src/flows/accounts/passwords.ts';
import { logIn } from '../src/flows/sessions/log-in.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { caller, codeOf, loginParts, macKeys } from './support/flows.ts';
import { testGateway } from './support/gateway.ts';
import {
  makePerson,
  makeTenant,
  type Person,
  password,
  peppers,
  type Tenant,
  testPasswords,
} from './support/people.ts';
import { openProbed } from './support/probed-database.ts';
import { startService } from './support/service.ts';

describe.each(databases().slice(0, 1))('a known browser on %s', (_, database) => {
  let store: ThrowAway<AuthSchema>;
  let tenant: Tenant;
  beforeAll(async () => {
    store = await openProbed(database);
    tenant = await makeTenant(store.db, 'acme');
  });
  afterAll(() => store.close());

  const person = async () => makePerson(store.db, await testPasswords(), [tenant]);
  const grantFor = async ({ email }: Person) => {
    const admission = await logIn(await loginParts(store.db), { email, password, transport: 'cookie' }, caller);
    if (admission.kind !== 'granted') throw new Error('no grant');
    return admission.grant;
  };
  const cookieFor = async (who: Person) =>
    knownBrowserCookie(await grantFor(who), macKeys, Date.now()).split(';')[0] ?? '';

  /** The parts of a service whose queue is full: of attempts from other addresses, one each. */
  async function busyService() {
    const queue = createHashQueue({ concurrency: 1, maxWaiting: 7 });
    const gate = Promise.withResolvers<void>();
    // A quarter of the eight places is kept.
    const flood = Promise.allSettled(
      Array.from({ length: 20 }, (__, index) =>
        queue.withPlace({ address: `10.0.0.${index}` }, (turn) => queue.run(turn, () => gate.promise)),
      ),
    );
    const passwords = await createPasswords({ peppers: parseKeyRing(peppers), cost: 4, queue });
    return {
      parts: { ...(await loginParts(store.db)), passwords },
      async open() {
        gate.resolve();
        const refused = (await flood).filter(({ status }) => status === 'rejected').length;
        expect(refused).toBe(20 - 6);
      },
    };
  }

  test('logs in while attempts from other addresses fill the queue, and only to its own account', async () => {
    const [ann, bob] = [await person(), await person()];
    const cookie = await cookieFor(ann);
    const { parts, open } = await busyService();
    const attempt = (email: string, more: { cookie?: string; password?: string } = {}) =>
      codeOf(logIn(parts, { email, password, transport: 'cookie', ...more }, caller));
    expect(await attempt(ann.email)).toBe('login_busy');
    expect(await attempt(bob.email, { cookie })).toBe('login_busy');
    const own = attempt(ann.email, { cookie });
    // One attempt of an account waits at a kept place.
    expect(await attempt(ann.email, { cookie })).toBe('login_busy');
    await open();
    expect(await own).toBe('ok');
    expect(await attempt(ann.email, { cookie, password: 'wrong' })).toBe('invalid_credentials');
  });

  test('is unknown once the password has changed', async () => {
    const ann = await person();
    const cookie = await cookieFor(ann);
    const { userId, tenantId, sessionId } = (await grantFor(ann)).access;
    const next = `${password} 2`;
    const owner = { userId, tenantId, sessionId };
    await changePassword(await loginParts(store.db), owner, { current: password, next }, caller);
    const { parts, open } = await busyService();
    const given = { email: ann.email, password: next, transport: 'cookie', cookie } as const;
    expect(await codeOf(logIn(parts, given, caller))).toBe('login_busy');
    await open();
    expect(await codeOf(logIn(parts, given, caller))).toBe('ok');
  });

  test('has ten attempts at an account in an hour, and then waits like others', async () => {
    const ann = await person();
    const cookie = await cookieFor(ann);
    const given = { email: ann.email, password, transport: 'cookie', cookie } as const;
    const quiet = await loginParts(store.db);
    for (let count = 0; count < 10; count += 1) expect(await codeOf(logIn(quiet, given, caller))).toBe('ok');
    const { parts, open } = await busyService();
    expect(await codeOf(logIn(parts, given, caller))).toBe('login_busy');
    await open();
    expect(await codeOf(logIn(parts, given, caller))).toBe('ok');
  });

  test('gets its cookie with each login that sets the session cookie, and with no refusal', async () => {
    const ann = await person();
    const origin = 'https://app.example.test';
    const gateway = await testGateway();
    const service = await startService(store.db, gateway, silentLogger(), { AUTH_BROWSER_ORIGINS: origin });
    const cookies = async (email: string, secret: string, transport: 'cookie' | 'body') => {
      const body = { email, password: secret, transport };
      const answer: Response = await gateway.call(service.port, 'POST', '/v1/auth/login', {
        headers: { origin },
        body,
      });
      const set = (answer.headers['set-cookie'] ?? []) as unknown as string[];
      return [answer.status, ...set.map((line) => line.split('=')[0])];
    };
    expect(await cookies(ann.email, password, 'cookie')).toEqual([
      200,
      '__Host-rt',
      '__Host-signed-in',
      '__Host-known',
    ]);
    expect(await cookies(ann.email, password, 'body')).toEqual([200]);
    expect(await cookies(ann.email, 'wrong', 'cookie')).toEqual([401]);
    expect(await cookies('unknown@acme.test', 'wrong', 'cookie')).toEqual([401]);
    await service.stop();
    await gateway.close();
  });
});
