import { eventually } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import { acme, type GatewayOptions, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';
import { type IntrospectionServer, introspectionServer } from './kit/introspection-server.ts';

const user = '01890a5d-ac96-774b-bcce-b302099a8057';
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

type Started = Readonly<{ gateway: GatewayUnderTest; provider: IntrospectionServer }>;

/** A gateway whose issuer has JWTs, revocations and opaque tokens, or with a further issuer of opaque tokens only. */
async function started({
  issuer,
  edits = [],
}: Pick<GatewayOptions, 'edits'> & { issuer?: string } = {}): Promise<Started> {
  const provider = await introspectionServer();
  open.push(provider.close);
  const introspection = `introspection: { url: "${provider.url}", clientId: gateway, clientSecret: "\${CLIENT_SECRET}", cacheFor: 60s }`;
  const gateway = await gatewayUnderTest({
    env: { CLIENT_SECRET: 'short' },
    edits: [
      issuer === undefined
        ? ['    algorithms: [ES256]', `    algorithms: [ES256]\n    ${introspection}`]
        : [
            'issuers:',
            `issuers:\n  - { issuer: "${issuer}", audience: complaints-api, tenants: ["${acme}"], roles: [agent], ${introspection} }`,
          ],
      ...edits,
    ],
  });
  open.push(gateway.close);
  return { gateway, provider };
}

const active = (changes: Readonly<Record<string, unknown>> = {}) => {
  const nowSec = Math.floor(Date.now() / 1000);
  return {
    active: true,
    token_type: 'Bearer',
    aud: 'complaints-api',
    sub: user,
    user_id: user,
    tenant_id: acme,
    role: 'agent',
    client_id: 'web',
    iat: nowSec,
    exp: nowSec + 900,
    ...changes,
  };
};

const path = '/v1/things/1';
const token = 'an-opaque-token';

test('an active token passes with signed identity, and 100 concurrent requests cause one call', async () => {
  const { gateway, provider } = await started();
  provider.answerWith(active());
  const answers = await Promise.all(Array.from({ length: 100 }, () => gateway.ask(path, { token })));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(provider.calls.map((call) => call.token)).toEqual([token]);
  expect(gateway.upstream.requests).toHaveLength(100);
  expect(gateway.upstream.last().headers).toMatchObject({
    'x-identity': 'user',
    'x-user-id': user,
    'x-user-role': 'agent',
    'x-tenant-id': acme,
  });
  expect(gateway.log.text()).not.toContain(token);
});

describe('401 and nothing upstream for', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an inactive token', { active: false }, 'token_inactive'],
    ['a refresh token', active({ token_type: undefined }), 'token_type_refused'],
    ['a token of another issuer', active({ iss: 'http://other.test' }), 'token_issuer_unknown'],
    ['a token for another audience', active({ aud: 'other' }), 'token_audience_refused'],
    ['a machine', active({ sub: 'web' }), 'token_machine_refused'],
    [
      'a token bound to a key, without proof',
      active({ token_type: 'DPoP', cnf: { jkt: 'A'.repeat(43) } }),
      'token_proof_missing',
    ],
    [
      'a token bound to a certificate',
      active({ cnf: { 'x5t#S256': 'A'.repeat(43) } }),
      'token_certificate_unsupported',
    ],
  ])('%s', async (_name, answer, code) => {
    const { gateway, provider } = await started();
    provider.answerWith(answer);
    expect(await gateway.ask(path, { token })).toMatchObject({ status: 401, code });
    const { headers } = await gateway.raw(
      `GET ${path} HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`,
    );
    expect(headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"|^DPoP error="invalid_token"/);
    expect(gateway.upstream.requests).toEqual([]);
  });
});

describe('503 with Retry-After and nothing upstream while the endpoint', () => {
  test.each<[string, Parameters<IntrospectionServer['answerWith']>[0]]>([
    ['hangs for 5 s', () => {}],
    ['closes early', (request) => void request.socket.destroy()],
    ['redirects', (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
    ['fails', (_request, response) => void response.writeHead(500).end('{"active":true}')],
    ['sends 1 MiB', (_request, response) => void response.end(JSON.stringify(active({ x: 'x'.repeat(2 ** 20) })))],
    ['sends a page', (_request, response) => void response.end('<p>active</p>')],
  ])(
    '%s',
    async (_name, answer) => {
      const { gateway, provider } = await started();
      provider.answerWith(answer);
      const { status, code, headers } = await gateway.raw(
        `GET ${path} HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n<close>\r\n\r\n`,
      );
      expect([status, code, headers['retry-after']]).toEqual([503, 'introspection_unavailable', '2']);
      expect(provider.calls).toHaveLength(1);
      expect(gateway.upstream.requests).toEqual([]);
      // JWTs do not need it.
      expect(await gateway.ask(path, { token: await gateway.issuer.accessToken() })).toMatchObject({ status: 200 });
    },
    20_000,
  );

  test('is down, and cached answers stay in use', async () => {
    const { gateway, provider } = await started();
    provider.answerWith(active());
    expect(await gateway.ask(path, { token })).toMatchObject({ status: 200 });
    provider.answerWith((request) => void request.socket.destroy());
    expect(await gateway.ask(path, { token: 'another' })).toMatchObject({
      status: 503,
      code: 'introspection_unavailable',
    });
    expect(await gateway.ask(path, { token })).toMatchObject({ status: 200 });
    expect(gateway.upstream.requests).toHaveLength(2);
  });
});

test('a revocation of the user refuses a cached token, and its answer is never used again', async () => {
  const { gateway, provider } = await started();
  provider.answerWith(active());
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 200 });
  gateway.issuerServer.revoke(feedItem('user', { user_id: user }));
  await eventually(async () =>
    expect(await gateway.ask(path, { token })).toMatchObject({ status: 401, code: 'token_revoked' }),
  );
  const served = gateway.upstream.requests.length;
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 401, code: 'token_revoked' });
  expect(gateway.upstream.requests).toHaveLength(served);
});

test('a revocation that arrives while the issuer answers makes the gateway ask again', async () => {
  const { gateway, provider } = await started();
  provider.answerWith((_request, response) => {
    if (provider.calls.length > 1) return void response.end('{"active":false}');
    gateway.issuerServer.revoke(feedItem('session', { sid: 'of-this-token' }));
    void eventually(async () => {
      const text = await (await gateway.admin('/metrics')).text();
      expect(text).toMatch(/countersign_revocations_held\{[^}]*\} 1/);
    }).then(() => response.end(JSON.stringify(active())));
  });
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 401, code: 'token_inactive' });
  expect(provider.calls).toHaveLength(2);
  expect(gateway.upstream.requests).toEqual([]);
});

test('an address with random tokens is refused after 600, and its valid token with a cached answer is not', async () => {
  const { gateway, provider } = await started();
  provider.answerWith(active());
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 200 });
  provider.answerWith({ active: false });
  const codes: (string | undefined)[] = [];
  for (let batch = 0; batch < 5; batch += 1) {
    const random = Array.from({ length: 170 }, (_, at) => gateway.ask(path, { token: `random-${batch}-${at}` }));
    codes.push(...(await Promise.all(random)).map(({ code }) => code));
  }
  expect(new Set(codes)).toEqual(new Set(['token_inactive', 'rate_limited']));
  // The 600th answer arrives while others of its batch wait. At most 32 questions were open then.
  expect(provider.calls.length).toBeLessThanOrEqual(1 + 600 + 32);
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 200 });
  expect(gateway.upstream.requests).toHaveLength(2);
});

test('an issuer without keys has opaque tokens only', async () => {
  const { gateway, provider } = await started({
    issuer: 'http://opaque.test',
    edits: [['    algorithms: [ES256]', '    algorithms: [ES256]\n    tenants: [other]\n    roles: [agent]']],
  });
  provider.answerWith(active());
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 200 });
  const jwt = await gateway.issuer.accessToken({ iss: 'http://opaque.test' });
  expect(await gateway.ask(path, { token: jwt })).toMatchObject({ status: 401, code: 'token_key_unknown' });
  expect(gateway.upstream.requests).toHaveLength(1);
});

test('a reload keeps the answers, unless the issuer changes', async () => {
  const { gateway, provider } = await started();
  provider.answerWith(active());
  await gateway.ask(path, { token });
  const [line = ''] = /^ {4}introspection:.*$/m.exec(gateway.yaml) ?? [];
  const reload = (from: string, to: string) =>
    gateway.reload([
      ['    algorithms: [ES256]', `    algorithms: [ES256]\n${line}`],
      [from, to],
    ]);
  await reload('trustedProxies: []', 'trustedProxies: ["10.0.0.0/8"]');
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 200 });
  expect(provider.calls).toHaveLength(1);
  await reload('audience: complaints-api', 'audience: another-api');
  expect(await gateway.ask(path, { token })).toMatchObject({ status: 401, code: 'token_audience_refused' });
  expect(provider.calls).toHaveLength(2);
});

test('the API and the console show the last call, failures, and when calls are paused', async () => {
  const { gateway, provider } = await started();
  const shown = async () => {
    const answer = (await (await gateway.admin('/api/issuers')).json()) as { issuers: { introspection: unknown }[] };
    return answer.issuers[0]?.introspection;
  };
  expect(await shown()).toMatchObject({ url: provider.url, breaker: 'closed', last: null, calls: 0, failure: null });
  provider.answerWith(active());
  for (let turn = 0; turn < 2; turn += 1) await gateway.ask(path, { token });
  const last = expect.stringMatching(/^\d{4}-/);
  expect(await shown()).toMatchObject({ breaker: 'closed', last, calls: 1, failures: 0, hits: 1, failure: null });
  provider.answerWith((_request, response) => void response.writeHead(500).end());
  for (let turn = 0; turn < 20; turn += 1) await gateway.ask(path, { token: `another-${turn}` });
  const calls = provider.calls.length;
  const failure = 'the endpoint responded with 500';
  expect(await shown()).toMatchObject({ breaker: 'open', last, calls, failures: calls - 1, failure });
  const page = await (await gateway.admin('/console/issuers')).text();
  for (const text of ['Opaque tokens at', 'Calls paused', failure]) expect(page).toContain(text);
});

test('the metrics count calls, hits and failures', async () => {
  const { gateway, provider } = await started();
  provider.answerWith(active());
  for (let turn = 0; turn < 3; turn += 1) await gateway.ask(path, { token });
  provider.answerWith((_request, response) => void response.writeHead(500).end());
  await gateway.ask(path, { token: 'another' });
  const text = await (await gateway.admin('/metrics')).text();
  const counted = (name: string) =>
    new RegExp(`^countersign_introspection_${name}_total\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1];
  expect([counted('calls'), counted('hits'), counted('failures')]).toEqual(['2', '2', '1']);
});
