import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { FakeTimers } from '../../packages/jwks/test/fake-timers.ts';
import { acme, type GatewayOptions, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import * as answers from './kit/key-answers.ts';

const minuteMs = 60_000;

async function metric(gateway: GatewayUnderTest, name: string): Promise<number> {
  const text = await (await gateway.admin('/metrics')).text();
  return Number(new RegExp(`^countersign_${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** A gateway whose clock for issuers' keys is set by the test. */
async function gatewayWithManualClock(options: GatewayOptions = {}) {
  const clock = new FakeTimers();
  const gateway = await gatewayUnderTest({
    ...options,
    keySets: { nowMs: clock.now, timers: clock, timeoutMs: 500, random: () => 0.5 },
  });
  const status = async (token: string) => {
    const { status, code } = await gateway.ask('/v1/things/1', { token });
    return code === undefined ? String(status) : `${status} ${code}`;
  };
  /** Moves the clock until the gateway fetches the set again, and waits for the result. */
  async function refresh(): Promise<void> {
    const before = (await metric(gateway, 'jwks_fetches_total')) || 0;
    clock.advance(10 * minuteMs);
    await eventually(async () => {
      expect(await metric(gateway, 'jwks_fetches_total')).toBe(before + 1);
      expect(clock.delays).toHaveLength(1);
    });
  }
  return { gateway, clock, status, refresh };
}

describe("while the issuer's key endpoint", () => {
  let world: Awaited<ReturnType<typeof gatewayWithManualClock>>;
  let stranger: TestIssuer;
  let visits = 0;
  const trap = createServer((_req, res) => res.end('{}')).on('connection', () => {
    visits += 1;
  });
  beforeAll(async () => {
    world = await gatewayWithManualClock();
    stranger = await mintIssuer();
    trap.listen(0, '127.0.0.1');
    await once(trap, 'listening');
  });
  afterAll(async () => {
    trap.close();
    await world.gateway.close();
  });

  const good = () => world.gateway.issuer.jwks;
  const elsewhere = () => `http://127.0.0.1:${(trap.address() as AddressInfo).port}/jwks.json`;
  const redirect =
    (code: number): RequestListener =>
    (req, res) =>
      answers.status(code, { location: elsewhere() })(req, res);

  test.each<[name: string, answer: RequestListener]>([
    ['breaks connections', answers.breakOff],
    ['hangs', answers.hang],
    ['stalls in the middle', answers.stall],
    ['sends a byte now and then', answers.drip],
    ['answers 500', answers.status(500)],
    ['answers 404', answers.status(404)],
    ['answers 204', answers.status(204)],
    ['answers 304 to an unconditional request', answers.status(304)],
    ['redirects with 301', redirect(301)],
    ['redirects with 302', redirect(302)],
    ['redirects with 307', redirect(307)],
    ['redirects with 308', redirect(308)],
    ['redirects to a cloud metadata address', answers.status(302, { location: 'http://169.254.169.254/' })],
    ['has no keys', answers.json({ keys: [] })],
    ['has only unusable keys', answers.json({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'a' }] })],
    [
      'has too many keys',
      answers.json({ keys: Array.from({ length: 101 }, (_, at) => ({ kty: 'EC', kid: `${at}` })) }),
    ],
    ['sends null', answers.json(null)],
    ['sends a list', answers.json([])],
    ['sends keys as an object', answers.json({ keys: { 0: {} } })],
    ['sends HTML', answers.text('<!doctype html><title>502</title>', { 'content-type': 'text/html' })],
    ['sends half of a key set', answers.text('{"keys":[{"kty":"EC","crv"')],
    ['sends nothing', answers.text('')],
    ['sends invalid UTF-8', answers.text(Buffer.from('{"keys":["\xff"]}', 'latin1'))],
    ['sends deeply nested JSON', answers.text('['.repeat(100_000))],
    ['ends before its length', answers.cutShort('{"keys":[]}')],
    ['announces gzip, and sends plain text', answers.text('{"keys":[]}', { 'content-encoding': 'gzip' })],
    ['sends a gzip bomb', answers.gzipBomb],
  ])('%s, known keys still work, and unknown ones cost one fetch', async (_name, answer) => {
    const { gateway, status, refresh } = world;
    const known = await gateway.issuer.accessToken();
    const failures = await metric(gateway, 'jwks_fetch_failures_total');
    gateway.issuerServer.answerKeys(answer);
    await refresh();
    expect(await metric(gateway, 'jwks_fetch_failures_total')).toBe(failures + 1);
    expect(await metric(gateway, 'jwks_keys')).toBe(1);
    expect(await metric(gateway, 'jwks_age_seconds')).toBeGreaterThanOrEqual(600);

    const fetches = gateway.issuerServer.keyFetches();
    const before = gateway.upstream.requests.length;
    const flood = Array.from({ length: 12 }, async (_, at) =>
      status(await stranger.accessToken({}, { kid: `k${at}` })),
    );
    expect(await status(known)).toBe('200');
    expect(new Set(await Promise.all(flood))).toEqual(new Set(['503 issuer_keys_unavailable']));
    expect(gateway.issuerServer.keyFetches()).toBeLessThanOrEqual(fetches + 1);
    expect(await status(await gateway.issuer.accessToken())).toBe('200');
    expect(gateway.upstream.requests.length).toBe(before + 2);
    expect((await gateway.admin('/readyz')).status).toBe(200);

    gateway.issuerServer.answerKeys(undefined);
    await refresh();
    expect(await metric(gateway, 'jwks_age_seconds')).toBe(0);
    expect(visits).toBe(0);
  });

  test('never ends its answer, the gateway stops reading after a few hundred KiB', async () => {
    const { gateway, status, refresh } = world;
    let bytes = 0;
    gateway.issuerServer.answerKeys(
      answers.endless((more) => {
        bytes += more;
      }),
    );
    await refresh();
    // 256 KiB, and the socket buffers.
    expect(bytes).toBeLessThan(8 * 1024 * 1024);
    expect(await status(await gateway.issuer.accessToken())).toBe('200');
    gateway.issuerServer.answerKeys(undefined);
    await refresh();
    expect(good().keys).toHaveLength(1);
  });
});

describe('the keys of an issuer', () => {
  let world: Awaited<ReturnType<typeof gatewayWithManualClock>>;
  afterEach(() => world.gateway.close());

  test('rotate under load without a refused request, and a retired one ends within ten minutes', async () => {
    world = await gatewayWithManualClock();
    const { gateway, clock, status, refresh } = world;
    let signer = gateway.issuer;
    const statuses = new Map<string, number>();
    let isOver = false;
    const client = async () => {
      while (!isOver) {
        const answer = await status(await signer.accessToken());
        statuses.set(answer, (statuses.get(answer) ?? 0) + 1);
      }
    };
    const clients = Array.from({ length: 4 }, client);
    const retired: TestIssuer[] = [];
    for (let rotation = 0; rotation < 5; rotation += 1) {
      const next = await mintIssuer();
      gateway.issuerServer.answerKeys(answers.json({ keys: [...signer.jwks.keys, ...next.jwks.keys] }));
      // The first token signed with the new key makes the gateway fetch the set, unless it has just done so.
      clock.advance(minuteMs / 2);
      retired.push(signer);
      signer = next;
      const before = statuses.get('200') ?? 0;
      await eventually(() => expect(statuses.get('200') ?? 0).toBeGreaterThan(before + 20));
    }
    gateway.issuerServer.answerKeys(answers.json(signer.jwks));
    await refresh();
    for (const old of retired) expect(await status(await old.accessToken())).toBe('401 token_key_unknown');
    isOver = true;
    await Promise.all(clients);
    expect([...statuses.keys()]).toEqual(['200']);
  });

  test('refuse tokens of a removed key, even those verified before', async () => {
    world = await gatewayWithManualClock();
    const { gateway, status, refresh } = world;
    const remembered = await gateway.issuer.accessToken();
    expect(await status(remembered)).toBe('200');
    gateway.issuerServer.answerKeys(answers.json((await mintIssuer()).jwks));
    await refresh();
    expect(await status(remembered)).toBe('401 token_key_unknown');
  });

  test('may be replaced under the same kid: the next token fetches them, and forged ones cost one fetch in 30 s', async () => {
    world = await gatewayWithManualClock();
    const { gateway, clock, status } = world;
    const { kid } = gateway.issuer;
    const remembered = await gateway.issuer.accessToken();
    expect(await status(remembered)).toBe('200');
    const forger = await mintIssuer({ kid });
    const forge = async () => status(await forger.accessToken());
    const fetches = gateway.issuerServer.keyFetches();
    let arrived = gateway.upstream.requests.length;
    const flood = async () => new Set(await Promise.all(Array.from({ length: 20 }, forge)));
    const refused = new Set(['401 token_signature_invalid']);
    expect(await flood()).toEqual(refused);
    expect(await flood()).toEqual(refused);
    expect(gateway.issuerServer.keyFetches()).toBe(fetches + 1);
    expect(gateway.upstream.requests.length).toBe(arrived);
    expect(gateway.log.lines().find(({ code }) => code === 'token_signature_invalid')).toMatchObject({
      detail: { kid, reason: expect.stringContaining('the key was replaced') },
    });

    const replaced = await mintIssuer({ kid });
    gateway.issuerServer.answerKeys(answers.json(replaced.jwks));
    clock.nowMs += 30_000;
    const tokens = await Promise.all(Array.from({ length: 20 }, () => replaced.accessToken()));
    expect(new Set(await Promise.all(tokens.map(status)))).toEqual(new Set(['200']));
    expect(gateway.issuerServer.keyFetches()).toBe(fetches + 2);
    arrived = gateway.upstream.requests.length;
    // The key that signed the token is gone, although the gateway verified the token before.
    expect(await status(remembered)).toBe('401 token_signature_invalid');
    expect(await flood()).toEqual(refused);
    expect(gateway.issuerServer.keyFetches()).toBe(fetches + 3);
    expect(gateway.upstream.requests.length).toBe(arrived);
  });

  test('that are unknown while their endpoint fails are 503, and not counted against an address', async () => {
    world = await gatewayWithManualClock();
    const { gateway, status, refresh } = world;
    const next = await mintIssuer();
    gateway.issuerServer.answerKeys(answers.status(500));
    await refresh();
    const fetches = gateway.issuerServer.keyFetches();
    const token = await next.accessToken();
    const raw = `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`;
    const { status: code, headers } = await gateway.raw(raw);
    expect([code, headers['retry-after'], headers['www-authenticate']]).toEqual([503, '2', undefined]);
    // An address may send 600 refused tokens a minute.
    for (let count = 0; count < 610; count += 10) {
      const answered = await Promise.all(Array.from({ length: 10 }, () => status(token)));
      expect(new Set(answered)).toEqual(new Set(['503 issuer_keys_unavailable']));
    }
    expect(gateway.issuerServer.keyFetches()).toBeLessThanOrEqual(fetches + 1);
    gateway.issuerServer.answerKeys(answers.json({ keys: [...gateway.issuer.jwks.keys, ...next.jwks.keys] }));
    await refresh();
    expect(await status(token)).toBe('200');
    expect(await status(await (await mintIssuer()).accessToken())).toBe('401 token_key_unknown');
  });

  test('work for a day after their endpoint fails, then tokens are 503 until it recovers', async () => {
    world = await gatewayWithManualClock();
    const { gateway, clock, status, refresh } = world;
    const token = await gateway.issuer.accessToken();
    gateway.issuerServer.answerKeys(answers.status(500));
    clock.advance(24 * 60 * minuteMs - 11 * minuteMs);
    await refresh();
    expect(await status(token)).toBe('200');
    await refresh();
    const before = gateway.upstream.requests.length;
    const { status: code, headers } = await gateway.raw(
      `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`,
    );
    expect([code, headers['retry-after'], headers['www-authenticate']]).toEqual([503, '2', undefined]);
    expect(await status(await gateway.issuer.accessToken())).toBe('503 issuer_keys_unavailable');
    expect(await metric(gateway, 'jwks_keys')).toBe(0);
    expect(gateway.upstream.requests.length).toBe(before);
    gateway.issuerServer.answerKeys(undefined);
    await refresh();
    expect(await status(token)).toBe('200');
  });
});

test('keys from a file work like fetched ones, and belong to one issuer', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-issuer-'));
  const filed = await mintIssuer({ issuer: 'http://filed.test' });
  writeFileSync(join(directory, 'filed.jwks.json'), JSON.stringify(filed.jwks));
  const speaks = `tenants: [${acme}], roles: [agent], sameSubjects: true`;
  const gateway = await gatewayUnderTest({
    edits: [
      [
        'algorithms: [ES256]',
        `algorithms: [ES256]\n    tenants: [${acme}]\n    roles: [agent]\n    sameSubjects: true`,
      ],
      [
        'identity: {',
        `  - { issuer: "http://filed.test", audience: complaints-api, jwks: "${directory}/filed.jwks.json", algorithms: [ES256], ${speaks} }\nidentity: {`,
      ],
    ],
  });
  const ask = async (token: string) => (await gateway.ask('/v1/things/1', { token })).code;
  expect(await ask(await filed.accessToken())).toBeUndefined();
  expect(await ask(await gateway.issuer.accessToken())).toBeUndefined();
  const before = gateway.upstream.requests.length;
  expect(await ask(await filed.accessToken({ iss: 'http://issuer.test' }))).toBe('token_key_unknown');
  expect(await ask(await gateway.issuer.accessToken({ iss: 'http://filed.test' }))).toBe('token_key_unknown');
  expect(await ask(await filed.accessToken({ role: 'admin' }))).toBe('token_role_refused');
  expect(await ask(await filed.accessToken({ tenant_id: 'globex' }))).toBe('token_tenant_refused');
  expect(gateway.upstream.requests.length).toBe(before);
  await gateway.close();
  rmSync(directory, { recursive: true });
});

test('a valid token without a mapped role is 403 without a challenge, and does not count against its address', async () => {
  const gateway = await gatewayUnderTest({
    edits: [
      [
        'algorithms: [ES256]',
        'algorithms: [ES256]\n    claims: { role: { from: groups, map: { staff: agent } }, tenantId: tenant_id }',
      ],
    ],
  });
  const guest = await gateway.issuer.accessToken({ groups: ['guests'] });
  const raw = `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${guest}\r\n<close>\r\n\r\n`;
  const { status, code, headers } = await gateway.raw(raw);
  expect([status, code, headers['www-authenticate']]).toEqual([403, 'role_missing', undefined]);
  // An address may send 600 refused tokens a minute.
  for (let count = 0; count < 620; count += 20) {
    const all = await Promise.all(Array.from({ length: 20 }, () => gateway.ask('/v1/maybe', { token: guest })));
    expect(new Set(all.map((answer) => `${answer.status} ${answer.code}`))).toEqual(new Set(['403 role_missing']));
  }
  expect(gateway.upstream.requests).toEqual([]);
  const staff = await gateway.issuer.accessToken({ groups: ['staff'] });
  expect(await gateway.ask('/v1/things/1', { token: staff })).toMatchObject({ status: 200 });
  await gateway.reload([
    [
      'algorithms: [ES256]',
      'algorithms: [ES256]\n    claims: { role: { from: groups, map: { staff: agent }, otherwise: guest }, tenantId: tenant_id }',
    ],
  ]);
  expect(await gateway.ask('/v1/things/1', { token: guest })).toMatchObject({ status: 200 });
  expect(gateway.upstream.last().headers['x-user-role']).toBe('guest');
  await gateway.close();
});

describe('a gateway that starts while the issuer is down', () => {
  test.each<[name: string, answer: RequestListener]>([
    ['breaks connections', answers.breakOff],
    ['hangs', answers.hang],
    ['answers 500', answers.status(500)],
    ['has no keys', answers.json({ keys: [] })],
  ])('and %s is not ready, serves public routes, and recovers by itself', async (_name, answer) => {
    const gateway = await gatewayUnderTest({ isReady: false, answerKeys: answer, keySets: { timeoutMs: 300 } });
    const token = await gateway.issuer.accessToken();
    await eventually(async () => expect(await metric(gateway, 'jwks_fetch_failures_total')).toBeGreaterThan(0));
    expect((await gateway.admin('/healthz')).status).toBe(200);
    const ready = await gateway.admin('/readyz');
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('no keys of http://issuer.test')]);
    const { status, code, headers } = await gateway.raw(
      `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`,
    );
    expect([status, code, headers['retry-after']]).toEqual([503, 'issuer_keys_unavailable', '2']);
    expect(await gateway.ask('/v1/maybe', { token })).toMatchObject({ status: 503, code: 'issuer_keys_unavailable' });
    expect(await gateway.ask('/v1/things/1')).toMatchObject({ status: 401, code: 'token_missing' });
    expect(gateway.upstream.requests).toEqual([]);
    expect(await gateway.ask('/v1/open/1')).toMatchObject({ status: 200 });

    const fetches = gateway.issuerServer.keyFetches();
    await Promise.all(Array.from({ length: 50 }, async () => gateway.ask('/v1/things/1', { token })));
    expect(gateway.issuerServer.keyFetches() - fetches).toBeLessThanOrEqual(3);

    gateway.issuerServer.answerKeys(undefined);
    await eventually(async () => expect((await gateway.admin('/readyz')).status).toBe(200));
    expect(await gateway.ask('/v1/things/1', { token })).toMatchObject({ status: 200 });
    await gateway.close();
  });
});
