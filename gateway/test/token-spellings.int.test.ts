import { createHmac, createPublicKey, type webcrypto } from 'node:crypto';
import { mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const algorithms = ['ES256', 'EdDSA', 'RS256'] as const;

/** The parts of a valid token. Every change to them must be refused. */
type Parts = Readonly<{ header: string; payload: string; signature: string; key: webcrypto.JsonWebKey }>;

/** Cases from Wycheproof's JSON Web Signature file, and more. */
const spellings: [name: string, respell: (parts: Parts) => string][] = [
  ['without its signature', ({ header, payload }) => `${header}.${payload}.`],
  ['without its signature and the dot', ({ header, payload }) => `${header}.${payload}`],
  ['without its payload', ({ header, signature }) => `${header}..${signature}`],
  ['without its payload and the dot', ({ header, signature }) => `${header}.${signature}`],
  ['without its header', ({ payload, signature }) => `.${payload}.${signature}`],
  ['without its header and the dot', ({ payload, signature }) => `${payload}.${signature}`],
  ['without header and signature', ({ payload }) => `.${payload}.`],
  ['with only its payload', ({ payload }) => payload],
  ['of dots', () => '..'],
  ['with one more part, empty', ({ header, payload, signature }) => `${header}.${payload}.${signature}.`],
  ['with one more part', ({ header, payload, signature }) => `${header}.${payload}.${signature}.foo`],
  ['with one more part at the start', ({ header, payload, signature }) => `foo.${header}.${payload}.${signature}`],
  [
    'of five parts, like a JWE',
    ({ header, payload, signature }) => `${header}.${payload}.${signature}.${payload}.${signature}`,
  ],
  ['with its signature twice', ({ header, payload, signature }) => `${header}.${payload}.${signature}${signature}`],
  [
    'with another first byte of its signature',
    ({ header, payload, signature }) =>
      `${header}.${payload}.${signature.startsWith('X') ? 'Y' : 'X'}${signature.slice(1)}`,
  ],
  [
    'with another payload',
    ({ header, payload, signature }) => `${header}.${json({ ...read(payload), role: 'admin' })}.${signature}`,
  ],
  [
    'with the payload in other JSON',
    ({ header, payload, signature }) =>
      `${header}.${Buffer.from(` ${Buffer.from(payload, 'base64url')}`).toString('base64url')}.${signature}`,
  ],
  [
    'with another kid',
    ({ header, payload, signature }) => `${json({ ...read(header), kid: 'Xid' })}.${payload}.${signature}`,
  ],
  [
    'with the header in other JSON',
    ({ header, payload, signature }) =>
      `${Buffer.from(` ${Buffer.from(header, 'base64url')}`).toString('base64url')}.${payload}.${signature}`,
  ],
  [
    'with another member in its header',
    ({ header, payload, signature }) => `${json({ ...read(header), x: 1 })}.${payload}.${signature}`,
  ],
  [
    'with alg twice',
    ({ header, payload, signature }) =>
      `${Buffer.from(Buffer.from(header, 'base64url').toString().replace('{', '{"alg":"none",')).toString('base64url')}.${payload}.${signature}`,
  ],
  ['with padding', ({ header, payload, signature }) => `${header}.${payload}.${signature}=`],
  ['with padding in its header', ({ header, payload, signature }) => `${header}=.${payload}.${signature}`],
  ['with spaces in its signature', ({ header, payload, signature }) => `${header}.${payload}.    ${signature}`],
  ['with spaces in its payload', ({ header, payload, signature }) => `${header}.    ${payload}.${signature}`],
  ['with # in its header', ({ header, payload, signature }) => `${header}####.${payload}.${signature}`],
  ['with ? in its payload', ({ header, payload, signature }) => `${header}.?${payload}.${signature}`],
  ['with ? behind its signature', ({ header, payload, signature }) => `${header}.${payload}.${signature}?`],
  ['in plain base64', ({ header, payload, signature }) => `${header}.${payload}.${signature.slice(0, -4)}+/+/`],
  [
    'encoded twice',
    ({ header, payload, signature }) => Buffer.from(`${header}.${payload}.${signature}`).toString('base64url'),
  ],
  ['in quotes', ({ header, payload, signature }) => `"${header}.${payload}.${signature}"`],
  [
    'in JSON serialization',
    ({ header, payload, signature }) => JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
  ],
  [
    'in flattened JSON serialization',
    ({ header, payload, signature }) => JSON.stringify({ payload, protected: header, signature }),
  ],
  ['unsigned', ({ header, payload }) => `${json({ ...read(header), alg: 'none' })}.${payload}.`],
  [
    'unsigned, with the signature',
    ({ header, payload, signature }) => `${json({ ...read(header), alg: 'none' })}.${payload}.${signature}`,
  ],
  ...[
    'NONE',
    'nOnE',
    '',
    null,
    ['ES256'],
    { alg: 'ES256' },
    0,
    'HS256',
    'HS512',
    'ES256K',
    'RS1',
    'dir',
    'A128KW',
    'es256',
  ].map((alg): [string, (parts: Parts) => string] => [
    `with the algorithm ${JSON.stringify(alg)}`,
    ({ header, payload, signature }) => `${json({ ...read(header), alg })}.${payload}.${signature}`,
  ]),
  ...(['pem', 'trimmed pem', 'der', 'jwk', 'nothing'] as const).map((form): [string, (parts: Parts) => string] => [
    `with an HMAC by the public key as ${form}`,
    ({ header, payload, key }) => {
      const input = `${json({ ...read(header), alg: 'HS256' })}.${payload}`;
      return `${input}.${createHmac('sha256', secretOf(key, form)).update(input).digest('base64url')}`;
    },
  ]),
];

const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;

function secretOf(jwk: webcrypto.JsonWebKey, form: 'pem' | 'trimmed pem' | 'der' | 'jwk' | 'nothing'): string | Buffer {
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const pem = () => key.export({ type: 'spki', format: 'pem' }).toString();
  const forms = {
    pem,
    'trimmed pem': () => pem().trimEnd(),
    der: () => key.export({ type: 'spki', format: 'der' }),
    jwk: () => JSON.stringify(jwk),
    nothing: () => '',
  };
  return forms[form]();
}

describe.each(algorithms)('a valid %s token', (alg) => {
  let gateway: GatewayUnderTest;
  let signer: TestIssuer;
  let token: string;
  beforeAll(async () => {
    signer = await mintIssuer({ alg });
    gateway = await gatewayUnderTest({
      edits: [
        ['algorithms: [ES256]', `algorithms: [${algorithms.join()}]`],
        ['trustedProxies: []', 'trustedProxies: ["127.0.0.0/8"]'],
      ],
      answerKeys: (_req, res) => void res.end(JSON.stringify(signer.jwks)),
    });
    token = await signer.accessToken();
  });
  afterAll(() => gateway.close());

  let asked = 0;
  /** Uses a new address for each request, since one address may send 600 bad tokens a minute. */
  async function ask(text: string): Promise<string> {
    asked += 1;
    const { status, code, headers } = await gateway.raw(
      `GET /v1/things/1 HTTP/1.1\r\n<host>\r\nX-Forwarded-For: 10.0.${asked >> 8}.${asked & 255}\r\nAuthorization: Bearer ${text}\r\n<close>\r\n\r\n`,
    );
    if (status === 401) expect(headers['www-authenticate']).toMatch(/^Bearer error="invalid_token"/);
    return code === undefined ? String(status) : `${status} ${code}`;
  }

  test.each(spellings)('%s is refused', async (_name, respell) => {
    const [header = '', payload = '', signature = ''] = token.split('.');
    const parts = { header, payload, signature, key: signer.jwks.keys[0] as webcrypto.JsonWebKey };
    const before = gateway.upstream.requests.length;
    expect(await ask(respell(parts))).toMatch(/^(?:401 token_[a-z_]+|400 invalid_request)$/);
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test('passes, but is refused with any one character changed or inserted', async () => {
    expect(await ask(token)).toBe('200');
    const before = gateway.upstream.requests.length;
    const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=~+/');
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), character, fc.nat(1), async (at, put, left) => {
        const text = token.slice(0, at) + put + token.slice(at + left);
        fc.pre(text !== token);
        expect(await ask(text)).toMatch(/^(?:401 token_[a-z_]+|400 invalid_request)$/);
      }),
    );
    expect(gateway.upstream.requests.length).toBe(before);
  });
});
