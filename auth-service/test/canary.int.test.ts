import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IdentityClaims } from '@countersign/identity';
import { type CapturingLogger, capturingLogger, databases, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { parseKeyRing } from '../src/domain/keys/key-ring.ts';
import { totpCode, totpStep } from '../src/domain/second-factor/totp.ts';
import { decodeRefreshToken } from '../src/domain/sessions/refresh-token.ts';
import { openSigningKeys } from '../src/flows/keys/signing-keys.ts';
import { sendCommand } from '../src/operator/cli.ts';
import type { RunningService } from '../src/service.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { keks, macKeys } from './support/flows.ts';
import { type Call, type TestGateway, testGateway } from './support/gateway.ts';
import { makePerson, makeTenant, password, peppers, ring, testPasswords } from './support/people.ts';
import { openProbed, probedTables, probing } from './support/probed-database.ts';
import { startService } from './support/service.ts';
import { base32Bytes } from './support/totp.ts';

const page = 'https://app.example.test';

/*
 * Runs every secret of a session through success, refusals and a server fault, with the log at its most verbose level.
 * Then searches for them in the log, the metrics, the operator output and a dump of the whole database.
 */
describe('secrets of a session', () => {
  let home: string;
  let store: ThrowAway<AuthSchema>;
  let gateway: TestGateway;
  let service: RunningService;
  let log: CapturingLogger;
  const secrets: Record<string, string | Buffer> = {};
  const said: string[] = [];

  beforeAll(async () => {
    const [first] = databases();
    if (first === undefined) throw new Error('there is no database');
    home = mkdtempSync(join(tmpdir(), 'countersign-canary-'));
    store = await openProbed(first[1]);
    gateway = await testGateway();
    log = capturingLogger('trace');
    const socket = join(home, 'operator', 'auth.sock');
    service = await startService(store.db, gateway, log.logger, {
      AUTH_BROWSER_ORIGINS: page,
      AUTH_OPERATOR_SOCKET: socket,
    });
    await goThroughEverything(socket);
  });
  afterAll(async () => {
    await service.stop();
    await gateway.close();
    await store.close();
    rmSync(home, { recursive: true, force: true });
  });

  async function goThroughEverything(socket: string): Promise<void> {
    const tenants = [await makeTenant(store.db, 'acme'), await makeTenant(store.db, 'globex')];
    const who = await makePerson(store.db, await testPasswords(), tenants);
    const post = async (target: string, body: unknown, more: Call = {}) => {
      const answer = await gateway.call(service.port, 'POST', target, { body, ...more });
      return { status: answer.status, body: answer.body, cookie: String(answer.headers['set-cookie']?.[0] ?? '') };
    };
    const remember = (name: string, value: string) => {
      secrets[name] = value;
      return value;
    };
    const credentials = { email: who.email, password };
    secrets.password = password;

    const choice = await post('/v1/auth/login', credentials);
    remember('selection token', choice.body.selection_token);
    const chosen = { selection_token: choice.body.selection_token, tenant_id: tenants[0]?.id };
    const first = await post('/v1/auth/login/tenant', chosen);
    remember('access token', first.body.access_token);
    remember('refresh token', first.body.refresh_token);
    const context = { sid: first.body.session_id, amr: ['pwd'], authTime: Math.floor(Date.now() / 1000) };
    const as: IdentityClaims = {
      kind: 'user',
      userId: who.userId,
      role: 'agent',
      tenantId: tenants[0]?.id ?? '',
      context,
    };
    const { secret } = (await post('/v1/auth/mfa/totp', {}, { as })).body;
    remember('TOTP secret, typed', secret);
    secrets['TOTP secret'] = base32Bytes(secret);
    const code = (ahead: number) => totpCode(base32Bytes(secret), totpStep(new Date()) + ahead);
    const confirmed = await post('/v1/auth/mfa/totp/confirm', { code: code(0) }, { as });
    for (const [index, each] of confirmed.body.recovery_codes.entries()) remember(`recovery code ${index}`, each);

    const inBrowser = { headers: { origin: page, 'x-requested-with': 'fetch' } };
    const asked = await post('/v1/auth/login', { ...credentials, tenant: 'acme', transport: 'cookie' }, inBrowser);
    remember('mfa token', asked.body.mfa_token);
    await post('/v1/auth/login/mfa', { mfa_token: asked.body.mfa_token, code: confirmed.body.recovery_codes[0] });
    const again = await post('/v1/auth/login', { ...credentials, tenant: 'acme', transport: 'cookie' }, inBrowser);
    const done = await post('/v1/auth/login/mfa', { mfa_token: again.body.mfa_token, code: code(1) });
    const cookieOf = (setCookie: string) => (setCookie.split(';')[0] ?? '').slice('__Host-rt='.length);
    const cookie = remember('cookie', cookieOf(done.cookie));
    const withCookie = (value: string) => ({ headers: { ...inBrowser.headers, cookie: `__Host-rt=${value}` } });
    const next = await post('/v1/auth/refresh', {}, withCookie(cookie));
    remember('next cookie', cookieOf(next.cookie));

    // Refusals: two tokens, a foreign page, a corrupted token, a reuse, and broken JSON that contains all secrets.
    await post('/v1/auth/refresh', { refresh_token: secrets['refresh token'] }, withCookie(cookie));
    await post('/v1/auth/refresh', {}, { headers: { cookie: `__Host-rt=${cookie}`, origin: 'null' } });
    await post('/v1/auth/refresh', { refresh_token: `${secrets['refresh token']}x` });
    await post('/v1/auth/refresh', {}, withCookie(cookieOf(next.cookie)));
    await post('/v1/auth/refresh', {}, withCookie(cookie));
    await post('/v1/auth/login', `{"email":"${who.email}","password":"${password}","refresh_token":"${cookie}",`);
    await post('/v1/auth/login/tenant', chosen);
    // A server fault while a code is being checked.
    const pending = await post('/v1/auth/login', { ...credentials, tenant: 'acme' });
    await probing(store.db, (trx) => trx.updateTable('totp').set({ kek_id: 'gone' }).execute());
    expect((await post('/v1/auth/login/mfa', { mfa_token: pending.body.mfa_token, code: code(1) })).status).toBe(500);
    await probing(store.db, (trx) => trx.updateTable('totp').set({ kek_id: 'kek' }).execute());

    const { privateKey } = (await openSigningKeys(store.db, keks)).current();
    secrets['signing key, DER'] = privateKey.export({ format: 'der', type: 'pkcs8' });
    secrets['signing key, d'] = Buffer.from(String(privateKey.export({ format: 'jwk' }).d), 'base64url');
    for (const [name, text] of [
      ['master key', ring('kek', 3)],
      ['pepper', peppers],
      ['MAC key', ring('mac', 2)],
    ] as const) {
      secrets[name] = Buffer.from(parseKeyRing(text).current.bytes);
    }
    for (const name of ['refresh token', 'cookie', 'next cookie']) {
      const decoded = decodeRefreshToken(String(secrets[name]), macKeys);
      if (decoded === undefined) throw new Error(`the ${name} is not one of ours`);
      secrets[`${name}, random part`] = decoded.random;
    }
    for (const command of [
      ['keys', 'list'],
      ['keys', 'rewrap'],
      ['audit', 'verify'],
      ['keys', 'revoke', 'x'],
    ]) {
      said.push(...(await sendCommand(socket, command)).lines);
    }
  }

  /** Every encoding in which the secret could appear. */
  const spellings = (secret: string | Buffer): string[] => {
    const raw = Buffer.from(secret);
    const inside = typeof secret === 'string' ? Buffer.from(secret, 'base64url') : raw;
    return [
      ...(typeof secret === 'string' ? [secret, secret.replaceAll('-', '')] : []),
      ...[raw, inside].flatMap((bytes) => [
        bytes.toString('hex'),
        bytes.toString('base64'),
        bytes.toString('base64url'),
      ]),
    ].filter((spelling) => spelling.length >= 10);
  };
  const found = (text: string) =>
    Object.entries(secrets).flatMap(([name, secret]) =>
      spellings(secret).some((spelling) => text.includes(spelling)) ? [name] : [],
    );

  test('the search finds secrets in every encoding (control)', () => {
    const macKey = parseKeyRing(ring('mac', 2)).current.bytes;
    expect(found(`a row with \\x${Buffer.from(macKey).toString('hex')} in it`)).toEqual(['MAC key']);
    expect(found(JSON.stringify({ cookie: secrets.cookie }))).toEqual(['cookie']);
  });

  test('secrets never appear in the log, although every request is logged', () => {
    expect(Object.keys(secrets).length).toBeGreaterThan(20);
    const text = log.text();
    for (const code of ['two_refresh_tokens', 'cross_site_refused', 'refresh_token_reused', 'internal_error']) {
      expect(text).toContain(code);
    }
    expect(found(text)).toEqual([]);
    expect(text).not.toMatch(/\$2b\$|__Host-rt=|otpauth:/);
  });

  test('secrets never appear in the metrics or the operator output', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${service.port}/metrics`)).text();
    expect(metrics).toContain('auth_refreshes_total{outcome="reuse"} 1');
    expect(said.join('\n')).toContain('MASTER KEY');
    expect(found(`${metrics}\n${said.join('\n')}`)).toEqual([]);
  });

  test('secrets never appear in a database dump, in any encoding', async () => {
    const dump = await probing(store.db, async (trx) => {
      const texts: string[] = [];
      for (const table of probedTables) {
        const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.table(table)} t`.execute(trx);
        texts.push(...rows.map(({ row }) => row));
      }
      return texts.join('\n');
    });
    expect(dump).toMatch(/mfa\.recovery_code_used/);
    expect(found(dump)).toEqual([]);
  });
});
