import { beforeEach, describe, expect, test } from '@jest/globals';
import { Hono } from 'hono';
import { IdentityResponse, identityOf, requireIdentity, requireRole, verifyIdentity } from '../src/adapters/web.ts';
import { genuine, type Message, plus, withHeader, without } from './forge.ts';
import { verifierAt } from './verifier.ts';

let reached = 0;
beforeEach(() => {
  reached = 0;
});

/** A typical Hono app. */
function honoApp(): Hono {
  const app = new Hono();
  const verify = verifyIdentity({
    verifier: verifierAt(),
    maxBodyBytes: 64,
    stream: (request) => request.url.endsWith('/streamed'),
  });
  app.use(async (c, next) => {
    c.req.raw = await verify(c.req.raw);
    reached += 1;
    await next();
  });
  app.get('/healthz', (c) => c.json(c.req.header()));
  app.get('/whoami', (c) => c.json({ user: requireIdentity(c.req.raw).userId }));
  app.post('/whoami', async (c) => c.json({ user: requireIdentity(c.req.raw).userId, body: await c.req.json() }));
  app.post('/streamed', async (c) => c.text(requireIdentity(c.req.raw).userId + (await c.req.text())));
  app.get('/staff', (c) => c.text(requireRole(c.req.raw, 'admin').kind));
  app.get('/open', (c) => c.text(requireIdentity(c.req.raw, 'anonymous', 'user').kind));
  app.get('/forgotten', (c) => c.json(identityOf(c.req.raw)));
  return app;
}

function send(message: Message, app = honoApp()): Promise<Response> {
  const { method, target, headers, body } = message;
  const init = { method, headers: headers.map(([n, v]): [string, string] => [n, v]), ...(body.length > 0 && { body }) };
  return Promise.resolve(app.fetch(new Request(`http://service.test${target}`, init)));
}

const get = (target: string) => genuine({ target });
const post = (body: string) => genuine({ method: 'POST', target: '/whoami', body, contentType: 'application/json' });

describe('on a real Hono', () => {
  test('a request from the gateway reaches its handler, with its body', async () => {
    expect(await (await send(get('/whoami'))).json()).toEqual({ user: 'u-1' });
    expect(await (await send(post('{"a":1}'))).json()).toEqual({ user: 'u-1', body: { a: 1 } });
    const streamed = genuine({ method: 'POST', target: '/streamed', body: '!', streamed: true });
    expect(await (await send(streamed)).text()).toBe('u-1!');
  });

  test.each([
    ['?', '/whoami?'],
    ['an escaped query', '/whoami?q=%C3%A9%20+%2B&r=/?'],
    ['an escaped path', '/who%20ami'],
  ])('the URL yields the signed bytes: %s', async (_name, target) => {
    expect((await send(get(target))).headers.get('x-identity-refused')).toBeNull();
  });

  test.each<[string, Message, string]>([
    ['no signature', without(without(get('/whoami'), 'signature'), 'signature-input'), 'signature_missing'],
    [
      'no signature on an unknown route',
      { method: 'GET', target: '/nowhere', headers: [], body: Buffer.alloc(0) },
      'signature_missing',
    ],
    ['a captured request on another path', { ...get('/open'), target: '/whoami' }, 'signature_invalid'],
    ['another user', withHeader(get('/whoami'), 'x-user-id', 'root'), 'signature_invalid'],
    // A Headers object joins the two with a comma, which the grammar refuses.
    ['a second user', plus(get('/whoami'), ['x-user-id', 'root']), 'header_malformed'],
    ['a second signature', plus(get('/whoami'), ['signature-input', 'evil=();created=1']), 'signature_malformed'],
    ['an alias', plus(get('/whoami'), ['X_User_Id', 'root']), 'header_alias'],
    ['another body', { ...post('{"a":1}'), body: Buffer.from('{"a":2}') }, 'content_digest_mismatch'],
    ['a removed body', { ...post('{"a":1}'), body: Buffer.alloc(0) }, 'content_digest_mismatch'],
    [
      'a body without a digest',
      { ...genuine({ method: 'POST', target: '/whoami', streamed: true }), body: Buffer.from('x') },
      'content_digest_missing',
    ],
  ])('refuses before any handler: %s', async (_name, message, reason) => {
    const answer = await send(message);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('x-identity-refused')).toBe(reason);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(reached).toBe(0);
  });

  test('a body over maxBodyBytes is answered 413', async () => {
    expect((await send(post(JSON.stringify('x'.repeat(64))))).status).toBe(413);
    expect(reached).toBe(0);
  });

  test('guards answer 403', async () => {
    const anonymous = (target: string) => genuine({ target, as: { kind: 'anonymous' } });
    expect(await (await send(get('/staff'))).json()).toMatchObject({ status: 403, code: 'insufficient_role' });
    expect(await (await send(anonymous('/whoami'))).json()).toMatchObject({
      status: 403,
      code: 'identity_not_allowed',
    });
    expect(await (await send(anonymous('/open'))).text()).toBe('anonymous');
    const app = honoApp();
    app.onError((error, c) => c.text(error.message, 500));
    expect((await send(get('/forgotten'), app)).status).toBe(500);
  });

  test('an exempt path has no identity headers', async () => {
    expect(await (await send({ ...get('/healthz') })).text()).not.toMatch(/x-user|x-identity|signature/);
  });

  test.each(['POST', 'DELETE', 'OPTIONS'])('an exempt path is not exempt for %s', async (method) => {
    expect((await send({ method, target: '/healthz', headers: [], body: Buffer.alloc(0) })).status).toBe(401);
    expect(reached).toBe(0);
  });
});

test('without a framework, getResponse returns the response', async () => {
  const verify = verifyIdentity({ verifier: verifierAt() });
  const request = new Request('http://service.test/whoami');
  const error = await verify(request).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(IdentityResponse);
  expect((error as IdentityResponse).getResponse().status).toBe(401);
  expect(() => requireIdentity(request)).toThrow('no verified identity');
});
