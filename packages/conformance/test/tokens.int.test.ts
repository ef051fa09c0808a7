import { createHash, createPublicKey, type JsonWebKeyInput } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { freePorts } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { NotTestable, runTokenConformance } from '../src/index.ts';

type Settings = Readonly<{ issuer: string; keysUrl: string; audience: string; header: string }>;
type Verify = (token: string, settings: Settings) => Promise<JWTPayload> | JWTPayload;
type CheckRequest = (claims: JWTPayload, request: IncomingMessage, body: Buffer) => boolean;

const keysOf = ({ keysUrl }: Settings) =>
  (sets[keysUrl] ??= createRemoteJWKSet(new URL(keysUrl), { cooldownDuration: 0 }));
const sets: Record<string, ReturnType<typeof createRemoteJWKSet>> = {};

const correct: Verify = async (token, settings) => {
  const { issuer, audience } = settings;
  const options = { issuer, audience, algorithms: ['ES256'], requiredClaims: ['exp'] };
  return (await jwtVerify(token, keysOf(settings), options)).payload;
};

const checkReq: CheckRequest = ({ req }, { method, url, headers }, body) => {
  const { m, t, d, c, u, k, ...unknown } = req as Record<string, unknown>;
  return (
    [m, t, u, k, Object.keys(unknown).length].every(
      (value, at) => value === [method, url, headers.upgrade, headers['sec-websocket-key'], 0][at],
    ) &&
    d === (method === 'GET' ? undefined : createHash('sha256').update(body).digest('base64url')) &&
    c === headers['content-type']
  );
};

/** A service that verifies tokens with jose, and serves GET and POST at every path. */
async function resultsFor(
  verify: Verify,
  {
    check,
    header = 'countersign-token',
    posts = true,
  }: Partial<Settings & { check: CheckRequest; posts: boolean }> = {},
) {
  const [port = 0] = await freePorts(1);
  const origin = `http://127.0.0.1:${port}`;
  const audience = 'orders';
  const settings = {
    issuer: `${origin}/orders`,
    keysUrl: `${origin}/.well-known/identity-token-jwks.json`,
    audience,
    header,
  };
  const server = createServer(async (request, response) => {
    try {
      const body = await buffer(request);
      if (request.method !== 'GET' && !posts) throw new Error('no such method');
      const claims = await verify(String(request.headers[header]).replace(/^Bearer /, ''), settings);
      if (check?.(claims, request, body) === false) throw new Error('for another request');
      response.end('{}');
    } catch {
      response.writeHead(401).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/orders/1?a=b`);
  try {
    const { results } = await runTokenConformance({
      url,
      audience,
      header,
      keys: { host: '127.0.0.1', port },
      nowMs: Date.now,
      keysWithinMs: 1_500,
    });
    const named = (kind: string) => results.filter(({ judgement }) => judgement.kind === kind).map(({ name }) => name);
    return { faults: named('fault'), notes: named('note'), count: results.length };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const moved = ['path', 'method', 'upgrade', 'body'].map((what) => `a token for another ${what}`);

describe('conformance of a service that reads identity tokens', () => {
  test.each(['countersign-token', 'authorization'])(
    'finds nothing wrong in one that checks all, with %s',
    async (header) => {
      expect(await resultsFor(correct, { check: checkReq, header })).toEqual({ faults: [], notes: [], count: 16 });
    },
  );

  test('notes that a service without a check of req accepts replays', async () => {
    expect(await resultsFor(correct)).toMatchObject({ faults: [], notes: moved });
    const onlyMethod: CheckRequest = ({ req }, { method }) => (req as { m: string }).m === method;
    expect((await resultsFor(correct, { check: onlyMethod })).notes).toEqual(
      moved.filter((name) => !/method/.test(name)),
    );
    expect((await resultsFor(correct, { check: checkReq, posts: false })).notes).toEqual(['a token for another body']);
  });

  const verifyWith =
    (changes: object): Verify =>
    async (token, settings) => {
      const { issuer, audience } = settings;
      const options = { issuer, audience, algorithms: ['ES256'], ...changes };
      return (await jwtVerify(token, keysOf(settings), options)).payload;
    };

  test.each<[what: string, verify: Verify, faults: readonly string[]]>([
    ['no audience', verifyWith({ audience: undefined }), ['another audience']],
    ['no issuer', verifyWith({ issuer: undefined }), ["another service's issuer"]],
    [
      'neither',
      verifyWith({ issuer: undefined, audience: undefined }),
      ["another service's token", "another service's issuer", 'another audience'],
    ],
    ['no expiry', verifyWith({ clockTolerance: '1 year' }), ['a token that expired an hour ago']],
    ['no signature', (token) => decodeJwt(token), ['an altered token', 'alg: none', 'an unknown kid']],
    [
      'alg: none accepted',
      (token, settings) => (decodeProtectedHeader(token).alg === 'none' ? decodeJwt(token) : correct(token, settings)),
      ['alg: none'],
    ],
    [
      'the public key as a secret of HS256',
      async (token, settings) => {
        if (decodeProtectedHeader(token).alg !== 'HS256') return correct(token, settings);
        const { keys } = (await (await fetch(settings.keysUrl)).json()) as { keys: [JsonWebKeyInput['key']] };
        const pem = createPublicKey({ key: keys[0], format: 'jwk' }).export({ format: 'pem', type: 'spki' });
        return (await jwtVerify(token, Buffer.from(pem), { algorithms: ['HS256'] })).payload;
      },
      ['HS256 with the public key'],
    ],
  ])('finds a service that checks %s', async (_what, verify, faults) => {
    const found = (await resultsFor(verify, { check: checkReq })).faults;
    expect(found).toEqual(expect.arrayContaining([...faults]));
    if (faults[0] !== 'an altered token') expect(found).toHaveLength(faults.length);
  });

  test('says that a service cannot be tested if it refuses a valid token', async () => {
    await expect(resultsFor(verifyWith({ issuer: 'https://elsewhere.test' }))).rejects.toThrow(NotTestable);
  });
});
