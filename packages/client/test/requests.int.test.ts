import { type RecordedRequest, type RecordingUpstream, recordingUpstream } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Client, createClient } from '../src/index.ts';

type Scripted = Readonly<{ status: number; code?: string; headers?: Record<string, string>; body?: object }>;

/** The server's answers in order, then `byDefault`. `hang up` closes the connection. */
let script: (Scripted | 'hang up')[];
let byDefault: (request: RecordedRequest) => Scripted;
let server: RecordingUpstream;
let client: Client;

const tokens = (n: number) => ({
  access_token: `access-${n}`,
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: `refresh-${n}`,
  refresh_expires_in: 9_000,
  session_id: '0197c2a0-0000-7000-8000-0000000000f1',
  user: { id: 'u1', email: 'ann@acme.test' },
  tenant: { id: 't1', slug: 'acme', role: 'agent' },
});

beforeEach(async () => {
  script = [];
  byDefault = () => ({ status: 200, body: { items: [] } });
  server = await recordingUpstream({
    answer(request, res) {
      const next = script.shift() ?? byDefault(request);
      if (next === 'hang up') {
        res.destroy();
        return;
      }
      const { status, code, headers = {} } = next;
      const type = code === undefined ? 'application/json' : 'application/problem+json';
      const body = next.body ?? (code === undefined ? {} : { code, title: code, status });
      res.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(body));
    },
  });
  client = createClient({ baseUrl: server.url, retry: { maxWaitMs: 400 } });
});
afterEach(() => server.close());

async function logIn(n = 1): Promise<void> {
  script.unshift({ status: 200, body: tokens(n) });
  const { data } = await client.logIn({ email: 'ann@acme.test', password: 'a good password' });
  expect(data?.access_token).toBe(`access-${n}`);
}
const paths = () => server.requests.map(({ method, target }) => `${method} ${target}`);
const authorizationOf = (request: RecordedRequest | undefined) => request?.headers.authorization;

describe('retries', () => {
  test.each([
    ['503 with Retry-After', { status: 503, code: 'unavailable', headers: { 'retry-after': '0' } }],
    ['a 503 from a proxy, without problem+json', { status: 503 }],
    ['a rate limit', { status: 429, code: 'rate_limited', headers: { 'retry-after': '0' } }],
    ['an unreachable service', { status: 502, code: 'upstream_unreachable' }],
    ['a broken connection', 'hang up'],
  ] as const)('retries a GET after %s', async (_, first) => {
    script = [first];
    const { response } = await client.api.GET('/v1/users');
    expect([response.status, server.requests.length]).toEqual([200, 2]);
  });

  test.each([
    ['a conflict', { status: 409, code: 'last_admin' }],
    ['an internal error', { status: 500, code: 'internal_error' }],
    ['another 429', { status: 429, code: 'too_many_attempts', headers: { 'retry-after': '0' } }],
    [
      'a response whose Retry-After is too long',
      { status: 503, code: 'unavailable', headers: { 'retry-after': '60' } },
    ],
  ] as const)('returns %s immediately', async (_, first) => {
    script = [first];
    const { error } = await client.api.GET('/v1/users');
    expect([error?.code, server.requests.length]).toEqual([first.code, 1]);
  });

  test('gives up after three attempts, and returns the last response', async () => {
    const busy: Scripted = { status: 503, code: 'unavailable', headers: { 'retry-after': '0' } };
    script = [busy, busy, busy, busy];
    const { error } = await client.api.GET('/v1/users');
    expect([error?.code, server.requests.length]).toEqual(['unavailable', 3]);
  });

  test('never retries a POST or PATCH without an Idempotency-Key', async () => {
    const busy: Scripted = { status: 503, code: 'unavailable', headers: { 'retry-after': '0' } };
    script = [busy];
    await client.api.PATCH('/v1/users/me', { body: { display_name: 'Ann' } });
    script = [busy];
    await client.api.POST('/v1/auth/password/forgot', { body: { email: 'ann@acme.test' } });
    script = ['hang up'];
    await expect(client.api.PATCH('/v1/users/me', { body: { display_name: 'Ann' } })).rejects.toThrow();
    expect(server.requests).toHaveLength(3);
    script = [busy];
    const headers = { 'idempotency-key': 'k-1' };
    const { response } = await client.api.POST('/v1/auth/password/forgot', { body: { email: 'a@b.test' }, headers });
    expect([response.status, server.requests.length]).toEqual([200, 5]);
    expect(server.requests.slice(3).map(({ body }) => body.toString())).toEqual(Array(2).fill('{"email":"a@b.test"}'));
  });

  test('sends a file unchanged, and retries with an Idempotency-Key', async () => {
    script = ['hang up', { status: 201 }];
    const file = new Blob([Uint8Array.of(0xff, 0xd8, 0xff, 0, 1)], { type: 'image/jpeg' });
    const { response } = await client.api.POST('/v1/complaints/{id}/attachments', {
      params: { path: { id: 'c1' }, query: { name: 'lamp.jpg' }, header: { 'idempotency-key': 'k-1' } },
      headers: { 'content-type': file.type },
      body: file,
      bodySerializer: (body) => body,
    });
    expect([response.status, server.requests.length]).toEqual([201, 2]);
    for (const { body, headers } of server.requests) {
      expect([headers['content-type'], [...body]]).toEqual(['image/jpeg', [0xff, 0xd8, 0xff, 0, 1]]);
    }
  });

  test('stops waiting when the caller aborts', async () => {
    script = [{ status: 503, code: 'unavailable' }];
    const aborter = new AbortController();
    const call = client.api.GET('/v1/users', { signal: aborter.signal });
    aborter.abort(new Error('changed my mind'));
    await expect(call).rejects.toThrow('changed my mind');
  });
});

describe('a session', () => {
  test('sends its token, and replaces an expired one with one refresh for all requests', async () => {
    await logIn();
    await client.api.GET('/v1/users');
    expect(authorizationOf(server.last())).toBe('Bearer access-1');
    byDefault = ({ target, headers }) => {
      if (target === '/v1/auth/refresh') return { status: 200, body: tokens(2) };
      return headers.authorization === 'Bearer access-1' ? { status: 401, code: 'token_expired' } : { status: 200 };
    };
    const results = await Promise.all([1, 2, 3].map(() => client.api.GET('/v1/users')));
    expect(results.map(({ response }) => response.status)).toEqual([200, 200, 200]);
    expect(paths().filter((path) => path === 'POST /v1/auth/refresh')).toHaveLength(1);
    const refresh = server.requests.find(({ target }) => target === '/v1/auth/refresh');
    expect(JSON.parse(String(refresh?.body))).toEqual({ refresh_token: 'refresh-1' });
    expect(authorizationOf(server.last())).toBe('Bearer access-2');
  });

  test('refreshes a token before it expires', async () => {
    script = [
      { status: 200, body: { ...tokens(1), expires_in: 20 } },
      { status: 200, body: tokens(2) },
    ];
    await client.logIn({ email: 'ann@acme.test', password: 'a good password' });
    await client.api.GET('/v1/users');
    expect(paths()).toEqual(['POST /v1/auth/login', 'POST /v1/auth/refresh', 'GET /v1/users']);
  });

  test('ends when its refresh token is refused, and reports it once', async () => {
    const seen: (string | undefined)[] = [];
    client = createClient({ baseUrl: server.url, onSession: (session) => seen.push(session?.id) });
    await logIn();
    script = [
      { status: 401, code: 'token_revoked' },
      { status: 401, code: 'session_revoked' },
    ];
    const { error } = await client.api.GET('/v1/users');
    expect(error?.code).toBe('token_revoked');
    expect(seen).toEqual([tokens(1).session_id, undefined]);
    expect(client.session).toBeUndefined();
    await client.api.GET('/v1/users');
    expect(authorizationOf(server.last())).toBeUndefined();
  });

  test('survives a temporary refresh failure', async () => {
    await logIn();
    script = [
      { status: 401, code: 'token_expired' },
      { status: 503, code: 'unavailable' },
    ];
    await expect(client.api.GET('/v1/users')).rejects.toMatchObject({ name: 'ApiError', status: 503 });
    expect(client.session?.user.email).toBe('ann@acme.test');
  });

  test('continues in the next process if it has a store', async () => {
    let kept: string | undefined = 'refresh-0';
    const store = {
      read: () => kept,
      write(token: string | undefined) {
        kept = token;
      },
    };
    client = createClient({ baseUrl: server.url, store });
    script = [{ status: 200, body: tokens(1) }];
    expect((await client.resume())?.tenant.slug).toBe('acme');
    expect(kept).toBe('refresh-1');
    script = [{ status: 200 }];
    await client.logOut();
    expect([kept, client.session]).toEqual([undefined, undefined]);
  });

  test('remains a bearer session if it began without a key', async () => {
    client = createClient({ baseUrl: server.url, dpop: true, store: { read: () => 'refresh-0', write() {} } });
    script = [{ status: 200, body: tokens(1) }];
    await client.resume();
    expect(server.last().count('dpop')).toBe(1);
    await client.api.GET('/v1/users');
    expect([authorizationOf(server.last()), server.last().count('dpop')]).toEqual(['Bearer access-1', 0]);
  });

  test('answers a DPoP nonce challenge once, with a new proof', async () => {
    client = createClient({ baseUrl: server.url, dpop: true });
    const challenge: Scripted = { status: 400, code: 'use_dpop_nonce', headers: { 'dpop-nonce': 'n-1' } };
    script = [challenge, { status: 200, body: { ...tokens(1), token_type: 'DPoP' } }];
    await client.logIn({ email: 'ann@acme.test', password: 'a good password' });
    await client.api.GET('/v1/users', { params: { query: { limit: 5 } } });
    const [first, second, third] = server.requests.map(({ headers }) => claimsOf(headers.dpop));
    expect([first?.nonce, second?.nonce, third?.nonce]).toEqual([undefined, 'n-1', 'n-1']);
    expect(third).toMatchObject({ htm: 'GET', htu: `${server.url}/v1/users`, ath: expect.any(String) });
    expect(authorizationOf(server.last())).toBe('DPoP access-1');
    script = [challenge, challenge];
    const again = await client.logIn({ email: 'ann@acme.test', password: 'a good password' });
    expect(again.response.status).toBe(400);
  });
});

const claimsOf = (proof = ''): Record<string, unknown> =>
  JSON.parse(Buffer.from(proof.split('.')[1] ?? '', 'base64url').toString());

// Compile-time promises: `npm run types` fails when one of these errors goes away.
async () => {
  const { data, error } = await client.logIn({ email: 'ann@acme.test', password: 'a good password' });
  if (error?.code === 'mfa_required') void (error.mfa_token satisfies string);
  if (error?.code === 'tenant_selection_required') void (error.tenants[0]?.slug satisfies string | undefined);
  // @ts-expect-error only mfa_required has it
  if (error?.code === 'invalid_credentials') void error.mfa_token;
  // @ts-expect-error this operation has no such code
  if (error?.code === 'last_admin') void error;
  // @ts-expect-error the data is not there when there is an error
  void data.access_token;
  // @ts-expect-error a limit is a number
  await client.api.GET('/v1/users', { params: { query: { limit: '5' } } });
  const path = { id: 'c1', attachmentId: 'a1' };
  const file = await client.api.GET('/v1/complaints/{id}/attachments/{attachmentId}', {
    params: { path },
    parseAs: 'blob',
  });
  void (file.data satisfies Blob | undefined);
  // @ts-expect-error no such path
  await client.api.GET('/v1/nothing');
  client.events('/v1/complaints/events');
  client.events('/v1/complaints/events?last_event_id=4');
  // @ts-expect-error it sends JSON, and no events
  client.events('/v1/complaints');
  // @ts-expect-error no such path
  client.events('/v1/events');
};
