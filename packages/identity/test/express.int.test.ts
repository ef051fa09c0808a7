import { connect } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import express, { type ErrorRequestHandler, type Express } from 'express';
import {
  allowAnonymous,
  requireIdentity,
  requireRole,
  userOf,
  type VerifyIdentityOptions,
  verifyIdentity,
} from '../src/adapters/express.ts';
import { type IdentityClaims, IdentityUnavailable, type ReplayStore } from '../src/index.ts';
import { genuine, type Message, type Pair, plus, requestId, withHeader, without } from './forge.ts';
import { verifierAt } from './verifier.ts';
import { exchange, headOf, listen, sendMessage } from './wire.ts';

let open: { close(): Promise<void> } | undefined;
let reached: string[] = [];
let refusals: string[] = [];

afterEach(async () => {
  await open?.close();
  open = undefined;
  reached = [];
  refusals = [];
});

const oops: ErrorRequestHandler = (error: Error, _req, res, _next) => void res.status(500).send(error.message);

/** A typical service, with the verifier first. */
function serviceApp(options: Partial<VerifyIdentityOptions> = {}): Express {
  const app = express();
  app.use(
    verifyIdentity({
      verifier: verifierAt(),
      onRefused: (_req, _res, { reason }) => refusals.push(reason),
      ...options,
    }),
  );
  app.use((req, _res, next) => {
    reached.push(req.originalUrl);
    next();
  });
  app.get(
    ['/healthz', '/readyz', '/metrics', '/.well-known/jwks.json'],
    (req, res) => void res.json({ headers: req.headers, raw: req.rawHeaders }),
  );
  app.post('/raw', requireIdentity(), async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    res.send(Buffer.concat(chunks).toString('base64'));
  });
  app.post('/piped', requireIdentity(), (req, res) => void req.pipe(res));
  app.use(express.json({ limit: '4mb' }));
  app.all('/whoami', requireIdentity(), (req, res) => void res.json({ user: userOf(req).userId, body: req.body }));
  app.get('/staff', requireRole('agent', 'admin'), (req, res) => void res.json(req.identity));
  app.get('/open', allowAnonymous(), (req, res) => void res.json(req.identity.kind));
  app.get('/machines', requireIdentity('service', 'gateway'), (req, res) => void res.json(req.identity.kind));
  app.get('/forgotten', (req, res) => void res.json(req.identity));
  app.use(oops);
  return app;
}

async function start(app: Express = serviceApp()): Promise<number> {
  const listening = await listen(app);
  open = listening;
  return listening.port;
}

const get = (target: string, as?: IdentityClaims) => genuine({ target, ...(as && { as }) });
const post = (body: string, target = '/whoami') =>
  genuine({ method: 'POST', target, body, contentType: 'application/json' });

describe('a request from the gateway', () => {
  test('reaches its handler with the identity', async () => {
    const answer = await sendMessage(await start(), get('/whoami'));
    expect(answer).toMatchObject({ status: 200, body: '{"user":"u-1"}' });
  });

  test.each([
    ['of a few bytes', '{"a":1}'],
    ['of 3 MB', JSON.stringify({ a: 'x'.repeat(3_000_000) })],
    ['with bytes beyond ASCII', '{"a":"ü€😀"}'],
  ])('keeps its body for the JSON parser: %s', async (_name, body) => {
    const answer = await sendMessage(await start(serviceApp({ maxBodyBytes: 4_000_000 })), post(body));
    expect(answer.status).toBe(200);
    expect(JSON.parse(Buffer.from(answer.body, 'latin1').toString()).body).toEqual(JSON.parse(body));
  });

  test.each(['/raw', '/piped'])('keeps its body for a stream reader: %s', async (target) => {
    const answer = await sendMessage(await start(), post('some bytes', target));
    expect(answer.body).toContain(target === '/raw' ? Buffer.from('some bytes').toString('base64') : 'some bytes');
  });

  test.each([1, 2, 3, 7, 100])(
    'is accepted when the body arrives after the head in pieces of %d bytes',
    async (size) => {
      const message = post('{"a":[1,2,3,4,5,6,7,8,9]}');
      const pieces = Array.from({ length: Math.ceil(message.body.length / size) }, (_, n) =>
        message.body.subarray(n * size, n * size + size),
      );
      const answer = await exchange(await start(), headOf(message), ...pieces);
      expect(answer).toMatchObject({ status: 200 });
      expect(JSON.parse(answer.body).body).toEqual({ a: [1, 2, 3, 4, 5, 6, 7, 8, 9] });
    },
  );

  test.each([
    ['in one write', ['7\r\n{"a":1}\r\n0\r\n\r\n']],
    ['in pieces', ['3\r\n{"a\r\n', '4\r\n":1}\r\n', '0\r\n\r\n']],
    ['with the last chunk split', ['7\r\n{"a":1}\r\n', '0\r\n', '\r\n']],
  ])('is accepted with a chunked body: %s', async (_name, pieces) => {
    const message = without(post('{"a":1}'), 'content-length');
    const answer = await exchange(await start(), headOf(message, [['transfer-encoding', 'chunked']]), ...pieces);
    expect(JSON.parse(answer.body)).toEqual({ user: 'u-1', body: { a: 1 } });
  });

  test('is accepted with an empty chunked body', async () => {
    const port = await start();
    const message = genuine({ method: 'POST', target: '/raw' });
    const answer = await exchange(port, headOf(message, [['transfer-encoding', 'chunked']]), '0\r\n\r\n');
    expect(answer.status).toBe(200);
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('is accepted without a body: %s', async (method) => {
    expect(await sendMessage(await start(), genuine({ method, target: '/whoami' }))).toMatchObject({ status: 200 });
  });

  test('needs a digest except on a stream path', async () => {
    const app = serviceApp({ stream: (req) => req.originalUrl === '/piped' });
    const port = await start(app);
    const message = genuine({ method: 'POST', target: '/piped', body: 'streamed', streamed: true });
    expect((await sendMessage(port, message)).body).toContain('streamed');
    const elsewhere = await sendMessage(port, { ...message, target: '/raw' });
    expect(elsewhere.headers.get('x-identity-refused')).toBe('content_digest_missing');
  });

  test('is separate from a pipelined second request', async () => {
    const port = await start();
    const first = headOf(post('{"a":1}')).replace('connection: close\r\n', '');
    const second = genuine({ target: '/whoami', nonce: 'BBBBBBBBBBBBBBBBBBBBBB' });
    const answer = await exchange(port, `${first}{"a":1}${headOf(second)}`);
    expect(answer.body.match(/"user":"u-1"/g)).toHaveLength(2);
  });
});

describe('a request that did not come through the gateway is answered 401 before routing', () => {
  const bare = (method: string, target: string, headers: Pair[] = []): Message => ({
    method,
    target,
    headers,
    body: Buffer.alloc(0),
  });

  test.each([
    ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [method, '/whoami']),
    ...['POST', 'PUT', 'DELETE', 'OPTIONS'].flatMap((method) => [
      [method, '/healthz'],
      [method, '/.well-known/jwks.json'],
    ]),
    ['GET', '/'],
    ['GET', '/nowhere'],
    ['GET', '/open'],
    ['GET', '/healthz/'],
    ['GET', '/HEALTHZ'],
    ['GET', '/healthz%2f'],
    ['GET', '/healthz/../whoami'],
    ['GET', '//healthz'],
    ['GET', '/metrics;x'],
    ['GET', '/.well-known'],
    ['GET', '/.well-known/'],
    ['GET', '/.well-known/../whoami'],
    ['GET', '/.well-known/%2e%2e/whoami'],
    ['GET', '/.well-known//whoami'],
    ['GET', '/whoami?/healthz'],
    ['GET', '/whoami#/healthz'],
    ['GET', 'http://service.test/healthz'],
    ['GET', 'http://service.test/whoami'],
  ])('%s %s', async (method, target) => {
    const answer = await sendMessage(await start(), bare(method, target));
    expect(answer.status).toBe(401);
    expect(answer.headers.get('x-identity-refused')).toMatch(/^(signature_missing|target_malformed)$/);
    expect(reached).toEqual([]);
  });

  test('the problem contains only the path, the code and the request id', async () => {
    const answer = await sendMessage(await start(), plus(withHeader(get('/whoami?secret=1'), 'x-user-role', 'admin')));
    expect(answer.status).toBe(401);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('x-request-id')).toBe(requestId);
    expect(JSON.parse(answer.body)).toEqual({
      type: 'urn:countersign:error:identity_refused',
      title: expect.any(String),
      status: 401,
      instance: '/whoami',
      code: 'identity_refused',
      request_id: requestId,
    });
    expect(refusals).toEqual(['signature_invalid']);
  });

  test.each<[string, Message, string]>([
    ['a second user id', plus(get('/whoami'), ['X-User-Id', 'root']), 'header_duplicated'],
    ['an alias', plus(get('/whoami'), ['X_User_Id', 'root']), 'header_alias'],
    ['another body', { ...post('{"a":1}'), body: Buffer.from('{"a":2}') }, 'content_digest_mismatch'],
    ['a captured request on another path', { ...get('/open'), target: '/whoami' }, 'signature_invalid'],
    [
      'a body on a GET',
      { ...plus(get('/whoami'), ['content-length', '2']), body: Buffer.from('{}') },
      'content_digest_missing',
    ],
    [
      'identity headers without a signature',
      bare('GET', '/whoami', [
        ['x-identity', 'user'],
        ['x-user-id', 'root'],
      ]),
      'signature_missing',
    ],
  ])('%s', async (_name, message, reason) => {
    const answer = await sendMessage(await start(), message);
    expect(answer.headers.get('x-identity-refused')).toBe(reason);
    expect(answer.status).toBe(401);
    expect(reached).toEqual([]);
  });

  test('a replayed request', async () => {
    const port = await start();
    expect((await sendMessage(port, post('{"a":1}'))).status).toBe(200);
    expect((await sendMessage(port, post('{"a":1}'))).headers.get('x-identity-refused')).toBe('replayed');
  });

  test('an unsigned request, without waiting for its body', async () => {
    const port = await start();
    const head = headOf(bare('POST', '/whoami', [['content-length', '1000000']]));
    expect((await exchange(port, head)).status).toBe(401);
  });

  test('an upgrade without an upgrade listener', async () => {
    const upgrade: Pair[] = [
      ['upgrade', 'websocket'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
    ];
    const text = headOf(bare('GET', '/whoami', upgrade)).replace('connection: close', 'connection: upgrade, close');
    expect((await exchange(await start(), text)).status).toBe(401);
  });
});

test.each(['/healthz', '/readyz', '/metrics', '/.well-known/jwks.json', '/healthz?x=1'])(
  '%s needs no identity, and its handler sees no identity headers',
  async (target) => {
    const headers: Pair[] = [
      ['x-user-id', 'root'],
      ['X_User_Id', 'root'],
      ['x-identity', 'gateway'],
      ['x-request-id', requestId],
      ['accept', '*/*'],
    ];
    const answer = await sendMessage(await start(), { method: 'GET', target, headers, body: Buffer.alloc(0) });
    expect(answer.status).toBe(200);
    expect(answer.body).not.toMatch(/root|gateway|x-request-id/i);
    expect(answer.body).toContain('accept');
  },
);

test('HEAD on an exempt path needs no identity', async () => {
  const message = { method: 'HEAD', target: '/healthz', headers: [], body: Buffer.alloc(0) };
  expect((await sendMessage(await start(), message)).status).toBe(200);
});

describe('a body over maxBodyBytes is answered 413', () => {
  test('with a content-length', async () => {
    const answer = await sendMessage(await start(serviceApp({ maxBodyBytes: 5 })), post('{"a":1}'));
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body).code).toBe('payload_too_large');
  });

  test('in chunks', async () => {
    const message = without(post('{"a":1}'), 'content-length');
    const port = await start(serviceApp({ maxBodyBytes: 5 }));
    expect(
      (await exchange(port, headOf(message, [['transfer-encoding', 'chunked']]), '7\r\n{"a":1}\r\n0\r\n\r\n')).status,
    ).toBe(413);
    expect(reached).toEqual([]);
  });
});

describe('guards', () => {
  const anonymous: IdentityClaims = { kind: 'anonymous' };
  const service: IdentityClaims = { kind: 'service', serviceId: 's' };
  const forAgent: IdentityClaims = { ...service, user: { userId: 'u', role: 'agent', tenantId: 't' } };
  const member: IdentityClaims = { kind: 'user', userId: 'u', role: 'member', tenantId: 't' };
  test.each<[string, string, IdentityClaims | undefined, number, string]>([
    ['a user', '/whoami', undefined, 200, ''],
    ['an anonymous caller on a user route', '/whoami', anonymous, 403, 'identity_not_allowed'],
    ['a service on a user route', '/whoami', forAgent, 403, 'identity_not_allowed'],
    ['the gateway on a user route', '/whoami', { kind: 'gateway' }, 403, 'identity_not_allowed'],
    ['a user with the role', '/staff', undefined, 200, ''],
    ['a user with another role', '/staff', member, 403, 'insufficient_role'],
    ['a service for a user with the role', '/staff', forAgent, 200, ''],
    ['a service without a user on a role route', '/staff', service, 403, 'insufficient_role'],
    ['an anonymous caller on a role route', '/staff', anonymous, 403, 'insufficient_role'],
    ['an anonymous caller on an open route', '/open', anonymous, 200, ''],
    ['a user on an open route', '/open', undefined, 200, ''],
    ['the gateway on an open route', '/open', { kind: 'gateway' }, 403, 'identity_not_allowed'],
    ['a service on a machine route', '/machines', service, 200, ''],
    ['the gateway on a machine route', '/machines', { kind: 'gateway' }, 200, ''],
    ['a user on a machine route', '/machines', undefined, 403, 'identity_not_allowed'],
  ])('%s, %s', async (_name, target, as, status, code) => {
    const answer = await sendMessage(await start(), get(target, as));
    expect(answer.status).toBe(status);
    if (code !== '') expect(JSON.parse(answer.body)).toMatchObject({ code, status, request_id: requestId });
  });

  test('a route without a guard fails with 500', async () => {
    const answer = await sendMessage(await start(), get('/forgotten'));
    expect(answer).toMatchObject({ status: 500, body: expect.stringContaining('without a guard') });
  });

  test.each(['/guarded', '/bare'])('an app without verifyIdentity fails with 500: %s', async (target) => {
    const app = express();
    app.get('/guarded', requireIdentity('anonymous', 'user'), (_req, res) => void res.send('open'));
    app.get('/bare', (req, res) => void res.json({ identity: req.identity }));
    app.use(oops);
    const answer = await sendMessage(await start(app), get(target));
    expect(answer).toMatchObject({ status: 500, body: expect.stringContaining('verifyIdentity') });
  });

  test('reading the identity on an exempt path fails with 500', async () => {
    const app = express();
    app.use(verifyIdentity({ verifier: verifierAt() }));
    app.get('/healthz', requireIdentity(), (_req, res) => void res.send('open'));
    app.use(oops);
    expect((await sendMessage(await start(app), get('/healthz'))).status).toBe(500);
  });

  test('an identity cannot be assigned', async () => {
    const app = express();
    app.use((req, _res, next) => {
      Object.assign(req, { identity: { kind: 'user' } });
      next();
    });
    app.use(oops);
    expect((await sendMessage(await start(app), get('/whoami'))).status).toBe(500);
  });

  test('requireRole throws without a role', () => {
    expect(() => requireRole()).toThrow(RangeError);
  });
});

describe('the verified URL is the routed URL', () => {
  test('a rewrite before verifyIdentity fails with 500', async () => {
    const app = express();
    app.use((req, _res, next) => {
      req.url = '/whoami';
      next();
    });
    app.use(serviceApp());
    app.use(oops);
    expect((await sendMessage(await start(app), get('/open'))).status).toBe(500);
    expect(reached).toEqual([]);
  });

  test.each(['/mounted/whoami', '/mounted/whoami?x=1', '/mounted?x=1', '/mounted'])(
    'a mount point is not a rewrite: %s',
    async (target) => {
      const app = express();
      app.use('/mounted', serviceApp());
      const { status } = await sendMessage(await start(app), get(target));
      expect([200, 404]).toContain(status);
      expect(reached).toEqual([target]);
    },
  );

  test('an exempt path inside a mount is not exempt', async () => {
    const app = express();
    app.use('/mounted', serviceApp());
    const answer = await sendMessage(await start(app), {
      method: 'GET',
      target: '/mounted/healthz',
      headers: [],
      body: Buffer.alloc(0),
    });
    expect(answer.status).toBe(401);
  });
});

test('an unavailable replay store is 503 with Retry-After, not 401', async () => {
  const replay: ReplayStore = {
    claim() {
      throw new IdentityUnavailable('gone');
    },
  };
  const answer = await sendMessage(
    await start(serviceApp({ verifier: verifierAt(undefined, { replay }) })),
    get('/whoami'),
  );
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toBe('1');
  expect(answer.headers.has('x-identity-refused')).toBe(false);
  expect(answer.headers.get('x-identity-unavailable')).toBe('unavailable');
  expect(JSON.parse(answer.body).code).toBe('identity_unavailable');
  expect(reached).toEqual([]);
});

test('an unexpected verifier error goes to the error handler', async () => {
  const replay: ReplayStore = { claim: () => Promise.reject(new Error('a bug')) };
  const answer = await sendMessage(
    await start(serviceApp({ verifier: verifierAt(undefined, { replay }) })),
    get('/whoami'),
  );
  expect(answer).toMatchObject({ status: 500, body: 'a bug' });
});

test('the service survives a client that disconnects before its body ends', async () => {
  const listening = await listen(serviceApp());
  open = listening;
  const arrived = new Promise((resolve) => listening.server.once('request', resolve));
  const socket = connect(listening.port, '127.0.0.1');
  socket.write(`${headOf(post('{"a":1}'))}{"a`);
  await arrived;
  socket.destroy();
  expect((await sendMessage(listening.port, genuine({ target: '/whoami' }))).status).toBe(200);
});

test('a request is answered when onRefused throws', async () => {
  const app = express();
  const onRefused = () => {
    throw new Error('a bug');
  };
  app.use(verifyIdentity({ verifier: verifierAt(), onRefused }));
  app.use(oops);
  expect(await sendMessage(await start(app), withHeader(get('/whoami'), 'x-user-id', 'root'))).toMatchObject({
    status: 500,
    body: 'a bug',
  });
});

test("the response shows the service's own request id", async () => {
  const app = express();
  app.use((_req, res, next) => {
    res.setHeader('x-request-id', requestId.replace('01a2', '0fff'));
    next();
  });
  app.use(serviceApp());
  const answer = await sendMessage(await start(app), withHeader(get('/whoami'), 'x-user-id', 'root'));
  expect(answer.headers.get('x-request-id')).toBe(requestId.replace('01a2', '0fff'));
  expect(JSON.parse(answer.body).request_id).toBe(requestId.replace('01a2', '0fff'));
});

describe('the answer to a refused request', () => {
  const answerTo = async (message: Message) => {
    const { status, body } = await sendMessage(await start(), message);
    const { instance, request_id } = JSON.parse(Buffer.from(body, 'latin1').toString());
    return { status, reason: refusals.join(), instance, request_id };
  };

  test.each([requestId, requestId.replace('01a2', '0fff')])('a second x-request-id: %s', async (second) => {
    const { request_id, ...rest } = await answerTo(plus(get('/whoami'), ['x-request-id', second]));
    expect(rest).toEqual({ status: 401, reason: 'header_duplicated', instance: '/whoami' });
    expect(request_id).toMatch(/^[0-9a-f-]{14}7/);
    expect([requestId, second]).not.toContain(request_id);
  });

  test('more than 256 lines', async () => {
    const lines = Array.from({ length: 256 }, (): Pair => ['y', 'z']);
    expect(await answerTo(plus(get('/whoami'), ...lines))).toMatchObject({
      reason: 'header_malformed',
      request_id: requestId,
    });
  });

  test('a long path', async () => {
    const { instance } = await answerTo(withHeader(get(`/${'a'.repeat(2000)}`), 'x-user-id', 'root'));
    expect(instance).toBe(`/${'a'.repeat(1023)}`);
  });
});

test.each<[string, Pair[]]>([
  ['one', [['x-user-id', 'root']]],
  ['many', genuine({ target: '/elsewhere' }).headers.map(([n, v]): Pair => [n, v])],
])('a refused request has no identity headers left: %s', async (_name, headers) => {
  let seen: unknown;
  const verifier = verifierAt(undefined, { replay: { claim: () => Promise.reject(new Error('a bug')) } });
  const app = express();
  app.use(
    verifyIdentity({ verifier, onRefused: (req) => (seen = [req.headers, req.rawHeaders, req.headersDistinct]) }),
  );
  expect(
    (await sendMessage(await start(app), { method: 'GET', target: '/x', headers, body: Buffer.alloc(0) })).status,
  ).toBe(401);
  expect(JSON.stringify(seen)).not.toMatch(/x-user|x-identity|signature/i);
});
