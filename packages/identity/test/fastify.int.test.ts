import { afterEach, describe, expect, test } from '@jest/globals';
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { allowAnonymous, requireIdentity, requireRole, userOf, verifyIdentity } from '../src/adapters/fastify.ts';
import { genuine, type Message, plus, requestId, withHeader, without } from './forge.ts';
import { verifierAt } from './verifier.ts';
import { exchange, headOf, sendMessage } from './wire.ts';

let app: FastifyInstance | undefined;
let reached = 0;

afterEach(async () => {
  await app?.close();
  app = undefined;
  reached = 0;
});

async function start(options: FastifyServerOptions = {}): Promise<number> {
  const made = fastify({ forceCloseConnections: true, ...options });
  app = made;
  await made.register(verifyIdentity, {
    verifier: verifierAt(),
    stream: (request) => request.originalUrl === '/streamed',
  });
  made.addHook('preHandler', async () => {
    reached += 1;
  });
  made.get('/healthz', async (request) => request.headers);
  made.route({
    method: ['GET', 'POST', 'DELETE'],
    url: '/whoami',
    preHandler: requireIdentity(),
    handler: async (request) => ({ user: userOf(request).userId, body: request.body }),
  });
  made.post('/streamed', { preHandler: requireIdentity() }, async (request) => request.body);
  made.get('/staff', { preHandler: requireRole('admin') }, async () => 'staff');
  made.get('/open', { preHandler: allowAnonymous() }, async (request) => request.identity.kind);
  made.get('/forgotten', async (request) => request.identity);
  // An encapsulated plugin, as in larger services.
  await made.register(
    async (child) => void child.get('/nested', { preHandler: requireIdentity() }, async () => 'nested'),
  );
  await made.listen({ host: '127.0.0.1', port: 0 });
  const [address] = made.addresses();
  if (typeof address !== 'object') throw new Error('no port');
  return address.port;
}

const get = (target: string) => genuine({ target });
const post = (body: string) => genuine({ method: 'POST', target: '/whoami', body, contentType: 'application/json' });

describe('on a real Fastify', () => {
  test('a request from the gateway reaches its handler with the identity and the parsed body', async () => {
    const port = await start();
    expect(JSON.parse((await sendMessage(port, post('{"a":1}'))).body)).toEqual({ user: 'u-1', body: { a: 1 } });
    expect((await sendMessage(port, genuine({ target: '/nested', nonce: 'CCCCCCCCCCCCCCCCCCCCCC' }))).body).toBe(
      'nested',
    );
    const deletion = genuine({ method: 'DELETE', target: '/whoami', nonce: 'DDDDDDDDDDDDDDDDDDDDDD' });
    expect((await sendMessage(port, deletion)).status).toBe(200);
  });

  test('accepts a chunked body', async () => {
    const message = without(post('{"a":1}'), 'content-length');
    const answer = await exchange(
      await start(),
      headOf(message, [['transfer-encoding', 'chunked']]),
      '3\r\n{"a\r\n',
      '4\r\n":1}\r\n',
      '0\r\n\r\n',
    );
    expect(JSON.parse(answer.body)).toEqual({ user: 'u-1', body: { a: 1 } });
  });

  test('accepts a body without a digest on a stream path', async () => {
    const message = genuine({
      method: 'POST',
      target: '/streamed',
      body: '[1]',
      contentType: 'application/json',
      streamed: true,
    });
    expect((await sendMessage(await start(), message)).body).toBe('[1]');
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
    ['a second user', plus(get('/whoami'), ['X-User-Id', 'root']), 'header_duplicated'],
    ['an alias', plus(get('/whoami'), ['X_User_Id', 'root']), 'header_alias'],
    ['another body', { ...post('{"a":1}'), body: Buffer.from('{"a":2}') }, 'content_digest_mismatch'],
  ])('refuses before any handler: %s', async (_name, message, reason) => {
    const answer = await sendMessage(await start(), message);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('x-identity-refused')).toBe(reason);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(JSON.parse(answer.body).code).toBe('identity_refused');
    expect(reached).toBe(0);
  });

  test('a body over maxBodyBytes is answered 413', async () => {
    const port = await start({ bodyLimit: 10_000_000 });
    expect((await sendMessage(port, post(JSON.stringify('x'.repeat(1024 * 1024))))).status).toBe(413);
    expect(reached).toBe(0);
  });

  test('guards answer 403, and a route without a guard fails with 500', async () => {
    const port = await start();
    const staff = await sendMessage(port, get('/staff'));
    expect(JSON.parse(staff.body)).toMatchObject({ status: 403, code: 'insufficient_role', request_id: requestId });
    const anonymous = genuine({ target: '/whoami', as: { kind: 'anonymous' }, nonce: 'EEEEEEEEEEEEEEEEEEEEEE' });
    expect(JSON.parse((await sendMessage(port, anonymous)).body)).toMatchObject({
      status: 403,
      code: 'identity_not_allowed',
    });
    const open = genuine({ target: '/open', as: { kind: 'anonymous' }, nonce: 'FFFFFFFFFFFFFFFFFFFFFF' });
    expect((await sendMessage(port, open)).body).toBe('anonymous');
    expect((await sendMessage(port, genuine({ target: '/forgotten', nonce: 'GGGGGGGGGGGGGGGGGGGGGG' }))).status).toBe(
      500,
    );
    expect(() => requireRole()).toThrow(RangeError);
  });

  test('an exempt path has no identity headers', async () => {
    const headers = get('/healthz').headers;
    const answer = await sendMessage(await start(), {
      method: 'GET',
      target: '/healthz',
      headers,
      body: Buffer.alloc(0),
    });
    expect(answer.status).toBe(200);
    expect(answer.body).not.toMatch(/x-user|x-identity|signature/);
  });

  test.each(['POST', 'DELETE', 'OPTIONS'])('an exempt path is not exempt for %s', async (method) => {
    const answer = await sendMessage(await start(), { method, target: '/healthz', headers: [], body: Buffer.alloc(0) });
    expect(answer.status).toBe(401);
    expect(reached).toBe(0);
  });

  test('a rewritten URL fails with 500', async () => {
    const port = await start({ rewriteUrl: () => '/whoami' });
    expect((await sendMessage(port, get('/open'))).status).toBe(500);
    expect(reached).toBe(0);
  });
});
