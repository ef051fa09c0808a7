import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { capturingLogger, databases, eventually, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { parseKeyRing } from '../src/domain/keys/key-ring.ts';
import { totpCode, totpStep } from '../src/domain/second-factor/totp.ts';
import { addMember } from '../src/flows/accounts/seed.ts';
import { openSigningKeys, rotateKeys } from '../src/flows/keys/signing-keys.ts';
import { confirmEnrolment } from '../src/flows/second-factor/second-factor.ts';
import { invite } from '../src/flows/tenants/invitations.ts';
import { type Admin, changeMember } from '../src/flows/tenants/members.ts';
import { sendCommand } from '../src/operator/cli.ts';
import { listenForOperator } from '../src/operator/listener.ts';
import type { RunningService } from '../src/service.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { listInvitations } from '../src/store/tenants/invitations.ts';
import { roles } from '../src/store/transaction.ts';
import { keks, loginParts } from './support/flows.ts';
import { gatewayItself, type TestGateway, testGateway } from './support/gateway.ts';
import { makePerson, makeTenant, type Person, password, ring, type Tenant, testPasswords } from './support/people.ts';
import { openProbed, probing } from './support/probed-database.ts';
import { startService } from './support/service.ts';
import { base32Bytes } from './support/totp.ts';

describe.each(databases())('an operator of the auth-service on %s', (_, database) => {
  let home: string;
  let socket: string;
  let store: ThrowAway<AuthSchema>;
  let gateway: TestGateway;
  let service: RunningService;
  let tenant: Tenant;
  const log = capturingLogger();
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'countersign-operator-'));
    socket = join(home, 'operator', 'auth.sock');
    store = await openProbed(database);
    gateway = await testGateway();
    service = await startService(store.db, gateway, log.logger, { AUTH_OPERATOR_SOCKET: socket });
    tenant = await makeTenant(store.db, 'acme');
  });
  afterAll(async () => {
    await service.stop();
    await gateway.close();
    await store.close();
    rmSync(home, { recursive: true, force: true });
  });

  const run = (...command: string[]) => sendCommand(socket, command);
  const person = async () => makePerson(store.db, await testPasswords(), [tenant]);
  const post = (target: string, body: object) => gateway.call(service.port, 'POST', target, { body });
  const logIn = async (who: Person) => (await post('/v1/auth/login', { email: who.email, password })).body;
  const kidOf = (token: string) => decodeProtectedHeader(token).kid;
  const keySet = async () =>
    (await (await fetch(`http://127.0.0.1:${service.port}/.well-known/jwks.json`)).json()) as {
      keys: { kid: string }[];
    };
  const feed = async (query = '') =>
    (await gateway.call(service.port, 'GET', `/internal/revocations${query}`, { as: gatewayItself })).body;

  test('listens on a socket that no other user can reach', () => {
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, 'operator')).mode & 0o777).toBe(0o700);
  });

  test('a reader that closes the pipe early does not fail the command', async () => {
    const bin = fileURLToPath(new URL('../bin/countersign-auth.js', import.meta.url));
    const pipe = `'${process.execPath}' --conditions=source '${bin}' --help | true`;
    expect((await promisify(execFile)('/bin/sh', ['-c', pipe])).stderr).toBe('');
  });

  test.each([['--help'], ['keys list --help'], ['help']])(
    'prints the same help for `countersign-auth %s`',
    async (args) => {
      const bin = fileURLToPath(new URL('../bin/countersign-auth.js', import.meta.url));
      const command = ['--conditions=source', bin, ...args.split(' ')];
      expect((await promisify(execFile)(process.execPath, command)).stdout).toMatch(/^countersign-auth/);
    },
  );

  test.each([[['keys']], [['keys', 'steal']], [['keys', 'revoke']], [['keys', 'list', 'x']], [[]]])(
    'refuses an unknown command: %j',
    async (command) => {
      expect(await sendCommand(socket, command)).toMatchObject({ ok: false });
    },
  );

  test('revokes a key: the next key signs immediately, the key set omits the old one, and gateways learn of it within a second', async () => {
    const before = await logIn(await person());
    const old = String(kidOf(before.access_token));
    const { log: logId, cursor } = await feed();
    const heard = feed(`?log=${logId}&after=${cursor}&wait=30`);
    const startedAt = performance.now();
    const { ok, lines } = await run('keys', 'revoke', old);
    expect([ok, lines[0]]).toEqual([true, `${old} is revoked`]);
    const { items } = await heard;
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(items).toMatchObject([{ kind: 'key', kid: old }]);
    // A thief of the key can choose any `iat`, so no token is accepted before the entry expires.
    expect(items[0].not_before).toBe(items[0].expires_at);
    expect(Date.parse(items[0].expires_at) - Date.now()).toBeGreaterThan(24.9 * 3_600_000);
    await eventually(async () => {
      const { access_token } = await logIn(await person());
      expect(kidOf(access_token)).not.toBe(old);
      expect(lines[1]).toContain(kidOf(access_token));
    });
    expect((await keySet()).keys.map(({ kid }) => kid)).not.toContain(old);
    expect((await post('/v1/auth/refresh', { refresh_token: before.refresh_token })).status).toBe(200);
    expect(await run('keys', 'revoke', old)).toMatchObject({
      ok: false,
      lines: [expect.anything(), 'KID: no revocable key has this id; run keys list to see all keys'],
    });
    expect((await run('keys', 'list')).lines.join('\n')).toMatch(new RegExp(`${old}\\s+revoked`));
  });

  test('replaces a revoked key with the published next key, if there is one', async () => {
    const [active] = (await keySet()).keys;
    // The state a minute after the active key was activated.
    await probing(store.db, (trx) =>
      sql`update signing_keys set retire_at = retire_at - interval '2 minutes', remove_at = remove_at - interval '2 minutes'
          where revoked_at is null`.execute(trx),
    );
    const other = await openSigningKeys(store.db, keks);
    const next = (JSON.parse(other.published().body) as { keys: { kid: string }[] }).keys.find(
      ({ kid }) => kid !== active?.kid,
    );
    await run('keys', 'revoke', String(active?.kid));
    await eventually(async () => expect(kidOf((await logIn(await person())).access_token)).toBe(next?.kid));
  });

  test('rotates so that a verifier with the oldest allowed key set accepts every token', async () => {
    const oldSet = createLocalJWKSet((await keySet()) as never);
    const verify = (token: string, set = oldSet) => jwtVerify(token, set, { typ: 'at+jwt' });
    const { ok } = await run('keys', 'rotate');
    expect(ok).toBe(true);
    // The new key is published only now, so it must not sign yet: verifiers may still have the old key set.
    await verify((await logIn(await person())).access_token);
    const pending = await openSigningKeys(store.db, keks);
    const published = createLocalJWKSet(JSON.parse(pending.published().body));
    await probing(store.db, (trx) =>
      sql`update signing_keys set publish_at = publish_at - interval '25 hours 1 minute',
            activate_at = activate_at - interval '25 hours 1 minute',
            retire_at = retire_at - interval '25 hours 1 minute'`.execute(trx),
    );
    const service2 = await openSigningKeys(store.db, keks);
    expect(service2.current().kid).not.toBe(pending.current().kid);
    await rotateKeys({ db: store.db, keks }, 'test');
    await eventually(async () => {
      const { access_token } = await logIn(await person());
      expect(kidOf(access_token)).toBe(service2.current().kid);
      await verify(access_token, published);
    });
  });

  test('changes the master key, and then decrypts secrets only with the new one', async () => {
    const who = await person();
    const first = await logIn(who);
    const context = { sid: first.session_id, amr: ['pwd'], authTime: Math.floor(Date.now() / 1000) };
    const as = { kind: 'user', userId: who.userId, role: 'agent', tenantId: tenant.id, context } as const;
    const call = (target: string, body: object) => gateway.call(service.port, 'POST', target, { as, body });
    const { secret } = (await call('/v1/auth/mfa/totp', {})).body;
    const newer = parseKeyRing(`${ring('kek-new', 8)},${ring('kek', 3)}`);
    const path = join(home, 'rewrap', 'auth.sock');
    const stop = await listenForOperator(path, { db: store.db, keks: newer }, log.logger);
    const { lines } = await sendCommand(path, ['keys', 'rewrap']);
    expect(lines[0]).toMatch(/^encrypted with "kek-new": [1-9]\d* signing keys, [1-9]\d* second factors$/);
    expect((await sendCommand(path, ['keys', 'rewrap'])).lines[0]).toContain(': 0 signing keys, 0 second factors');
    await stop();
    const only = parseKeyRing(ring('kek-new', 8));
    expect((await openSigningKeys(store.db, only)).ready).toBe(true);
    await expect(openSigningKeys(store.db, keks)).rejects.toThrow(/which AUTH_SIGNING_KEK does not contain/);
    const codes = await confirmEnrolment(
      { ...(await loginParts(store.db)), keks: only },
      {
        ...context,
        userId: who.userId,
        tenantId: tenant.id,
        sessionId: context.sid,
        authTimeSec: context.authTime,
        requestId: 'test',
        ip: '192.0.2.1',
      },
      totpCode(base32Bytes(secret), totpStep(new Date())),
    );
    expect(codes).toHaveLength(10);
    // Switches back for the following tests: the old key is current again if it is listed first.
    const back = parseKeyRing(`${ring('kek', 3)},${ring('kek-new', 8)}`);
    const stopBack = await listenForOperator(path, { db: store.db, keks: back }, log.logger);
    expect((await sendCommand(path, ['keys', 'rewrap'])).ok).toBe(true);
    await stopBack();
  });

  test('ends all sessions after a restore, and every gateway restarts its copy of the log', async () => {
    const [a, b] = [await logIn(await person()), await logIn(await person())];
    const before = await feed();
    const { lines } = await run('sessions', 'end-all');
    expect(lines[0]).toMatch(/^\d+ sessions ended in 1 tenants/);
    for (const { refresh_token } of [a, b]) {
      expect((await post('/v1/auth/refresh', { refresh_token })).body.code).toBe('session_revoked');
    }
    const after = await feed(`?log=${before.log}&after=${before.cursor}&wait=5`);
    expect(after.log).not.toBe(before.log);
    expect(after.items).toContainEqual(expect.objectContaining({ kind: 'tenant', tenant_id: tenant.id }));
    // A new login works at once.
    const { access_token } = await logIn(await person());
    const { iat } = JSON.parse(Buffer.from(access_token.split('.')[1], 'base64url').toString());
    const { not_before } = after.items.find(({ kind }: { kind: string }) => kind === 'tenant');
    expect(iat * 1000).toBeGreaterThanOrEqual(Date.parse(not_before));
  });

  test('disables and enables a person, in any spelling of the email address', async () => {
    const who = await person();
    const { refresh_token, session_id } = await logIn(who);
    expect((await run('users', 'disable', who.email.toUpperCase())).lines[0]).toContain('1 sessions ended');
    expect((await logIn(who)).code).toBe('invalid_credentials');
    expect((await post('/v1/auth/refresh', { refresh_token })).body.code).toBe('session_revoked');
    const kinds = await probing(store.db, (trx) =>
      trx.selectFrom('revocations').select(['kind', 'sid']).where('user_id', '=', who.userId).execute(),
    );
    expect(kinds).toEqual([
      { kind: 'session', sid: session_id },
      { kind: 'user', sid: null },
    ]);
    await run('users', 'enable', who.email);
    expect((await logIn(who)).access_token).toEqual(expect.any(String));
    expect(await run('users', 'disable', 'unknown@acme.test')).toMatchObject({
      ok: false,
      lines: [expect.stringContaining('The resource was not found.'), 'EMAIL: no account has this address'],
    });
  });

  /** The latest member state that a tenant's directory received. */
  const sentUpdate = async (userId: string, tenantId: string) => {
    const rows = await probing(store.db, (trx) =>
      trx
        .selectFrom('outbox')
        .select('payload')
        .where('ordering_key', '=', `member ${tenantId} ${userId}`)
        .orderBy('seq')
        .execute(),
    );
    const claims = rows.map(({ payload }) => JSON.parse(payload) as Record<string, unknown> & { sequence: number });
    expect(claims.map(({ sequence }) => sequence)).toEqual(
      claims.map(({ sequence }) => sequence).sort((a, b) => a - b),
    );
    return claims.at(-1);
  };

  test('sends each tenant’s state to other services when a person is disabled or enabled', async () => {
    const [other, third] = [await makeTenant(store.db, 'other'), await makeTenant(store.db, 'third')];
    const who = await makePerson(store.db, await testPasswords(), [tenant, other, third]);
    await probing(store.db, (trx) =>
      trx
        .updateTable('memberships')
        .set({ status: 'disabled' })
        .where('user_id', '=', who.userId)
        .where('tenant_id', '=', third.id)
        .execute(),
    );
    const expectTold = async (statuses: string[]) => {
      for (const [at, { id }] of [tenant, other, third].entries()) {
        const fact = { tenant_id: id, user_id: who.userId, email: who.email, role: 'agent', status: statuses[at] };
        expect(await sentUpdate(who.userId, id)).toMatchObject(fact);
      }
    };
    await run('users', 'disable', who.email.toUpperCase());
    await expectTold(['disabled', 'disabled', 'disabled']);
    // An administrator's change of the membership meanwhile does not reactivate it.
    const admin = await makeAdmin(tenant);
    await changeMember(store.db, admin, { userId: who.userId, wanted: { role: 'complainant' } });
    expect(await sentUpdate(who.userId, tenant.id)).toMatchObject({ role: 'complainant', status: 'disabled' });
    await changeMember(store.db, admin, { userId: who.userId, wanted: { role: 'agent' } });
    await run('users', 'enable', who.email);
    await expectTold(['active', 'active', 'disabled']);
    // Even if both run at the same time, the last update says disabled, whichever commits first.
    await Promise.all([
      ...['complainant', 'admin', 'agent'].map((role) =>
        changeMember(store.db, admin, { userId: who.userId, wanted: { role } }),
      ),
      run('users', 'disable', who.email),
    ]);
    expect(await sentUpdate(who.userId, tenant.id)).toMatchObject({ status: 'disabled' });
  });

  const makeAdmin = async ({ id: tenantId }: Tenant): Promise<Admin> => {
    const userId = uuidv7();
    const email = `${userId}@acme.test`;
    await addMember(store.db, { tenantId, userId, email, role: 'admin', password: undefined });
    return { tenantId, userId, sessionId: null, requestId: 'test' };
  };

  test('withdraws the invitations of a disabled person in every tenant, with an audit entry in each', async () => {
    const other = await makeTenant(store.db, 'elsewhere');
    const boss = await makeAdmin(other);
    await addMember(store.db, { ...boss, tenantId: tenant.id, email: '', role: 'admin', password: undefined });
    const parts = { db: store.db, throttle: (await loginParts(store.db)).throttle };
    for (const { id: tenantId } of [other, tenant]) {
      await invite(parts, { ...boss, tenantId }, { email: 'friend@new.test', role: 'admin' });
    }
    await run('users', 'disable', `${boss.userId}@acme.test`);
    for (const { id: tenantId } of [other, tenant]) {
      const left = await store.db.transaction({ role: roles.accounts, tenantId }, (trx) =>
        listInvitations(trx, tenantId, { before: undefined, limit: 10 }),
      );
      expect(left).toEqual([]);
      const entry = await probing(store.db, (trx) =>
        trx
          .selectFrom('audit_log')
          .select(['detail', 'user_id'])
          .where('tenant_id', '=', tenantId)
          .where('action', '=', 'invitation.revoked')
          .executeTakeFirstOrThrow(),
      );
      expect(entry.user_id).toBeNull();
      expect(JSON.parse(entry.detail)).toMatchObject({
        email: 'friend@new.test',
        invited_by: boss.userId,
        reason: 'user_disabled',
      });
    }
    expect((await run('audit', 'verify')).ok).toBe(true);
  });

  test('removes the second factor of a person who lost it', async () => {
    const who = await person();
    const first = await logIn(who);
    const context = { sid: first.session_id, amr: ['pwd'], authTime: Math.floor(Date.now() / 1000) };
    const as = { kind: 'user', userId: who.userId, role: 'agent', tenantId: tenant.id, context } as const;
    const { secret } = (await gateway.call(service.port, 'POST', '/v1/auth/mfa/totp', { as, body: {} })).body;
    const code = totpCode(base32Bytes(secret), totpStep(new Date()));
    await gateway.call(service.port, 'POST', '/v1/auth/mfa/totp/confirm', { as, body: { code } });
    expect((await logIn(who)).code).toBe('mfa_required');
    await run('mfa', 'reset', who.email);
    expect((await logIn(who)).access_token).toEqual(expect.any(String));
  });

  test('detects a changed audit log, and names the entry', async () => {
    expect((await run('audit', 'verify')).lines.join('\n')).toMatch(/operator\s+\d+\s+[0-9a-f]{64}/);
    const change = (action: string) =>
      probing(store.db, (trx) =>
        trx.updateTable('audit_log').set({ action }).where('tenant_id', '=', tenant.id).where('seq', '=', 2).execute(),
      );
    await change('session.forged');
    expect(await run('audit', 'verify')).toMatchObject({
      ok: false,
      lines: [expect.any(String), `${tenant.id}: entry 2 does not match the hash of the entry before it`],
    });
    await change('session.started');
    expect((await run('audit', 'verify')).ok).toBe(true);
  });

  test('detects a truncated audit log by a hash that was recorded earlier', async () => {
    await run('users', 'enable', (await person()).email);
    const { lines } = await run('audit', 'verify');
    const [, entries = '', head = ''] = /^operator +(\d+) +([0-9a-f]{64})$/m.exec(lines.join('\n')) ?? [];
    const whole = `in operator and all earlier entries are unchanged`;
    expect(await run('audit', 'contains', head)).toEqual({
      ok: true,
      lines: [`entry ${entries} of ${entries} ${whole}`],
    });
    await run('users', 'enable', (await person()).email);
    const oneMore = Number(entries) + 1;
    expect((await run('audit', 'contains', head)).lines).toEqual([`entry ${entries} of ${oneMore} ${whole}`]);
    const cut = await probing(store.db, (trx) =>
      trx
        .deleteFrom('audit_log')
        .where('tenant_id', '=', 'operator')
        .where('seq', '>=', Number(entries))
        .returningAll()
        .execute(),
    );
    expect((await run('audit', 'verify')).ok).toBe(true);
    expect(await run('audit', 'contains', head)).toMatchObject({
      ok: false,
      lines: [expect.any(String), expect.stringContaining('HASH: no entry has this hash')],
    });
    await probing(store.db, (trx) => trx.insertInto('audit_log').values(cut).execute());
    expect((await run('audit', 'contains', head)).ok).toBe(true);
  });

  test('takes over the socket of a killed process, but not a socket in use', async () => {
    const path = join(home, 'left', 'auth.sock');
    const parts = { db: store.db, keks };
    mkdirSync(join(home, 'left'), { mode: 0o700 });
    writeFileSync(path, '');
    const stop = await listenForOperator(path, parts, log.logger);
    const stopSecond = await listenForOperator(path, parts, log.logger);
    expect(log.text()).toContain('another instance handles operator commands');
    await stopSecond();
    expect((await sendCommand(path, ['keys', 'list'])).ok).toBe(true);
    await stop();
    const unreached = { ok: false, lines: [expect.stringMatching(/no auth-service listens/)] };
    expect(await sendCommand(path, ['keys', 'list'])).toEqual(unreached);
  });

  test('disables the socket when it cannot be created, and the service keeps running', async () => {
    writeFileSync(join(home, 'a-file'), '');
    for (const path of [join(home, 'a-file', 'auth.sock'), join(home, 'x'.repeat(120), 'auth.sock')]) {
      await (await listenForOperator(path, { db: store.db, keks }, log.logger))();
    }
    expect(log.text()).toContain('the socket cannot be created');
    expect(log.text()).toContain('exceeds 107 bytes');
  });

  test('disables the socket in a shared directory, and does not change the directory', async () => {
    const shared = join(home, 'run');
    mkdirSync(shared);
    chmodSync(shared, 0o755);
    const path = join(shared, 'auth.sock');
    await (await listenForOperator(path, { db: store.db, keks }, log.logger))();
    expect(log.text()).toContain(`${shared} is accessible to other users`);
    expect(statSync(shared).mode & 0o777).toBe(0o755);
    expect(existsSync(path)).toBe(false);
  });

  test('logs every command', () => {
    expect(log.text()).toMatch(/"command":"users disable"/);
  });
});
