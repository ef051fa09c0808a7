import { dirname, join } from 'node:path';
import { newAgreementJwk } from '@countersign/identity';
import { eventually } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createKey } from '../src/keys/key-files.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { type AgreedService, agreedService } from './kit/agreed-service.ts';
import { thingsAt } from './kit/raw-service.ts';

const agreedPattern = /^[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}$/;

type Described = Readonly<{
  name: string;
  identity: Readonly<{ uses: string; keyid: string | null; fallback: string | null; published: readonly object[] }>;
}>;

describe('an upstream with algorithm: agreed', () => {
  let gateway: GatewayUnderTest;
  let services: AgreedService[];
  let token: string;
  beforeEach(() => {
    services = [];
  });
  afterEach(async () => {
    await gateway.close();
    for (const service of services) await service.close();
  });

  const keysUrl = () => `http://127.0.0.1:${gateway.running.ports.internal}/.well-known/jwks.json`;

  async function start(count: number, settings = '', hasAgreementKey = true): Promise<AgreedService[]> {
    for (let one = 0; one < count; one += 1) services.push(await agreedService());
    gateway = await gatewayUnderTest({
      hasAgreementKey,
      edits: [
        thingsAt(
          services.map(({ url }) => url),
          `identity: { algorithm: agreed }${settings}`,
        ),
        // Enough for two repeats, of which each waits for the next second.
        ['response: 2s', 'response: 3s'],
      ],
    });
    token = await gateway.issuer.accessToken();
    return services;
  }

  const described = async (): Promise<Described['identity']> => {
    const { upstreams } = (await (await gateway.admin('/upstreams')).json()) as { upstreams: Described[] };
    const found = upstreams.find(({ name }) => name === 'things');
    if (found === undefined) throw new Error('no such upstream');
    return found.identity;
  };
  /** Waits until the gateway signs in this way. */
  const uses = (how: string, fallback: string | null = null) =>
    eventually(async () => {
      const now = await described();
      expect([now.uses, now.fallback]).toEqual([how, fallback]);
      return now;
    });
  const metric = async (name: string, labels: string): Promise<number> => {
    const text = await (await gateway.admin('/metrics')).text();
    const line = text.split('\n').find((one) => one.startsWith(`${name}{`) && one.includes(labels));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  const last = () => services.flatMap(({ arrived }) => arrived).at(-1);

  test('is signed with a key that both sides derive, and shows it', async () => {
    const [service] = (await start(1)) as [AgreedService];
    await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
    const { keyid } = await uses('agreed');
    expect(keyid).toMatch(agreedPattern);
    expect((await gateway.ask('/v1/things/1?a=b', { token })).status).toBe(200);
    expect(last()).toEqual({ method: 'GET', path: '/v1/things/1?a=b', alg: 'hmac-sha256', keyid, outcome: '200' });
    const posted = await gateway.ask('/v1/things/1', { token, method: 'POST', body: Buffer.from('{"a":1}') });
    expect(posted.status).toBe(200);
    expect(last()).toMatchObject({ method: 'POST', alg: 'hmac-sha256', keyid });
    expect((await gateway.ask('/v1/open/1')).status).toBe(200);
    expect(last()).toMatchObject({ keyid });
    const labels = 'upstream="things",algorithm="agreed"';
    expect(await metric('countersign_signatures_total', labels)).toBe(3);
  });

  test('publishes its key together with the signing keys', async () => {
    await start(1);
    const { keys } = (await (await fetch(keysUrl())).json()) as { keys: Record<string, string>[] };
    expect(keys.map(({ crv, use, alg }) => [crv, use, alg])).toEqual([
      ['Ed25519', 'sig', 'EdDSA'],
      ['X25519', 'enc', 'countersign-agreed-v1'],
    ]);
    expect(JSON.stringify(keys)).not.toContain('"d"');
  });

  test('the gateway uses its next key from its start time on, and the service accepts it immediately', async () => {
    const [service] = (await start(1)) as [AgreedService];
    await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
    const { keyid: old } = await uses('agreed');
    const next = createKey('x25519', join(dirname(gateway.file), 'keys'), Math.floor(Date.now() / 1000));
    // The gateway reads its keys again every 5 s.
    await eventually(async () => expect((await described()).keyid).toMatch(new RegExp(`^${next}\\.`)), 20_000);
    expect((await described()).keyid).not.toBe(old);
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    expect(service.arrived).toMatchObject([{ alg: 'hmac-sha256', outcome: '200' }]);
    expect(last()?.keyid).toMatch(new RegExp(`^${next}\\.`));
  });

  test('is signed with ed25519 while the service publishes no key, and the gateway is ready', async () => {
    const [service] = (await start(1)) as [AgreedService];
    await service.trust(keysUrl());
    await uses('ed25519', 'no_common_key');
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    expect(last()).toMatchObject({ alg: 'ed25519', outcome: '200' });
    const labels = 'upstream="things",reason="no_common_key"';
    expect(await metric('countersign_agreed_fallbacks_total', labels)).toBe(1);
    expect(await metric('countersign_signatures_total', 'upstream="things",algorithm="ed25519"')).toBe(1);
  });

  test('is signed with ed25519 while the gateway has no X25519 key', async () => {
    const [service] = (await start(1, '', false)) as [AgreedService];
    await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
    await uses('ed25519', 'no_gateway_key');
    const warning = gateway.log.lines().find(({ msg }) => String(msg).includes('holds no X25519 key'));
    expect(warning?.msg).toContain('so requests to things are signed with ed25519');
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    expect(last()).toMatchObject({ alg: 'ed25519', outcome: '200' });
  });

  test.each([
    ['GET', undefined],
    ['POST', Buffer.from('{"a":1}')],
  ] as const)('a service that does not know the key handles %s, signed with ed25519', async (method, body) => {
    const [service] = (await start(1)) as [AgreedService];
    await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
    const { keyid } = await uses('agreed');
    // A different key, as after restarting a service that has its key in memory.
    await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
    const ask = () => gateway.ask('/v1/things/1', { token, method, ...(body && { body }) });
    expect((await ask()).status).toBe(200);
    expect(service.arrived).toMatchObject([
      { method, keyid, alg: 'hmac-sha256', outcome: 'key_unknown' },
      { method, alg: 'ed25519', outcome: '200' },
    ]);
    const line = gateway.log.lines().findLast(({ msg }) => msg === 'request');
    expect(line).toMatchObject({ status: 200, attempts: 2, retried_after: 'identity_refused' });
    expect(line).not.toHaveProperty('alarm');
    // For 30 s, nothing is retried.
    expect((await ask()).status).toBe(200);
    expect(service.arrived.slice(2)).toMatchObject([{ alg: 'ed25519', outcome: '200' }]);
    await uses('ed25519', 'key_unknown');
    expect(await metric('countersign_agreed_fallbacks_total', 'upstream="things",reason="key_unknown"')).toBe(2);
  });

  test.each([
    [1, 200, ['key_unknown', 'broken', '200']],
    [0, 502, ['key_unknown', 'broken']],
  ])(
    'repeating a request with another key is not a retry: with %i retries, a connection that breaks then is %i',
    async (attempts, status, outcomes) => {
      const [service] = (await start(1, `, retry: { attempts: ${attempts} }`)) as [AgreedService];
      await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
      await uses('agreed');
      await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
      service.breakNextEd25519();
      expect((await gateway.ask('/v1/things/1', { token })).status).toBe(status);
      expect(service.arrived.map(({ outcome }) => outcome)).toEqual(outcomes);
      expect(await metric('countersign_upstream_retries_total', 'upstream="things"')).toBe(attempts);
    },
  );

  test('after a refusal for another reason, the same key signs again', async () => {
    const [service] = (await start(1)) as [AgreedService];
    const published = newAgreementJwk();
    service.answerKeys((_req, res) => void res.end(JSON.stringify({ keys: [{ ...published, d: undefined }] })));
    const strangers = 'http://127.0.0.1:9/.well-known/jwks.json';
    await service.trust(keysUrl(), { keys: [published] });
    await uses('agreed');
    await service.trust(strangers, { keys: [published] });
    // Without the gateway's keys, a service cannot tell: 503.
    expect((await gateway.ask('/v1/things/1', { token })).code).toBe('identity_unavailable');
    expect(service.arrived.map(({ alg }) => alg)).toEqual(['hmac-sha256', 'hmac-sha256', 'hmac-sha256']);
  });

  test('streamed bodies and upgrades are signed with ed25519, because they cannot be repeated', async () => {
    const [service] = (await start(1)) as [AgreedService];
    await service.trust(keysUrl(), { keys: [newAgreementJwk()] });
    await uses('agreed');
    const uploaded = await gateway.ask('/v1/upload', { token, method: 'POST', body: Buffer.from('abc') });
    expect(uploaded.status).toBe(200);
    expect(last()).toMatchObject({ path: '/v1/upload', alg: 'ed25519' });
    const { status } = await gateway.raw(
      `GET /v1/socket HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    expect(status).toBe(101);
    expect(last()).toMatchObject({ path: '/v1/socket', alg: 'ed25519', outcome: '101' });
    expect(await metric('countersign_agreed_fallbacks_total', 'reason="not_repeatable"')).toBe(2);
  });

  test('two instances with one key agree, and with different keys are signed with ed25519 and logged', async () => {
    const [one, other] = (await start(2)) as [AgreedService, AgreedService];
    const shared = newAgreementJwk();
    await one.trust(keysUrl(), { keys: [shared] });
    await other.trust(keysUrl(), { keys: [newAgreementJwk(), shared] });
    await uses('ed25519', 'no_common_key');
    for (let count = 0; count < 4; count += 1) expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    expect([...one.arrived, ...other.arrived].map(({ alg, outcome }) => [alg, outcome])).toEqual(
      Array.from({ length: 4 }, () => ['ed25519', '200']),
    );
    const warnings = gateway.log.lines().filter(({ msg }) => String(msg).includes('publish different keys'));
    expect(warnings).toMatchObject([{ upstream: 'things', published: [{ target: one.url }, { target: other.url }] }]);
  });

  test('shows what each target publishes', async () => {
    // The other one has no gateway keys yet, and answers 503.
    const [one, other] = (await start(2)) as [AgreedService, AgreedService];
    const jwk = newAgreementJwk();
    await one.trust(keysUrl(), { keys: [jwk] });
    const { published } = await eventually(async () => {
      const now = await described();
      expect(JSON.stringify(now.published)).toContain(jwk.kid);
      return now;
    });
    expect(published).toEqual([
      { target: one.url, kids: [jwk.kid], confirmed_ms_ago: expect.any(Number), failure: null },
      { target: other.url, kids: null, confirmed_ms_ago: null, failure: 'status 503' },
    ]);
  });

  test('the revocation feed of an issuer follows the same rules', async () => {
    // The feed is at the upstream `auth`, whose target publishes no key.
    gateway = await gatewayUnderTest({
      hasAgreementKey: true,
      edits: [['  auth: { targets: ["', '  auth: { identity: { algorithm: agreed }, targets: ["']],
    });
    const question = await eventually(() => {
      const found = gateway.issuerServer.questions.find(({ headers }) => headers['signature-input'] !== undefined);
      if (found === undefined) throw new Error('no question yet');
      return found;
    });
    expect(question.headers['signature-input']).toContain('alg="ed25519"');
  });
});
