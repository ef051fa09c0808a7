import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { calculateThumbprint, generateKeyPair as generateDpopKeys, generateProof } from 'dpop';
import { type DpopClient, dpopClient } from './dpop-client.ts';
import { type Ask, asker, dpopGateway, origin } from './dpop-gateway.ts';
import type { GatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const path = '/v1/things/1';
const url = origin + path;

describe('a token that is bound to a key', () => {
  let gateway: GatewayUnderTest;
  let clock: { aheadMs: number };
  let ask: ReturnType<typeof asker>;
  let client: DpopClient;
  let other: DpopClient;
  let token: string;
  let unbound: string;
  beforeAll(async () => {
    ({ gateway, clock } = await dpopGateway());
    ask = asker(gateway);
    client = dpopClient();
    other = dpopClient();
    token = await gateway.issuer.accessToken({ cnf: { jkt: client.thumbprint } });
    unbound = await gateway.issuer.accessToken();
  });
  afterAll(() => gateway.close());

  const good = (claims = {}, header = {}) => client.proof({ url, token }, claims, header);
  async function refused(asked: Ask) {
    const before = gateway.upstream.requests.length;
    const answer = await ask(asked);
    expect(gateway.upstream.requests.length).toBe(before);
    return answer;
  }

  describe('passes with a proof of its key', () => {
    test.each(['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'] as const)('signed with %s', async (alg) => {
      const holder = dpopClient(alg);
      const bound = await gateway.issuer.accessToken({ cnf: { jkt: holder.thumbprint } });
      const answer = await ask({ auth: `DPoP ${bound}`, proofs: [holder.proof({ url, token: bound })] });
      expect(answer.status).toBe(200);
      const { headers } = gateway.upstream.last();
      expect(headers['x-identity']).toBe('user');
      expect(headers['x-identity-context']).toContain(`jkt="${holder.thumbprint}"`);
      expect(headers).not.toHaveProperty('authorization');
      expect(headers).not.toHaveProperty('dpop');
    });

    test.each(['ES256', 'Ed25519', 'RS256', 'PS256'] as const)('made by the npm package dpop, with %s', async (alg) => {
      const keys = await generateDpopKeys(alg);
      const bound = await gateway.issuer.accessToken({ cnf: { jkt: await calculateThumbprint(keys.publicKey) } });
      const proof = await generateProof(keys, url, 'GET', undefined, bound);
      expect((await ask({ auth: `DPoP ${bound}`, proofs: [proof] })).status).toBe(200);
    });

    test.each<[name: string, make: () => Ask]>([
      ['with the scheme in lower case', () => ({ auth: `dpop ${token}`, proofs: [good()] })],
      [
        'for a path with a query that htu omits',
        () => ({ path: `${path}?a=1`, auth: `DPoP ${token}`, proofs: [good()] }),
      ],
      [
        'with a query and a fragment in htu, which are ignored',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ htu: `${url}?b=2#c` })] }),
      ],
      [
        'with scheme and host in upper case',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ htu: `HTTP://GATEWAY.TEST${path}` })] }),
      ],
      [
        'with the default port',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ htu: `http://gateway.test:80${path}` })] }),
      ],
      [
        'with an unreserved character escaped',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ htu: `${origin}/v1/%74hings/1` })] }),
      ],
      [
        'with an escape in lower case',
        () => ({
          path: '/v1/things/%C3%BC',
          auth: `DPoP ${token}`,
          proofs: [good({ htu: `${origin}/v1/things/%c3%bc` })],
        }),
      ],
      [
        'for the address before a rewrite',
        () => ({ path: '/v2/things/1', auth: `DPoP ${token}`, proofs: [good({ htu: `${origin}/v2/things/1` })] }),
      ],
      [
        'made almost a minute ago',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ iat: Math.floor(Date.now() / 1000) - 58 })] }),
      ],
      [
        'made by a clock that is slightly ahead',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ iat: Math.floor(Date.now() / 1000) + 4 })] }),
      ],
      [
        'for HEAD',
        () => ({ method: 'HEAD', auth: `DPoP ${token}`, proofs: [client.proof({ method: 'HEAD', url, token })] }),
      ],
      [
        'with a nonce that the gateway did not ask for',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ nonce: 'x' })] }),
      ],
      ['with unknown members', () => ({ auth: `DPoP ${token}`, proofs: [good({ extra: [1] }, { kid: 'mine' })] })],
      [
        'on a route that requires a bound token',
        () => ({ path: '/v1/bound', auth: `DPoP ${token}`, proofs: [good({ htu: `${origin}/v1/bound` })] }),
      ],
    ])('%s', async (_name, make) => {
      expect((await ask(make())).status).toBe(200);
    });

    test('uses the cached token for each new proof', async () => {
      const before = await gateway.admin('/metrics').then((answer) => answer.text());
      for (let count = 0; count < 5; count += 1)
        expect((await ask({ auth: `DPoP ${token}`, proofs: [good()] })).status).toBe(200);
      const after = await gateway.admin('/metrics').then((answer) => answer.text());
      const misses = (text: string) =>
        Number(/countersign_token_cache_lookups_total\{result="miss"\} (\d+)/.exec(text)?.[1]);
      expect(misses(after)).toBe(misses(before));
    });
  });

  const encode = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const now = () => Math.floor(Date.now() / 1000);
  const header = () => ({ typ: 'dpop+jwt', alg: 'ES256', jwk: client.jwk });
  const payload = () => ({ jti: randomUUID(), htm: 'GET', htu: url, iat: now(), ath: 'x' });
  const respelled = (proof: string) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    return proof.slice(0, -1) + alphabet[alphabet.indexOf(proof.at(-1) ?? '') ^ 1];
  };
  const rsa1024 = () => generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });

  type Case = [name: string, make: () => string | readonly string[], code: string, status?: number];
  const invalid: Case[] = [
    ['another key’s proof', () => other.proof({ url, token }), 'token_key_mismatch'],
    [
      'another key’s proof with this key’s jwk',
      () => other.proof({ url, token }, {}, { jwk: client.jwk }),
      'dpop_proof_invalid',
    ],
    ['a proof for another method', () => good({ htm: 'POST' }), 'dpop_proof_mismatch'],
    ['a proof for the method in lower case', () => good({ htm: 'get' }), 'dpop_proof_mismatch'],
    ['a proof for HEAD', () => good({ htm: 'HEAD' }), 'dpop_proof_mismatch'],
    ['a proof for another path', () => good({ htu: `${origin}/v1/things/2` }), 'dpop_proof_mismatch'],
    ['a proof for the path with a trailing slash', () => good({ htu: `${url}/` }), 'dpop_proof_mismatch'],
    ['a proof for the path in upper case', () => good({ htu: `${origin}/v1/THINGS/1` }), 'dpop_proof_mismatch'],
    ['a proof for an escaped slash', () => good({ htu: `${origin}/v1/things%2F1` }), 'dpop_proof_mismatch'],
    ['a proof for a path with dots', () => good({ htu: `${origin}/v1/x/../things/1` }), 'dpop_proof_mismatch'],
    ['a proof for the path without an origin', () => good({ htu: path }), 'dpop_proof_mismatch'],
    ['a proof for another origin', () => good({ htu: `http://evil.test${path}` }), 'dpop_proof_mismatch'],
    [
      'a proof for a host that begins with our name',
      () => good({ htu: `http://gateway.test.evil.test${path}` }),
      'dpop_proof_mismatch',
    ],
    ['a proof for another port', () => good({ htu: `http://gateway.test:81${path}` }), 'dpop_proof_mismatch'],
    ['a proof for https', () => good({ htu: `https://gateway.test${path}` }), 'dpop_proof_mismatch'],
    ['a proof for ws', () => good({ htu: `ws://gateway.test${path}` }), 'dpop_proof_mismatch'],
    [
      'a proof with a user in its address',
      () => good({ htu: `http://gateway.test@evil.test${path}` }),
      'dpop_proof_mismatch',
    ],
    [
      'a proof with a backslash in its address',
      () => good({ htu: 'http://gateway.test\\v1\\things\\1' }),
      'dpop_proof_mismatch',
    ],
    ['a proof with a space before its address', () => good({ htu: ` ${url}` }), 'dpop_proof_mismatch'],
    ['a proof with a list of addresses', () => good({ htu: [url] }), 'dpop_proof_mismatch'],
    ['a proof for another token', () => client.proof({ url, token: unbound }), 'dpop_proof_mismatch'],
    ['a proof for no token', () => client.proof({ url }), 'dpop_proof_mismatch'],
    ['an old proof', () => good({ iat: now() - 66 }), 'dpop_proof_expired'],
    ['a proof from the future', () => good({ iat: now() + 8 }), 'dpop_proof_expired'],
    ['a proof without iat', () => good({ iat: undefined }), 'dpop_proof_invalid'],
    ['a proof whose iat is a string', () => good({ iat: String(now()) }), 'dpop_proof_invalid'],
    ['a proof whose iat is too large', () => good({ iat: 1e308 }), 'dpop_proof_invalid'],
    ['a proof without jti', () => good({ jti: undefined }), 'dpop_proof_invalid'],
    ['a proof with an empty jti', () => good({ jti: '' }), 'dpop_proof_invalid'],
    ['a proof whose jti is a number', () => good({ jti: 7 }), 'dpop_proof_invalid'],
    ['a proof whose jti has a line break', () => good({ jti: 'a\r\nb' }), 'dpop_proof_invalid'],
    ['a proof with a long jti', () => good({ jti: 'a'.repeat(257) }), 'dpop_proof_invalid'],
    ['typ JWT', () => good({}, { typ: 'JWT' }), 'dpop_proof_invalid'],
    ['typ at+jwt', () => good({}, { typ: 'at+jwt' }), 'dpop_proof_invalid'],
    ['no typ', () => good({}, { typ: undefined }), 'dpop_proof_invalid'],
    ['the access token as a proof', () => token, 'dpop_proof_invalid'],
    ['alg none', () => `${encode({ ...header(), alg: 'none' })}.${encode(payload())}.`, 'dpop_proof_invalid'],
    ['alg none with a signature', () => good({}, { alg: 'none' }), 'dpop_proof_invalid'],
    [
      'HS256 with an oct key',
      () => {
        const key = 'a-key-of-thirty-two-bytes-or-more';
        const jwk = { kty: 'oct', k: encode(key) };
        const signed = `${encode({ ...header(), alg: 'HS256', jwk })}.${encode(payload())}`;
        return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
      },
      'dpop_proof_invalid',
    ],
    ['ES256 with an oct key', () => good({}, { jwk: { kty: 'oct', k: 'AAAA' } }), 'dpop_proof_invalid'],
    ['an unlisted alg', () => good({}, { alg: 'ES512' }), 'dpop_proof_invalid'],
    ['an alg of another curve', () => good({}, { alg: 'ES384' }), 'dpop_proof_invalid'],
    ['an alg that is a list', () => good({}, { alg: ['ES256'] }), 'dpop_proof_invalid'],
    ['the private key as jwk', () => good({}, { jwk: client.privateJwk }), 'dpop_proof_invalid'],
    ['no jwk', () => good({}, { jwk: undefined }), 'dpop_proof_invalid'],
    ['a jwk that is null', () => good({}, { jwk: null }), 'dpop_proof_invalid'],
    ['a jwk that is a string', () => good({}, { jwk: JSON.stringify(client.jwk) }), 'dpop_proof_invalid'],
    ['a jwk for encryption', () => good({}, { jwk: { ...client.jwk, use: 'enc' } }), 'dpop_proof_invalid'],
    ['a jwk off its curve', () => good({}, { jwk: { ...client.jwk, x: client.jwk.y } }), 'dpop_proof_invalid'],
    [
      'a jwk with base64 padding',
      () => good({}, { jwk: { ...client.jwk, x: `${client.jwk.x}=` } }),
      'dpop_proof_invalid',
    ],
    ['an RSA key of 1024 bits', () => good({}, { alg: 'RS256', jwk: rsa1024() }), 'dpop_proof_invalid'],
    [
      'an ed25519 key of small order',
      () => good({}, { alg: 'EdDSA', jwk: { kty: 'OKP', crv: 'Ed25519', x: encode('\0'.repeat(32)) } }),
      'dpop_proof_invalid',
    ],
    ['jku', () => good({}, { jku: 'http://evil.test/keys' }), 'dpop_proof_invalid'],
    ['x5u', () => good({}, { x5u: 'http://evil.test/cert' }), 'dpop_proof_invalid'],
    ['x5c', () => good({}, { x5c: ['AAAA'] }), 'dpop_proof_invalid'],
    ['crit', () => good({}, { crit: ['exp'] }), 'dpop_proof_invalid'],
    ['an empty crit', () => good({}, { crit: [] }), 'dpop_proof_invalid'],
    ['b64', () => good({}, { b64: false }), 'dpop_proof_invalid'],
    ['non-canonical base64url', () => respelled(good()), 'dpop_proof_invalid'],
    ['base64 padding', () => `${good()}=`, 'dpop_proof_invalid'],
    [
      'a changed payload',
      () => good().replace(/\.[^.]+\./, `.${encode({ ...payload(), ath: undefined })}.`),
      'dpop_proof_mismatch',
    ],
    ['two parts', () => good().split('.').slice(0, 2).join('.'), 'dpop_proof_invalid'],
    ['four parts', () => `${good()}.AAAA`, 'dpop_proof_invalid'],
    ['an empty header', () => '', 'dpop_proof_invalid'],
    ['two proofs in one header', () => `${good()}, ${good()}`, 'dpop_proof_invalid'],
    ['two proofs in one header, joined', () => `${good()},${good()}`, 'dpop_proof_invalid'],
    ['an oversized proof', () => good({ padding: 'x'.repeat(4096) }), 'dpop_proof_invalid'],
    [
      'a duplicate name in the payload',
      () => client.signText(JSON.stringify(header()), `{"htm":"POST",${JSON.stringify(payload()).slice(1)}`),
      'dpop_proof_invalid',
    ],
    [
      'a duplicate name in the jwk',
      () =>
        client.signText(JSON.stringify(header()).replace('"kty":', '"kty":"oct","kty":'), JSON.stringify(payload())),
      'dpop_proof_invalid',
    ],
    ['a payload that is a list', () => client.signText(JSON.stringify(header()), '[]'), 'dpop_proof_invalid'],
    ['no proof', () => [], 'token_proof_missing'],
    ['two DPoP headers', () => [good(), good()], 'invalid_request', 400],
  ];
  const oauthError = (code: string) =>
    code.startsWith('dpop_') ? 'invalid_dpop_proof' : code.startsWith('token_') ? 'invalid_token' : undefined;

  test.each(invalid)('is refused with %s', async (_name, make, code, status = 401) => {
    const made = make();
    const answer = await refused({ auth: `DPoP ${token}`, proofs: typeof made === 'string' ? [made] : made });
    expect([answer.status, answer.code]).toEqual([status, code]);
    const error = oauthError(code);
    if (error !== undefined) expect(answer.headers['www-authenticate']).toMatch(challengeOf(error));
  });

  const presented: [name: string, make: () => Ask | Promise<Ask>, status: number, code: string, challenge?: RegExp][] =
    [
      ['as Bearer', () => ({ auth: `Bearer ${token}` }), 401, 'token_proof_missing', challengeOf('invalid_token')],
      [
        'as Bearer with its proof',
        () => ({ auth: `Bearer ${token}`, proofs: [good()] }),
        401,
        'token_proof_missing',
        challengeOf('invalid_token'),
      ],
      [
        'as Bearer on a route that requires a bound token',
        () => ({ path: '/v1/bound', auth: `Bearer ${token}` }),
        401,
        'token_proof_missing',
        challengeOf('invalid_token'),
      ],
      [
        'on an optional route as Bearer',
        () => ({ path: '/v1/maybe', auth: `Bearer ${token}` }),
        401,
        'token_proof_missing',
      ],
      [
        'on an optional route without a proof',
        () => ({ path: '/v1/maybe', auth: `DPoP ${token}` }),
        401,
        'token_proof_missing',
      ],
      [
        'with two spaces',
        () => ({ auth: `DPoP  ${token}`, proofs: [good()] }),
        400,
        'invalid_request',
        /^DPoP error="invalid_request"$/,
      ],
      ['with a tab', () => ({ auth: `DPoP\t${token}`, proofs: [good()] }), 400, 'invalid_request'],
      ['in a list', () => ({ auth: `DPoP ${token}, DPoP ${token}`, proofs: [good()] }), 400, 'invalid_request'],
      [
        'in a list with Bearer',
        () => ({ auth: `DPoP ${token}, Bearer ${unbound}`, proofs: [good()] }),
        400,
        'invalid_request',
      ],
      ['when the header has only the scheme', () => ({ auth: 'DPoP', proofs: [good()] }), 400, 'invalid_request'],
      ['as a parameter', () => ({ auth: `DPoP token="${token}"`, proofs: [good()] }), 400, 'invalid_request'],
      [
        'in two headers',
        () => ({ auth: `DPoP ${token}`, proofs: [good()], lines: `Authorization: Bearer ${unbound}\r\n` }),
        400,
        'invalid_request',
      ],
      [
        'with a scheme that starts with DPoP',
        () => ({ auth: `DPoP2 ${token}`, proofs: [good()] }),
        401,
        'token_missing',
      ],
      [
        'when there is a proof but no token',
        () => ({ proofs: [good()] }),
        401,
        'token_missing',
        /^Bearer resource_metadata="[^"]+"$/,
      ],
      [
        'with a proof that Connection names',
        () => ({ auth: `DPoP ${token}`, proofs: [good()], lines: 'Connection: dpop\r\n' }),
        401,
        'token_proof_missing',
      ],
      [
        'with a proof in a header of another spelling',
        () => ({ auth: `DPoP ${token}`, lines: `D_PoP: ${good()}\r\n` }),
        401,
        'token_proof_missing',
      ],
      [
        'with another Host and a proof for it',
        () => ({ host: 'evil.test', auth: `DPoP ${token}`, proofs: [good({ htu: `http://evil.test${path}` })] }),
        421,
        'misdirected_request',
      ],
      [
        'with another forwarded host and a proof for it',
        () => ({
          auth: `DPoP ${token}`,
          proofs: [good({ htu: `https://evil.test${path}` })],
          lines: 'X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: https\r\nForwarded: host=evil.test\r\n',
        }),
        401,
        'dpop_proof_mismatch',
      ],
      [
        'with a proof for GET on a HEAD request',
        () => ({ method: 'HEAD', auth: `DPoP ${token}`, proofs: [good()] }),
        401,
        undefined as never,
      ],
      [
        'for a GET overridden to POST',
        () => ({ auth: `DPoP ${token}`, proofs: [good({ htm: 'POST' })], lines: 'X-HTTP-Method-Override: POST\r\n' }),
        401,
        'dpop_proof_mismatch',
      ],
      [
        'with a proof for the rewritten path',
        () => ({ path: '/v2/things/1', auth: `DPoP ${token}`, proofs: [good()] }),
        401,
        'dpop_proof_mismatch',
      ],
      [
        'when it has expired',
        async () => {
          const expired = await gateway.issuer.accessToken({ cnf: { jkt: client.thumbprint }, exp: now() - 6 });
          return { auth: `DPoP ${expired}`, proofs: [client.proof({ url, token: expired })] };
        },
        401,
        'token_expired',
        challengeOf('invalid_token'),
      ],
      [
        'with the wrong role',
        () => ({ path: '/v1/admin', auth: `DPoP ${token}`, proofs: [good({ htu: `${origin}/v1/admin` })] }),
        403,
        'insufficient_role',
        /^DPoP error="insufficient_scope"/,
      ],
    ];
  // Objects, because jest mistakes a missing parameter for a done callback.
  test.each(presented.map(([name, ...rest]) => ({ name, rest })))('is refused $name', async ({ rest }) => {
    const [make, status, code, challenge] = rest;
    const answer = await refused(await make());
    expect([answer.status, answer.code]).toEqual([status, code]);
    if (challenge !== undefined) expect(answer.headers['www-authenticate']).toMatch(challenge);
  });

  test.each<[name: string, cnf: unknown]>([
    ['a string', 'jkt'],
    ['null', null],
    ['a list', ['jkt']],
    ['empty', {}],
    ['without jkt', { kid: 'a' }],
    ['a short jkt', { jkt: 'A'.repeat(42) }],
    ['a long jkt', { jkt: 'A'.repeat(44) }],
    ['a jkt in plain base64', { jkt: `+${'A'.repeat(42)}` }],
    ['a non-canonical jkt', { jkt: `${'A'.repeat(42)}B` }],
    ['a list of jkt', { jkt: ['A'.repeat(43)] }],
    ['jkt with another member', { jkt: 'A'.repeat(43), kid: 'A'.repeat(43) }],
  ])('is refused when its cnf is %s', async (_name, cnf) => {
    const bad = await gateway.issuer.accessToken({ cnf });
    for (const auth of [`DPoP ${bad}`, `Bearer ${bad}`]) {
      const { status, code } = await refused({ auth, proofs: [client.proof({ url, token: bad })] });
      expect([status, code]).toEqual([401, 'token_claims_invalid']);
    }
  });

  test('accepts a proof once, and refuses every later use', async () => {
    const proof = good();
    expect((await ask({ auth: `DPoP ${token}`, proofs: [proof] })).status).toBe(200);
    const again = await refused({ auth: `DPoP ${token}`, proofs: [proof] });
    expect([again.status, again.code]).toEqual([401, 'dpop_proof_replayed']);
    expect(again.headers['www-authenticate']).toMatch(challengeOf('invalid_dpop_proof'));
    const jti = randomUUID();
    expect((await ask({ auth: `DPoP ${token}`, proofs: [good({ jti })] })).status).toBe(200);
    expect((await refused({ auth: `DPoP ${token}`, proofs: [good({ jti, iat: now() - 1 })] })).code).toBe(
      'dpop_proof_replayed',
    );
  });

  test('scopes a jti to its key, and a bad signature does not use it up', async () => {
    const jti = randomUUID();
    const foreign = await gateway.issuer.accessToken({ cnf: { jkt: other.thumbprint } });
    expect(
      (await ask({ auth: `DPoP ${foreign}`, proofs: [other.proof({ url, token: foreign }, { jti })] })).status,
    ).toBe(200);
    const forged = other.proof({ url, token }, { jti }, { jwk: client.jwk });
    expect((await refused({ auth: `DPoP ${token}`, proofs: [forged] })).code).toBe('dpop_proof_invalid');
    expect((await ask({ auth: `DPoP ${token}`, proofs: [good({ jti })] })).status).toBe(200);
  });

  test('is refused within a second of its revocation, even with a valid proof', async () => {
    const revoked = await gateway.issuer.accessToken({ sid: 'bound-1', cnf: { jkt: client.thumbprint } });
    const call = () => ask({ auth: `DPoP ${revoked}`, proofs: [client.proof({ url, token: revoked })] });
    expect((await call()).status).toBe(200);
    gateway.issuerServer.revoke(feedItem('session', { sid: 'bound-1' }));
    await eventually(async () => {
      const { status, code, headers } = await call();
      expect([status, code]).toEqual([401, 'token_revoked']);
      expect(headers['www-authenticate']).toMatch(challengeOf('invalid_token'));
    }, 2_000);
  });

  test('accepts one of 20 concurrent uses of a proof', async () => {
    const proof = good();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask({ auth: `DPoP ${token}`, proofs: [proof] })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set([undefined, 'dpop_proof_replayed']));
  });

  test('refuses a used proof until it expires', async () => {
    const proof = good();
    expect((await ask({ auth: `DPoP ${token}`, proofs: [proof] })).status).toBe(200);
    const codes = new Set<string | undefined>();
    for (const aheadMs of [10_000, 59_000, 63_000, 64_500, 66_000, 80_000, 63_000, 0]) {
      clock.aheadMs = aheadMs;
      codes.add((await refused({ auth: `DPoP ${token}`, proofs: [proof] })).code);
    }
    clock.aheadMs = 0;
    expect(codes).toEqual(new Set(['dpop_proof_replayed', 'dpop_proof_expired']));
  });
});

function challengeOf(error: string): RegExp {
  const algs = `algs="ES256 ES384 EdDSA Ed25519 RS256 PS256"`;
  return new RegExp(`^DPoP error="${error}", error_description="[^"]+", ${algs}, resource_metadata="[^"]+"$`);
}

describe('a route that requires bound tokens', () => {
  let gateway: GatewayUnderTest;
  let ask: ReturnType<typeof asker>;
  beforeAll(async () => {
    ({ gateway } = await dpopGateway());
    ask = asker(gateway);
  });
  afterAll(() => gateway.close());

  test('offers only DPoP in its challenge', async () => {
    const { status, code, headers } = await ask({ path: '/v1/bound' });
    expect([status, code]).toEqual([401, 'token_missing']);
    expect(headers['www-authenticate']).toMatch(/^DPoP algs="ES256 ES384 EdDSA Ed25519 RS256 PS256", resource_/);
  });

  test.each([
    ['/v1/bound', 'Bearer'],
    ['/v1/bound-maybe', 'Bearer'],
    ['/v1/bound', 'DPoP'],
    ['/v1/things/1', 'DPoP'],
  ])('refuses a token without a key at %s as %s', async (target, scheme) => {
    const token = await gateway.issuer.accessToken();
    const proofs = [dpopClient().proof({ url: `${origin}${target}`, token })];
    const answer = await ask({ path: target, auth: `${scheme} ${token}`, proofs });
    expect([answer.status, answer.code]).toEqual([401, 'token_unbound']);
    expect(answer.headers['www-authenticate']).toMatch(challengeOf('invalid_token'));
    expect(gateway.upstream.requests).toHaveLength(0);
  });

  test('lets an anonymous caller pass if a token is optional', async () => {
    expect((await ask({ path: '/v1/bound-maybe' })).status).toBe(200);
    expect(gateway.upstream.last().headers['x-identity']).toBe('anonymous');
  });
});

describe('a WebSocket with a bound token', () => {
  let gateway: GatewayUnderTest;
  let token: string;
  const client = dpopClient();
  beforeAll(async () => {
    ({ gateway } = await dpopGateway({
      upstream: {
        upgrade: (_request, socket) =>
          socket.end('HTTP/1.1 426 Upgrade Required\r\nX-Arrived: yes\r\nContent-Length: 0\r\n\r\n'),
      },
    }));
    token = await gateway.issuer.accessToken({ cnf: { jkt: client.thumbprint } });
  });
  afterAll(() => gateway.close());

  const target = '/v1/socket';
  const handshake = (lines: string) =>
    gateway.raw(
      `GET ${target} HTTP/1.1\r\n<host>\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines}\r\n`,
    );
  const proof = (claims = {}) => client.proof({ url: origin + target, token }, claims);

  test('reaches its service with a proof for the http address, once', async () => {
    const text = `Authorization: DPoP ${token}\r\nDPoP: ${proof()}\r\n`;
    const answer = await handshake(text);
    expect([answer.status, answer.headers['x-arrived']]).toEqual([426, 'yes']);
    expect(gateway.upstream.last().headers['x-identity-context']).toContain(`jkt="${client.thumbprint}"`);
    const again = await handshake(text);
    expect([again.status, again.code]).toEqual([401, 'dpop_proof_replayed']);
  });

  test.each<[name: string, make: () => string, code: string]>([
    ['without a proof', () => `Authorization: DPoP ${token}\r\n`, 'token_proof_missing'],
    ['as Bearer', () => `Authorization: Bearer ${token}\r\nDPoP: ${proof()}\r\n`, 'token_proof_missing'],
    [
      'among the subprotocols',
      () => `Sec-WebSocket-Protocol: countersign, bearer.${token}\r\nDPoP: ${proof()}\r\n`,
      'token_proof_missing',
    ],
    [
      'with a proof for another path',
      () => `Authorization: DPoP ${token}\r\nDPoP: ${proof({ htu: url })}\r\n`,
      'dpop_proof_mismatch',
    ],
  ])('is refused %s', async (_name, make, code) => {
    const before = gateway.upstream.requests.length;
    const answer = await handshake(make());
    expect([answer.status, answer.code]).toEqual([401, code]);
    expect(answer.headers['www-authenticate']).toMatch(/^DPoP error="/);
    expect(gateway.upstream.requests.length).toBe(before);
  });
});

describe('a token endpoint', () => {
  let gateway: GatewayUnderTest;
  let ask: ReturnType<typeof asker>;
  let client: DpopClient;
  beforeAll(async () => {
    ({ gateway } = await dpopGateway());
    ask = asker(gateway);
    client = dpopClient('EdDSA');
  });
  afterAll(() => gateway.close());

  const at = `${origin}/v1/token`;
  const post = (...proofs: string[]) =>
    ask({ method: 'POST', path: '/v1/token', proofs, lines: 'Content-Length: 0\r\n' });

  test('tells the service which key signed the proof', async () => {
    expect((await post(client.proof({ method: 'POST', url: at }))).status).toBe(200);
    const { headers } = gateway.upstream.last();
    expect(headers['x-identity']).toBe('anonymous');
    expect(headers['x-identity-context']).toBe(`ip="127.0.0.1", jkt="${client.thumbprint}"`);
    expect(headers.dpop).toBeDefined();
    const other = dpopClient();
    expect((await post(other.proof({ method: 'POST', url: at }))).status).toBe(200);
    expect(gateway.upstream.last().headers['x-identity-context']).toContain(other.thumbprint);
    expect((await post()).status).toBe(200);
    expect(gateway.upstream.last().headers['x-identity-context']).toBe('ip="127.0.0.1"');
  });

  test('ignores an access token and its hash', async () => {
    const proof = client.proof({ method: 'POST', url: at, token: 'whatever' });
    const asked = {
      method: 'POST',
      path: '/v1/token',
      auth: 'DPoP x.y.z',
      proofs: [proof],
      lines: 'Content-Length: 0\r\n',
    };
    expect((await ask(asked)).status).toBe(200);
  });

  test.each<[name: string, make: () => readonly string[], code: string]>([
    ['nonsense', () => ['nonsense'], 'invalid_dpop_proof'],
    ['an empty proof', () => [''], 'invalid_dpop_proof'],
    ['a proof for another address', () => [client.proof({ method: 'POST', url })], 'invalid_dpop_proof'],
    ['a proof for GET', () => [client.proof({ url: at })], 'invalid_dpop_proof'],
    [
      'an old proof',
      () => [client.proof({ method: 'POST', url: at }, { iat: Math.floor(Date.now() / 1000) - 70 })],
      'invalid_dpop_proof',
    ],
    [
      'a signature by another key',
      () => [dpopClient('EdDSA').proof({ method: 'POST', url: at }, {}, { jwk: client.jwk })],
      'invalid_dpop_proof',
    ],
    [
      'two proofs',
      () => [client.proof({ method: 'POST', url: at }), client.proof({ method: 'POST', url: at })],
      'invalid_request',
    ],
  ])('refuses %s with 400, and nothing reaches the service', async (_name, make, code) => {
    const before = gateway.upstream.requests.length;
    const answer = await post(...make());
    expect([answer.status, answer.code]).toEqual([400, code]);
    expect(answer.headers).not.toHaveProperty('www-authenticate');
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('accepts a proof once', async () => {
    const proof = client.proof({ method: 'POST', url: at });
    const answers = [await post(proof), await post(proof)];
    expect(answers.map(({ status, code }) => [status, code])).toEqual([
      [200, undefined],
      [400, 'invalid_dpop_proof'],
    ]);
  });

  test('passes the key of a proof on for an unbound token, for this request only', async () => {
    const token = await gateway.issuer.accessToken();
    const lines = 'Content-Length: 0\r\n';
    const ask2 = (proofs: readonly string[]) =>
      ask({ method: 'POST', path: '/v1/switch', auth: `Bearer ${token}`, proofs, lines });
    const contexts: (string | undefined)[] = [];
    for (const proofs of [[client.proof({ method: 'POST', url: `${origin}/v1/switch` })], []]) {
      expect((await ask2(proofs)).status).toBe(200);
      contexts.push(gateway.upstream.last().headers['x-identity-context']);
    }
    expect(contexts[0]).toContain(`jkt="${client.thumbprint}"`);
    expect(contexts[1]).not.toContain('jkt');
    expect((await ask2(['nonsense'])).code).toBe('invalid_dpop_proof');
  });

  test.each<[string, () => DpopClient]>([
    ['its own key', () => client],
    ['another key', () => dpopClient()],
  ])('refuses a bound token as Bearer, even with a proof by %s', async (_name, signer) => {
    const before = gateway.upstream.requests.length;
    const token = await gateway.issuer.accessToken({ cnf: { jkt: client.thumbprint } });
    const proofs = [signer().proof({ method: 'POST', url: `${origin}/v1/switch`, token })];
    const asked = {
      method: 'POST',
      path: '/v1/switch',
      auth: `Bearer ${token}`,
      proofs,
      lines: 'Content-Length: 0\r\n',
    };
    const { status, code } = await ask(asked);
    expect([status, code]).toEqual([401, 'token_proof_missing']);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('a route without forward.dpop drops a proof unread', async () => {
    const answer = await ask({ path: '/v1/open/1', proofs: ['nonsense'] });
    expect(answer.status).toBe(200);
    expect(gateway.upstream.last().headers).not.toHaveProperty('dpop');
  });

  test('never logs a proof', () => {
    expect(gateway.log.text()).not.toContain('eyJ');
  });
});
