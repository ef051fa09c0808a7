import type { RequestListener } from 'node:http';
import { staticKeySet } from '@countersign/jwks';
import { Revocations } from '@countersign/revocations';
import { mintIssuer, silentLogger, type TestClock, type TestIssuer, testClock } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { exampleIssuer } from '../../../test/kit/example-issuer.ts';
import { type IntrospectionServer, introspectionServer } from '../../../test/kit/introspection-server.ts';
import type { Issuer } from '../../config/config.ts';
import { AppError } from '../../errors.ts';
import type { EventStream } from '../../events/event-stream.ts';
import { openIntrospection } from '../../upstreams/introspection-client.ts';
import { AccessTokens, type TrustedIssuer } from '../verified-tokens.ts';
import { createTokenVerifier } from '../verify-access-token.ts';
import { createOpaqueTokens, isOpaque } from './opaque-tokens.ts';

const opaque = 'ory_at_4Zq-8c.bVn';
const thumbprint = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

let clock: TestClock;
let uptime: TestClock;
let signer: TestIssuer;
let server: IntrospectionServer;
let revocations: Revocations;

beforeEach(async () => {
  clock = testClock();
  uptime = testClock(0);
  signer = await mintIssuer({ nowMs: clock.nowMs });
  server = await introspectionServer();
  revocations = new Revocations({ toleranceMs: 5_000, maxStalenessMs: 30_000, onStale: 'allow' });
  revocations.applySnapshot([], clock.nowMs());
});
afterEach(() => server.close());

const nowSec = () => Math.floor(clock.nowMs() / 1000);

/** An answer about a user's token, with members replaced, or removed by `undefined`. */
const active = (changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  active: true,
  token_type: 'Bearer',
  iss: signer.issuer,
  aud: 'complaints-api',
  sub: 'ann',
  user_id: 'ann',
  tenant_id: 'acme',
  role: 'agent',
  client_id: 'web',
  iat: nowSec(),
  exp: nowSec() + 900,
  ...changes,
});

type Changes = Partial<Issuer> & { signed?: boolean; cacheForMs?: number; timeoutMs?: number };

function tokensOf({ signed = false, cacheForMs = 60_000, timeoutMs, ...changes }: Changes = {}, events?: EventStream) {
  const introspection = {
    url: server.url,
    shownUrl: server.url,
    clientId: 'gateway:a b',
    secret: new Uint8Array(Buffer.from('s+ä/%')),
    cacheForMs,
    signed,
  };
  const config = exampleIssuer({ issuer: signer.issuer, introspection, ...changes });
  const endpoint = openIntrospection(config.issuer, introspection, silentLogger(), timeoutMs);
  const keys = staticKeySet(signer.jwks, { algorithms: ['ES256'] });
  const trusted: TrustedIssuer = { config, keys, revocations, events, introspection: endpoint };
  const issuers = new Map([[config.issuer, trusted]]);
  const tokens = new AccessTokens({
    issuers,
    verify: createTokenVerifier(issuers, clock.nowMs),
    opaque: createOpaqueTokens(issuers.values(), clock.nowMs, uptime.nowMs),
    nowMs: clock.nowMs,
    monotonicMs: uptime.nowMs,
  });
  /** As the authenticate stage does. */
  const use = async (text = opaque, assertAllowed?: () => void) =>
    tokens.find(text) ?? (await tokens.verify(text, assertAllowed && { address: '192.0.2.1', assertAllowed }));
  const codeOf = (text = opaque, assertAllowed?: () => void) =>
    use(text, assertAllowed).then(
      () => 'accepted',
      (error: AppError) => error.code,
    );
  return { tokens, endpoint, trusted, use, codeOf };
}

test.each([
  ['a.b.c', false],
  ['a.b.', false],
  ['..', false],
  ['eyJhbGciOiJub25lIn0.e30.A-_', false],
  ['abc', true],
  ['a.b', true],
  ['a.b.c.d.e', true],
  ['a.b.c=', true],
  ['a+b.c.d', true],
])('%s: opaque %s', (token, expected) => {
  expect(isOpaque(token)).toBe(expected);
});

test('the question is that of RFC 7662, with form-encoded credentials', async () => {
  server.answerWith(active());
  await tokensOf().use();
  const [call] = server.calls;
  expect(Object.fromEntries(call?.form ?? [])).toEqual({ token: opaque, token_type_hint: 'access_token' });
  const basic = Buffer.from('gateway%3Aa+b:s%2B%C3%A4%2F%25').toString('base64');
  expect(call?.headers).toMatchObject({ authorization: `Basic ${basic}`, accept: 'application/json' });
});

test('the claims are those of the answer', async () => {
  server.answerWith(active({ scope: 'a b', jti: 'one', sid: 's1', act: { sub: 'bot' }, cnf: { jkt: thumbprint } }));
  const { claims } = await tokensOf({ kept: { scopes: new Set(['a']), claims: ['aud'], copied: [] } }).use();
  expect(claims).toMatchObject({
    kind: 'user',
    issuer: signer.issuer,
    userId: 'ann',
    role: 'agent',
    tenantId: 'acme',
    clientId: 'web',
    sessionId: 's1',
    scope: ['a'],
    act: { sub: 'bot', iss: signer.issuer },
    jkt: thumbprint,
    issuedAtSec: nowSec(),
    expiresAtSec: nowSec() + 900,
  });
});

describe('an answer', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['that only the token is needed for', {}, 'accepted'],
    ['without iss', { iss: undefined }, 'accepted'],
    ['without iat', { iat: undefined }, 'accepted'],
    ['with a type in another case', { token_type: 'bearer' }, 'accepted'],
    ['with the type of Keycloak alone', { token_type: undefined, typ: 'Bearer' }, 'accepted'],
    ['with the use of Hydra', { token_use: 'access_token' }, 'accepted'],
    ['with the type of Duende', { token_type: 'access_token' }, 'accepted'],
    ['bound to a certificate', { cnf: { 'x5t#S256': thumbprint } }, 'accepted'],
    ['that is false', { active: false }, 'token_inactive'],
    ['of another issuer', { iss: 'http://other.test' }, 'token_issuer_unknown'],
    ['of the issuer with a slash', { iss: 'http://issuer.test/' }, 'token_issuer_unknown'],
    ['without any type, as for a refresh token of oidc-provider', { token_type: undefined }, 'token_type_refused'],
    ['about a refresh token of Keycloak', { token_type: 'Refresh', typ: 'Refresh' }, 'token_type_refused'],
    ['about an offline token', { typ: 'Offline' }, 'token_type_refused'],
    ['about a refresh token of Hydra', { token_use: 'refresh_token' }, 'token_type_refused'],
    ['about a refresh token by name', { token_type: 'refresh_token' }, 'token_type_refused'],
    ['about an ID token', { typ: 'ID' }, 'token_type_refused'],
    ['with a nonce', { nonce: 'n' }, 'token_type_refused'],
    ['with two types', { token_type: ['Bearer', 'Refresh'] }, 'token_type_refused'],
    ['with a type that is null', { token_type: null }, 'token_type_refused'],
    ['of type DPoP without the key', { token_type: 'DPoP' }, 'token_claims_invalid'],
    ['of type DPoP with the key', { token_type: 'DPoP', cnf: { jkt: thumbprint } }, 'accepted'],
    ['with an unknown binding', { cnf: { kid: 'k' } }, 'token_claims_invalid'],
    ['for another audience', { aud: 'other-api' }, 'token_audience_refused'],
    ['without an audience', { aud: undefined }, 'token_audience_refused'],
    ['that has expired', { exp: 1 }, 'token_expired'],
    ['without exp', { exp: undefined }, 'token_claims_invalid'],
    ['with exp in text', { exp: '9999999999' }, 'token_claims_invalid'],
    ['that lives too long', { exp: 9_999_999_999 }, 'token_lifetime_refused'],
    ['that lives too long, without iat', { exp: 9_999_999_999, iat: undefined }, 'token_lifetime_refused'],
    ['that is not valid yet', { nbf: 9_999_999_999 }, 'token_not_yet_valid'],
    ['with two clients', { azp: 'other' }, 'token_client_refused'],
    ['about a machine', { sub: 'web' }, 'token_machine_refused'],
    ['without a subject', { sub: undefined }, 'token_claims_invalid'],
    ['with a malformed actor', { act: 'bot' }, 'token_actor_invalid'],
    ['whose active is a text', { active: 'true' }, 'introspection_unavailable'],
    ['whose active is a number', { active: 1 }, 'introspection_unavailable'],
    ['without active', { active: undefined }, 'introspection_unavailable'],
  ])('%s', async (_name, changes, code) => {
    server.answerWith(active(changes));
    expect(await tokensOf().codeOf()).toBe(code);
  });

  test('about a machine without a subject is accepted where the file says how to recognize one', async () => {
    const machines: Issuer['machines'] = {
      isAccepted: true,
      when: [[{ claim: 'sub', expected: { is: 'absent' } }]],
      role: undefined,
      tenantId: undefined,
    };
    server.answerWith(active({ sub: undefined, user_id: undefined }));
    expect((await tokensOf({ machines }).use()).claims).toMatchObject({ kind: 'client', clientId: 'web' });
  });
});

describe('an endpoint that does not answer', () => {
  const raw =
    (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
    (_request, response) => {
      response.writeHead(status, headers).end(body);
    };

  test.each<[string, RequestListener, number]>([
    ['hangs', () => {}, 1],
    ['hangs in the body', (_request, response) => void response.write('{"active":true,'), 1],
    ['closes early', (request) => void request.socket.destroy(), 1],
    ['redirects', (_request, response) => void response.writeHead(307, { location: server.url }).end(), 1],
    ['fails', raw(500, '{"active":true}'), 1],
    ['refuses the credentials', raw(401, '{"active":false}'), 1],
    ['refuses the question', raw(400, '{"active":false}'), 1],
    ['limits its clients', raw(429, ''), 1],
    ['sends 1 MiB', (_request, response) => void response.end(`{"active":true,"x":"${'x'.repeat(2 ** 20)}"}`), 1],
    ['sends a page', raw(200, '<p>active</p>'), 1],
    ['sends nothing', raw(200, ''), 1],
    ['sends a list', raw(200, '[{"active":true}]'), 1],
    ['says both', raw(200, '{"active":false,"active":true}'), 1],
    ['sends a signed answer that was not requested', raw(200, 'a.b.c'), 1],
  ])('%s', async (name, answer, calls) => {
    server.answerWith(answer);
    const { codeOf, endpoint } = tokensOf(name.startsWith('hangs') ? { timeoutMs: 300 } : {});
    expect(await codeOf()).toBe('introspection_unavailable');
    expect(server.calls).toHaveLength(calls);
    expect(endpoint.stats).toEqual({ calls, failures: calls, hits: 0 });
  });

  test('is not asked for a while after it failed ten times, and a failure is never remembered', async () => {
    server.answerWith(raw(500, ''));
    const { codeOf } = tokensOf();
    for (let turn = 0; turn < 14; turn += 1) expect(await codeOf()).toBe('introspection_unavailable');
    expect(server.calls).toHaveLength(10);
  });

  test('stays in use if only tokens of its own are refused with 400', async () => {
    server.answerWith(raw(400, ''));
    const { codeOf } = tokensOf();
    for (let turn = 0; turn < 14; turn += 1) expect(await codeOf(`bad-${turn}`)).toBe('introspection_unavailable');
    server.answerWith(active());
    expect(await codeOf()).toBe('accepted');
  });

  test('that nothing listens at is down', async () => {
    const { codeOf } = tokensOf();
    await server.close();
    expect(await codeOf()).toBe('introspection_unavailable');
    server = await introspectionServer();
  });
});

describe('the cache of answers', () => {
  test('asks once for 100 concurrent requests, and not again while the answer may be used', async () => {
    server.answerWith(active());
    const { use, endpoint } = tokensOf();
    const found = await Promise.all(Array.from({ length: 100 }, () => use()));
    expect(new Set(found).size).toBe(1);
    await use();
    expect(server.calls).toHaveLength(1);
    expect(endpoint.stats).toEqual({ calls: 1, failures: 0, hits: 1 });
  });

  test('holds no token', async () => {
    server.answerWith(active());
    const { tokens, use } = tokensOf();
    await use();
    // The last 43 characters of a token are the place of a JWT.
    expect(tokens.stats.size).toBe(1);
    expect(tokens.find(`x${opaque}`)).toBeUndefined();
  });

  test.each([
    [59_999, 1],
    [60_000, 2],
  ])('after %d ms, %d calls: an answer ends at cacheFor', async (passedMs, calls) => {
    server.answerWith(active());
    const { codeOf } = tokensOf();
    await codeOf();
    server.answerWith({ active: false });
    uptime.advance(passedMs);
    expect(await codeOf()).toBe(calls === 1 ? 'accepted' : 'token_inactive');
    expect(server.calls).toHaveLength(calls);
  });

  test('counts cacheFor from the question, since the issuer may have answered at once', async () => {
    server.answerWith((_request, response) => {
      uptime.advance(59_000);
      response.end(JSON.stringify(active()));
    });
    const { codeOf } = tokensOf();
    await codeOf();
    uptime.advance(1_000);
    server.answerWith({ active: false });
    expect(await codeOf()).toBe('token_inactive');
  });

  test('an answer ends at exp, without tolerance', async () => {
    server.answerWith(active({ exp: nowSec() + 10 }));
    const { codeOf } = tokensOf();
    await codeOf();
    server.answerWith({ active: false });
    uptime.advance(10_000);
    expect(await codeOf()).toBe('token_inactive');
  });

  test('remembers a refusal for 5 s', async () => {
    const { codeOf } = tokensOf();
    expect(await codeOf()).toBe('token_inactive');
    server.answerWith(active());
    uptime.advance(4_999);
    expect(await codeOf()).toBe('token_inactive');
    expect(server.calls).toHaveLength(1);
    uptime.advance(1);
    expect(await codeOf()).toBe('accepted');
  });

  test('never has one answer for two issuers or endpoints', async () => {
    const keys = [{}, { issuer: 'http://other.test' }].map((changes) => {
      const { trusted } = tokensOf(changes);
      return createOpaqueTokens([trusted], clock.nowMs)?.keyOf(opaque);
    });
    await server.close();
    server = await introspectionServer();
    const { trusted } = tokensOf();
    keys.push(createOpaqueTokens([trusted], clock.nowMs)?.keyOf(opaque));
    expect(new Set(keys).size).toBe(3);
  });
});

describe('a revocation', () => {
  const end = (names: readonly string[], kind: 'user' | 'session' = 'user') => {
    const notBeforeMs = clock.nowMs() + 1_000;
    revocations.apply([{ kind, names, notBeforeMs, expiresAtMs: notBeforeMs + 900_000 }], clock.nowMs());
  };

  test('of the user refuses a token with a cached answer', async () => {
    server.answerWith(active());
    const { codeOf } = tokensOf();
    await codeOf();
    end(['ann']);
    expect(await codeOf()).toBe('token_revoked');
  });

  test('makes the gateway ask again, even if it cannot tell whose session ended', async () => {
    server.answerWith(active());
    const { codeOf } = tokensOf();
    await codeOf();
    end(['a-session-that-no-answer-names'], 'session');
    server.answerWith({ active: false });
    expect(await codeOf()).toBe('token_inactive');
    expect(server.calls).toHaveLength(2);
  });

  test('during a question makes its answer void', async () => {
    let turn = 0;
    server.answerWith((_request, response) => {
      turn += 1;
      if (turn === 1) end(['another-client']);
      response.end(JSON.stringify(turn === 1 ? active() : { active: false }));
    });
    expect(await tokensOf().codeOf()).toBe('token_inactive');
    expect(server.calls).toHaveLength(2);
  });

  test('during each of three questions gives 503, not an old answer', async () => {
    server.answerWith((_request, response) => {
      end(['another-client']);
      response.end(JSON.stringify(active()));
    });
    expect(await tokensOf().codeOf()).toBe('introspection_unavailable');
    expect(server.calls).toHaveLength(3);
  });

  test('during each question leaves an answer that names its session in use for one request', async () => {
    let ended = 'another-session';
    server.answerWith((_request, response) => {
      end([ended], 'session');
      response.end(JSON.stringify(active({ sid: 'of-ann' })));
    });
    const { codeOf } = tokensOf();
    expect([await codeOf(), server.calls.length]).toEqual(['accepted', 3]);
    expect([await codeOf(), server.calls.length]).toEqual(['accepted', 6]);
    ended = 'of-ann';
    expect(await codeOf()).toBe('token_revoked');
  });

  test('of users during each question leaves an answer without a session in use for one request', async () => {
    const events = { endedSessions: 0 } as EventStream;
    const { trusted, codeOf } = tokensOf({}, events);
    let kind: 'user' | 'session' = 'user';
    server.answerWith((_request, response) => {
      end(['another'], kind);
      if (kind === 'session') events.endedSessions += 1;
      response.end(JSON.stringify(active()));
    });
    expect([trusted.events, await codeOf(), server.calls.length]).toEqual([events, 'accepted', 3]);
    kind = 'session';
    expect(await codeOf()).toBe('introspection_unavailable');
  });

  test('refuses a token without iat, which counts as issued at 0, and leaves a newer login alone', async () => {
    end(['ann']);
    clock.advance(2_000);
    server.answerWith(active());
    expect(await tokensOf().codeOf()).toBe('accepted');
    server.answerWith(active({ iat: undefined }));
    expect(await tokensOf().codeOf()).toBe('token_revoked');
  });
});

describe('many tokens', () => {
  test('are asked about 32 at a time', async () => {
    const open: (() => void)[] = [];
    server.answerWith((_request, response) => void open.push(() => response.end('{"active":false}')));
    const { codeOf } = tokensOf();
    const results = Promise.all(Array.from({ length: 50 }, (_, at) => codeOf(`token-${at}`)));
    const calledBy = async (count: number) => {
      while (server.calls.length < count) await new Promise(setImmediate);
    };
    await calledBy(32);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    expect(server.calls).toHaveLength(32);
    for (const answer of open.splice(0)) answer();
    await calledBy(50);
    for (const answer of open.splice(0)) answer();
    expect(new Set(await results)).toEqual(new Set(['token_inactive']));
  });

  test('of an address that may ask no more are refused before the question', async () => {
    const { codeOf, endpoint } = tokensOf();
    const refuse = () => {
      throw new AppError('rate_limited');
    };
    expect(await codeOf(opaque, refuse)).toBe('rate_limited');
    expect(endpoint.stats).toEqual({ calls: 0, failures: 0, hits: 0 });
    // Nothing is remembered about the token.
    server.answerWith(active());
    expect(await codeOf()).toBe('accepted');
  });

  test('of that address do not refuse the same token of another address', async () => {
    server.answerWith(active());
    const { codeOf } = tokensOf();
    const refuse = () => {
      throw new AppError('rate_limited');
    };
    expect(await Promise.all([codeOf(opaque, refuse), codeOf()])).toEqual(['rate_limited', 'accepted']);
  });
});

describe('a signed answer', () => {
  type Signed = Readonly<{ header?: Record<string, unknown>; payload?: Record<string, unknown>; signer?: TestIssuer }>;

  async function signedAnswer({ header = {}, payload = {}, signer: by = signer }: Signed = {}): Promise<void> {
    const claims = { iss: signer.issuer, aud: 'gateway:a b', iat: nowSec(), token_introspection: active(), ...payload };
    const text = await by.sign(claims, { typ: 'token-introspection+jwt', ...header });
    server.answerWith((_request, response) => void response.end(text));
  }

  test('is requested, and its claims are used', async () => {
    await signedAnswer();
    const token = await tokensOf({ signed: true }).use();
    expect(token).toMatchObject({ kid: signer.kid, claims: { userId: 'ann' } });
    expect(server.calls[0]?.headers.accept).toBe('application/token-introspection+jwt');
  });

  test('that says no is a refusal', async () => {
    await signedAnswer({ payload: { token_introspection: { active: false } } });
    expect(await tokensOf({ signed: true }).codeOf()).toBe('token_inactive');
  });

  test.each<[string, Signed]>([
    ['for another audience', { payload: { aud: 'other' } }],
    ['without an audience', { payload: { aud: undefined } }],
    ['of another issuer', { payload: { iss: 'http://other.test' } }],
    ['with the type of an access token', { header: { typ: 'at+jwt' } }],
    ['with the type JWT', { header: { typ: 'JWT' } }],
    ['made before the question', { payload: { iat: 1_000_000_000 } }],
    ['of the future', { payload: { iat: 9_999_999_999 } }],
    ['without a time', { payload: { iat: undefined } }],
    ['without its member', { payload: { token_introspection: undefined } }],
    ['whose member is a list', { payload: { token_introspection: [{ active: true }] } }],
    ['with another key', { header: { kid: 'unknown' } }],
  ])('%s is the fault of the endpoint', async (_name, change) => {
    await signedAnswer(change);
    expect(await tokensOf({ signed: true }).codeOf()).toBe('introspection_unavailable');
  });

  test('with a forged signature is the fault of the endpoint', async () => {
    await signedAnswer({ signer: await mintIssuer({ kid: signer.kid }) });
    expect(await tokensOf({ signed: true }).codeOf()).toBe('introspection_unavailable');
  });

  test('cannot be replaced by one that is not signed', async () => {
    server.answerWith(active());
    expect(await tokensOf({ signed: true }).codeOf()).toBe('introspection_unavailable');
  });

  test('is no access token', async () => {
    const text = await signer.accessToken({ token_introspection: active() }, { typ: 'token-introspection+jwt' });
    expect(await tokensOf().codeOf(text)).toBe('token_type_refused');
    expect(server.calls).toHaveLength(0);
  });
});

test('JWTs are verified, never introspected', async () => {
  const { codeOf } = tokensOf();
  expect(await codeOf(await signer.accessToken())).toBe('accepted');
  expect(await codeOf('a.b.c')).toBe('token_malformed');
  expect(await codeOf(`${(await signer.accessToken()).split('.').slice(0, 2).join('.')}.`)).toBe(
    'token_algorithm_refused',
  );
  expect(server.calls).toHaveLength(0);
});

test('a token that is too large is not sent', async () => {
  expect(await tokensOf().codeOf('x'.repeat(8193))).toBe('token_too_large');
  expect(server.calls).toHaveLength(0);
});
