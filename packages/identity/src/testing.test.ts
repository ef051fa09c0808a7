import { expect, test } from '@jest/globals';
import { createVerifier, staticGatewayKeys } from './index.ts';
import { type TestRequest, testGateway } from './testing.ts';

const gateway = testGateway({ audience: 'my-service' });
const verifier = createVerifier({ audience: 'my-service', keys: gateway.keys, replay: gateway.replay });

function verify(request: TestRequest, change: Record<string, string> = {}, keys = verifier) {
  const { method, path, headers, body } = gateway.signedRequest(request);
  return keys.verify({
    method,
    target: path,
    rawHeaders: Object.entries({ ...headers, ...change }).flat(),
    ...(body && { body }),
  });
}

test.each<[string, TestRequest, object]>([
  [
    'a GET as the default user',
    { path: '/things?x=1' },
    { kind: 'user', userId: 'user-1', tenantId: 'tenant-1', role: 'member' },
  ],
  ['a POST with JSON', { method: 'POST', path: '/things', json: { a: 1 } }, { kind: 'user' }],
  ['a PUT with bytes', { method: 'PUT', path: '/things', body: 'x', contentType: 'text/plain' }, { kind: 'user' }],
  ['a DELETE', { method: 'DELETE', path: '/things/1' }, { kind: 'user' }],
  [
    'another user',
    { path: '/', as: { kind: 'user', userId: 'u', role: 'admin', tenantId: 't' }, ip: '198.51.100.1' },
    { role: 'admin', context: { ip: '198.51.100.1' } },
  ],
  ['an anonymous caller', { path: '/', as: { kind: 'anonymous' } }, { kind: 'anonymous' }],
  [
    'a machine with a scope and an actor',
    {
      path: '/',
      as: {
        kind: 'client',
        clientId: 'client-1',
        tenantId: 'tenant-1',
        context: { scope: ['orders.read'], act: { sub: 'client-2', iss: 'https://issuer.example' } },
      },
    },
    {
      kind: 'client',
      clientId: 'client-1',
      tenantId: 'tenant-1',
      context: { scope: ['orders.read'], act: { sub: 'client-2', iss: 'https://issuer.example' } },
    },
  ],
  [
    'a service, with a txn-token',
    { path: '/', as: { kind: 'service', serviceId: 's' }, txnToken: 'a.b.c' },
    { kind: 'service', serviceId: 's', txnToken: 'a.b.c' },
  ],
])('signs a valid request: %s', async (_name, request, identity) => {
  await expect(verify(request)).resolves.toMatchObject(identity);
});

test('signs each request with a new nonce, and a changed request is refused', async () => {
  await verify({ path: '/' });
  await verify({ path: '/' });
  await expect(verify({ path: '/' }, { 'x-user-role': 'admin' })).rejects.toMatchObject({
    reason: 'signature_invalid',
  });
});

test('each test gateway has its own key', async () => {
  const other = testGateway({ audience: 'my-service' });
  const theirs = createVerifier({ audience: 'my-service', keys: other.keys, replay: other.replay });
  await expect(verify({ path: '/' }, {}, theirs)).rejects.toMatchObject({ reason: 'key_unknown' });
});

test('a verifier accepts its key set', async () => {
  const fromJwks = createVerifier({
    audience: 'my-service',
    keys: staticGatewayKeys(gateway.jwks),
    replay: gateway.replay,
  });
  await expect(verify({ path: '/' }, {}, fromJwks)).resolves.toMatchObject({ kind: 'user' });
});

test('works with a frozen clock', async () => {
  const nowMs = () => 1_800_000_000_500;
  const frozen = testGateway({ audience: 's', nowMs });
  const at = createVerifier({ audience: 's', keys: frozen.keys, replay: frozen.replay, nowMs });
  const { method, path, headers } = frozen.signedRequest({ path: '/' });
  await expect(at.verify({ method, target: path, rawHeaders: Object.entries(headers).flat() })).resolves.toMatchObject({
    kind: 'user',
  });
});
