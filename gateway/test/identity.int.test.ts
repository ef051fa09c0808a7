import {
  createVerifier,
  memoryReplay,
  secretGatewayKeys,
  secretKeyid,
  staticGatewayKeys,
  type Verifier,
} from '@countersign/identity';
import type { RecordedRequest } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

describe('the signed identity', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  let jwks: { keys: Record<string, unknown>[] };
  beforeAll(async () => {
    gateway = await gatewayUnderTest();
    token = await gateway.issuer.accessToken({ sid: 's-1', amr: ['pwd'], auth_time: 1_700_000_000 });
    jwks = (await (
      await fetch(`http://127.0.0.1:${gateway.running.ports.internal}/.well-known/jwks.json`)
    ).json()) as typeof jwks;
  });
  afterAll(() => gateway.close());

  const verifierFor = (audience: string): Verifier =>
    createVerifier({
      audience,
      keys: staticGatewayKeys(jwks),
      replay: memoryReplay({ nowMs: () => Date.now() - 60_000 }),
    });
  const verify = (verifier: Verifier, { method, target, rawHeaders, body }: RecordedRequest) =>
    verifier.verify({ method, target, rawHeaders, body });

  test('is accepted by a service, and names the caller', async () => {
    await gateway.ask('/v1/things/1?a=b', {
      token,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{}'),
    });
    await expect(verify(verifierFor('things'), gateway.upstream.last())).resolves.toEqual({
      kind: 'user',
      requestId: gateway.upstream.last().headers['x-request-id'],
      userId: '01890a5d-ac96-774b-bcce-b302099a8057',
      role: 'agent',
      tenantId: acme,
      context: {
        ip: '127.0.0.1',
        iss: 'http://issuer.test',
        sid: 's-1',
        authTime: 1_700_000_000,
        amr: ['pwd'],
        client: 'web',
      },
    });
  });

  test.each([
    ['/v1/things/1', 'GET'],
    ['/v1/things/a%20b?q=%C3%A9&x[]=1&y=a+b', 'GET'],
    ['/v1/things/', 'GET'],
    ['/v1/things/1', 'POST'],
  ] as const)('is valid for %s by %s', async (path, method) => {
    await gateway.ask(path, { token, method });
    await expect(verify(verifierFor('things'), gateway.upstream.last())).resolves.toMatchObject({ kind: 'user' });
  });

  test('is valid for a rewritten path', async () => {
    await gateway.ask('/v2/things/7?x=1', { token });
    expect(gateway.upstream.last().target).toBe('/v1/things/7?x=1');
    await expect(verify(verifierFor('things'), gateway.upstream.last())).resolves.toMatchObject({ kind: 'user' });
  });

  test('is anonymous without a token', async () => {
    await gateway.ask('/v1/open/1');
    await expect(verify(verifierFor('things'), gateway.upstream.last())).resolves.toMatchObject({ kind: 'anonymous' });
  });

  test('is valid for one service only', async () => {
    await gateway.ask('/v1/things/1', { token });
    await expect(verify(verifierFor('hashed'), gateway.upstream.last())).rejects.toMatchObject({
      name: 'IdentityRefused',
    });
  });

  test('is valid once, and for its request only', async () => {
    await gateway.ask('/v1/things/1', { token, method: 'POST', body: Buffer.from('abc') });
    const arrived = gateway.upstream.last();
    const verifier = verifierFor('things');
    for (const change of [
      { target: '/v1/things/2' },
      { target: '/v1/things/1?x' },
      { method: 'PUT' },
      { body: Buffer.from('abd') },
    ]) {
      await expect(verify(verifier, { ...arrived, ...change })).rejects.toMatchObject({ name: 'IdentityRefused' });
    }
    await verify(verifier, arrived);
    await expect(verify(verifier, arrived)).rejects.toMatchObject({ name: 'IdentityRefused' });
  });

  test('never repeats a nonce or a request id', async () => {
    const before = gateway.upstream.requests.length;
    await Promise.all(Array.from({ length: 50 }, () => gateway.ask('/v1/things/1', { token })));
    const arrived = gateway.upstream.requests.slice(before);
    const nonces = arrived.map(({ headers }) => /;nonce="([^"]+)"/.exec(headers['signature-input'] ?? '')?.[1]);
    expect(new Set(nonces).size).toBe(50);
    expect(new Set(arrived.map(({ headers }) => headers['x-request-id'])).size).toBe(50);
  });

  test('is a MAC if the upstream is configured so', async () => {
    await gateway.ask('/v1/hashed', { token, method: 'POST', body: Buffer.from('abc') });
    const secret = Buffer.from(gateway.hmacSecret);
    const keys = secretGatewayKeys([{ keyid: secretKeyid(secret), secret }]);
    const verifier = createVerifier({
      audience: 'hashed',
      keys,
      replay: memoryReplay({ nowMs: () => Date.now() - 60_000 }),
    });
    await expect(verify(verifier, gateway.upstream.last())).resolves.toMatchObject({ kind: 'user', tenantId: acme });
    await expect(verify(verifierFor('hashed'), gateway.upstream.last())).rejects.toMatchObject({
      name: 'IdentityRefused',
    });
  });

  test('authenticates the gateway to the revocation feed', async () => {
    const [question] = gateway.issuerServer.questions;
    const rawHeaders = Object.entries(question?.headers ?? {}).flatMap(([name, value]) => [name, String(value)]);
    const identity = await verifierFor('auth').verify({ method: 'GET', target: question?.target ?? '', rawHeaders });
    expect(identity.kind).toBe('gateway');
  });

  test('has its public key on the internal and the admin listener, never the private key', async () => {
    for (const port of [gateway.running.ports.internal, gateway.running.ports.admin]) {
      const answer = await fetch(`http://127.0.0.1:${port}/.well-known/jwks.json`);
      expect(await answer.json()).toEqual(jwks);
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect(jwks.keys).toHaveLength(1);
    for (const key of jwks.keys) expect(key.d).toBeUndefined();
  });
});
