import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  audience,
  componentsOf,
  edKey,
  forged,
  genuine,
  hmacKey,
  type Message,
  nowSec,
  type Pair,
  plus,
  publicKey,
  requestId,
  standardParams,
  user,
  withHeader,
  without,
} from '../../test/forge.ts';
import { deliver, verdictOn, verifierAt } from '../../test/verifier.ts';
import { createVerifier, type IdentityClaims, IdentityUnavailable, memoryReplay, staticGatewayKeys } from '../index.ts';

const service: IdentityClaims = { kind: 'service', serviceId: 'complaint-service' };
const serviceForUser: IdentityClaims = { ...service, user: { userId: 'u-1', role: 'agent', tenantId: 'acme' } };
const websocket = { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZQ==' };
const post = () =>
  genuine({ method: 'POST', target: '/v1/complaints', body: '{"a":1}', contentType: 'application/json' });
const txn = 'eyJh.eyJi.c2ln';

describe('accepts what the gateway signs', () => {
  test.each<[string, Message]>([
    ['a GET', genuine()],
    ['a GET without a query', genuine({ target: '/v1/complaints' })],
    ['a GET with an empty query', genuine({ target: '/v1/complaints?' })],
    ['a POST with a body', post()],
    ['a POST without a body', genuine({ method: 'POST' })],
    ['a DELETE without a body', genuine({ method: 'DELETE' })],
    ['a body without a media type', genuine({ method: 'PUT', body: 'x' })],
    ['an HMAC', genuine({ key: hmacKey })],
    ['an anonymous caller', genuine({ as: { kind: 'anonymous' } })],
    ['the gateway itself', genuine({ as: { kind: 'gateway' } })],
    ['a service', genuine({ as: service })],
    ['a service for a user', genuine({ as: serviceForUser, txnToken: txn })],
    ['a user with a txn-token', genuine({ txnToken: txn })],
    ['a WebSocket upgrade', genuine({ upgrade: websocket })],
    ['a path with every byte that a URL may keep', genuine({ target: "/a-._~!$&'()*+,=:@%2B%C3%A9/?x=1&y=?/" })],
    ['a GET with a media type, which is not covered without a digest', genuine({ contentType: 'text/plain' })],
  ])('%s', async (_name, message) => {
    expect(await verdictOn(message)).toBe('accepted');
  });

  test('and returns the identity', async () => {
    expect(await deliver(verifierAt(), genuine({ txnToken: txn }))).toEqual({
      kind: 'user',
      requestId,
      userId: 'u-1',
      role: 'agent',
      tenantId: 'acme',
      txnToken: txn,
      context: { ip: '192.0.2.7', ...user.context },
    });
    expect(await deliver(verifierAt(), genuine({ as: serviceForUser }))).toEqual({
      kind: 'service',
      requestId,
      serviceId: 'complaint-service',
      user: { userId: 'u-1', role: 'agent', tenantId: 'acme' },
      context: { ip: '192.0.2.7' },
    });
    const anonymous = await deliver(verifierAt(), genuine({ as: { kind: 'anonymous' } }));
    expect(anonymous).toEqual({ kind: 'anonymous', requestId, context: { ip: '192.0.2.7' } });
  });

  test('accepts a body without a digest only on a stream path', async () => {
    const streamed = genuine({ method: 'POST', body: 'anything', streamed: true });
    expect(await verdictOn(streamed, verifierAt(), { stream: true })).toBe('accepted');
    expect(await verdictOn(streamed)).toBe('content_digest_missing');
  });
});

describe('refuses a captured request', () => {
  test.each<[string, (message: Message) => Message, string]>([
    ['on another path', (m) => ({ ...m, target: '/v1/users?status=open' }), 'signature_invalid'],
    [
      'on a path that decodes to the same path',
      (m) => ({ ...m, target: '/v1/%63omplaints?status=open' }),
      'signature_invalid',
    ],
    ['with another query', (m) => ({ ...m, target: '/v1/complaints?status=closed' }), 'signature_invalid'],
    ['without its query', (m) => ({ ...m, target: '/v1/complaints' }), 'signature_invalid'],
    ['with another method', (m) => ({ ...m, method: 'HEAD' }), 'signature_invalid'],
    ['with a body', (m) => ({ ...plus(m, ['content-length', '1']), body: Buffer.from('x') }), 'content_digest_missing'],
    [
      'with a chunked body',
      (m) => ({ ...plus(m, ['transfer-encoding', 'chunked']), body: Buffer.from('x') }),
      'content_digest_missing',
    ],
    ['with a body that no header announces', (m) => ({ ...m, body: Buffer.from('x') }), 'content_digest_missing'],
    ['in absolute form', (m) => ({ ...m, target: `http://a${m.target}` }), 'target_malformed'],
    ['with a fragment', (m) => ({ ...m, target: `${m.target}#x` }), 'target_malformed'],
    ['with a target of 64 KiB', (m) => ({ ...m, target: `/${'a'.repeat(65_536)}` }), 'target_malformed'],
    ['with a space in its target', (m) => ({ ...m, target: '/v1 /x' }), 'target_malformed'],
    ['with a method in lower case', (m) => ({ ...m, method: 'get' }), 'target_malformed'],
    ['with another user', (m) => withHeader(m, 'x-user-id', 'u-2'), 'signature_invalid'],
    ['with another role', (m) => withHeader(m, 'x-user-role', 'admin'), 'signature_invalid'],
    ['with another tenant', (m) => withHeader(m, 'x-tenant-id', 'globex'), 'signature_invalid'],
    [
      'with another request id',
      (m) => withHeader(m, 'x-request-id', requestId.replace('01a2', '01a3')),
      'signature_invalid',
    ],
    ['with another context', (m) => withHeader(m, 'x-identity-context', 'ip="198.51.100.1"'), 'signature_invalid'],
    ['as the gateway', (m) => withHeader(m, 'x-identity', 'gateway'), 'coverage_insufficient'],
    ['for another audience', (m) => withHeader(m, 'x-identity-audience', 'users-service'), 'audience_mismatch'],
  ])('%s', async (_name, change, reason) => {
    expect(await verdictOn(change(genuine()))).toBe(reason);
  });

  test('sent to another service', async () => {
    expect(await verdictOn(genuine(), verifierAt(nowSec, { audience: 'users-service' }))).toBe('audience_mismatch');
    const elsewhere = genuine({ audience: 'users-service' });
    expect(await verdictOn(withHeader(elsewhere, 'x-identity-audience', audience))).toBe('signature_invalid');
  });

  test.each<[string, (message: Message) => Message, string]>([
    ['with another body', (m) => ({ ...m, body: Buffer.from('{"a":2}') }), 'content_digest_mismatch'],
    ['with a longer body', (m) => ({ ...m, body: Buffer.from('{"a":1} ') }), 'content_digest_mismatch'],
    ['without its body', (m) => ({ ...m, body: Buffer.alloc(0) }), 'content_digest_mismatch'],
    ['without its digest', (m) => without(m, 'content-digest'), 'coverage_insufficient'],
    [
      'with the digest of another body',
      (m) => withHeader(m, 'content-digest', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'),
      'signature_invalid',
    ],
    ['with another media type', (m) => withHeader(m, 'content-type', 'text/html'), 'signature_invalid'],
    ['without its media type', (m) => without(m, 'content-type'), 'coverage_insufficient'],
    ['with a second media type', (m) => plus(m, ['Content-Type', 'text/html']), 'header_duplicated'],
    ['as a GET', (m) => ({ ...m, method: 'GET' }), 'signature_invalid'],
  ])('with a body, %s', async (_name, change, reason) => {
    expect(await verdictOn(change(post()))).toBe(reason);
  });

  test.each<[string, Message]>([
    ['without its upgrade', without(without(genuine({ upgrade: websocket }), 'upgrade'), 'sec-websocket-key')],
    ['with the upgrade header only', without(genuine({ upgrade: websocket }), 'sec-websocket-key')],
    ['with the WebSocket key only', without(genuine({ upgrade: websocket }), 'upgrade')],
    ['with another key', withHeader(genuine({ upgrade: websocket }), 'sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA==')],
    ['turned into an upgrade', plus(genuine(), ['upgrade', 'websocket'], ['sec-websocket-key', websocket.key])],
    ['with an added upgrade to h2c', plus(genuine(), ['upgrade', 'h2c'])],
  ])('of an upgrade %s', async (_name, message) => {
    expect(await verdictOn(message)).not.toBe('accepted');
  });

  test('accepts one of 20 concurrent copies and refuses the others', async () => {
    const verifier = verifierAt();
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => verdictOn(genuine(), verifier)));
    expect(verdicts.filter((verdict) => verdict === 'accepted')).toHaveLength(1);
    expect(verdicts.filter((verdict) => verdict === 'replayed')).toHaveLength(19);
  });

  test('created before a restart', async () => {
    const replay = memoryReplay({ nowMs: () => nowSec * 1000 + 1 });
    expect(await verdictOn(genuine(), verifierAt(nowSec + 1, { replay }))).toBe('created_before_start');
    expect(await verdictOn(genuine({ createdSec: nowSec + 1 }), verifierAt(nowSec + 1, { replay }))).toBe('accepted');
  });

  test('a refused request does not use up the nonce', async () => {
    const verifier = verifierAt();
    expect(await verdictOn({ ...post(), body: Buffer.from('x') }, verifier)).toBe('content_digest_mismatch');
    expect(await verdictOn(withHeader(post(), 'x-user-id', 'u-2'), verifier)).toBe('signature_invalid');
    expect(await verdictOn(post(), verifier)).toBe('accepted');
  });
});

describe('time', () => {
  test.each<[string, number, string]>([
    ['6 s before created', -6, 'created_in_future'],
    ['5 s before created', -5, 'accepted'],
    ['at created', 0, 'accepted'],
    ['at expires', 30, 'accepted'],
    ['5 s after expires', 35, 'accepted'],
    ['6 s after expires', 36, 'expired'],
    ['a day later', 86_400, 'expired'],
  ])('%s', async (_name, offset, verdict) => {
    expect(await verdictOn(genuine(), verifierAt(nowSec + offset))).toBe(verdict);
  });

  test.each<[string, string, string]>([
    ['a lifetime of 60 s', standardParams({ expires: nowSec + 60 }), 'accepted'],
    ['a lifetime of 61 s', standardParams({ expires: nowSec + 61 }), 'lifetime_invalid'],
    ['expires before created', standardParams({ expires: nowSec - 1 }), 'lifetime_invalid'],
    ['a lifetime of 0 s', standardParams({ expires: nowSec }), 'lifetime_invalid'],
    ['created with a leading zero', standardParams({ created: `0${nowSec}` }), 'signature_malformed'],
    ['created as a fraction', standardParams({ created: `${nowSec}.0` }), 'signature_malformed'],
    ['created as a string', standardParams({ created: `"${nowSec}"` }), 'signature_malformed'],
    ['a negative time', standardParams({ created: -1 }), 'signature_malformed'],
    ['a time of 16 digits', standardParams({ created: 1e15 }), 'signature_malformed'],
  ])('%s', async (_name, params, verdict) => {
    expect(await verdictOn(forged(genuine(), { params }))).toBe(verdict);
  });

  test('refuses a body that arrives after expiry, even if the head arrived in time', async () => {
    let now = nowSec;
    const verifier = verifierAt(nowSec, { nowMs: () => now * 1000 });
    const { method, target, headers, body } = post();
    const head = await verifier.verifyHead({ method, target, rawHeaders: headers.flat() });
    now += 36;
    await expect(head.complete(body)).rejects.toMatchObject({ reason: 'expired' });
  });
});

describe('coverage: refuses a valid signature over any other list of components', () => {
  const complete = componentsOf(genuine({ txnToken: txn }));
  test.each(complete)('without %s', async (left) => {
    const components = complete.filter((name) => name !== left);
    expect(await verdictOn(forged(genuine({ txnToken: txn }), { components }))).toBe('coverage_insufficient');
  });

  const withBody = componentsOf(post());
  test.each(['content-type', 'content-digest'])('with a body, without %s', async (left) => {
    const components = withBody.filter((name) => name !== left);
    expect(await verdictOn(forged(post(), { components }))).toBe('coverage_insufficient');
  });

  test.each<[string, string[]]>([
    ['an empty list', []],
    ['an additional component', [...complete, 'date']],
    ['a repeated component', [...complete, 'x-user-id']],
    ['another order', [...complete].reverse()],
    ['@target-uri instead of @path', complete.map((name) => (name === '@path' ? '@target-uri' : name))],
    ['@status', [...complete, '@status']],
  ])('%s', async (_name, components) => {
    expect(await verdictOn(forged(genuine({ txnToken: txn }), { components }))).toBe('coverage_insufficient');
  });

  test.each<[string, Message, Pair]>([
    ['a user header on an anonymous request', genuine({ as: { kind: 'anonymous' } }), ['x-user-id', 'u-1']],
    ['a tenant header on an anonymous request', genuine({ as: { kind: 'anonymous' } }), ['x-tenant-id', 'acme']],
    ['a service id on a user request', genuine(), ['x-service-id', 'complaint-service']],
    ["a role on the gateway's own request", genuine({ as: { kind: 'gateway' } }), ['x-user-role', 'admin']],
    ['a txn-token on an anonymous request', genuine({ as: { kind: 'anonymous' } }), ['txn-token', txn]],
    ['a txn-token that is not covered', genuine(), ['txn-token', txn]],
    [
      'a digest that is not covered',
      genuine(),
      ['content-digest', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:'],
    ],
    ['an identity header that the contract does not define', genuine(), ['x-user-email', 'root@example.com']],
    ['an undefined x-identity header', genuine(), ['X-Identity-Admin', 'true']],
    ['an undefined x-tenant header', genuine(), ['x-tenant', 'globex']],
    ['an undefined x-service header', genuine(), ['X-Service', 'billing']],
  ])('%s', async (_name, message, header) => {
    expect(await verdictOn(plus(message, header))).toBe('coverage_insufficient');
  });
});

describe('headers', () => {
  test.each(genuine({ txnToken: txn }).headers.map(([name]) => name))(
    'refuses a repeated %s in any letter case',
    async (name) => {
      const message = genuine({ txnToken: txn });
      const value = message.headers.find(([known]) => known === name)?.[1] ?? '';
      expect(await verdictOn(plus(message, [name, value]))).toBe('header_duplicated');
      expect(await verdictOn(plus(message, [name.toUpperCase(), value]))).toBe('header_duplicated');
      expect(await verdictOn({ ...message, headers: [[name, ''], ...message.headers] })).toBe('header_duplicated');
    },
  );

  test.each([
    'X_User_Id',
    'x.user.id',
    'X-User_Id',
    'x-user id',
    'X_Identity',
    'x_tenant_id',
    'Signature_Input',
    'content_digest',
    'txn_token',
    `x_user${'a'.repeat(9000)}`,
  ])('refuses an alias of an identity header (case %#)', async (name) => {
    expect(await verdictOn(plus(genuine(), [name, 'u-1']))).toBe('header_alias');
  });

  test.each([
    'accept',
    'user-agent',
    'x-forwarded-for',
    'x-amzn-trace-id',
    'signature-agent',
    'xuser',
    'content_type',
    '',
    '__proto__',
    'constructor',
  ])('ignores other headers: %s', async (name) => {
    expect(await verdictOn(plus(genuine(), [name, 'x'], [name, 'y']))).toBe('accepted');
  });

  test('header names are case-insensitive', async () => {
    const message = genuine();
    expect(await verdictOn({ ...message, headers: message.headers.map(([n, v]): Pair => [n.toUpperCase(), v]) })).toBe(
      'accepted',
    );
  });

  test('ignores white space around a value (RFC 9421 section 2.1)', async () => {
    const message = genuine();
    expect(await verdictOn({ ...message, headers: message.headers.map(([n, v]): Pair => [n, ` \t${v}\t `]) })).toBe(
      'accepted',
    );
  });

  test.each<[string, string]>([
    ['x-request-id', requestId.toUpperCase()],
    ['x-request-id', '01a2b3c4-d5e6-4f80-9102-a3b4c5d6e7f8'],
    ['x-request-id', 'no uuid'],
    ['x-identity', 'root'],
    ['x-identity', 'User'],
    ['x-identity', ''],
    ['x-user-id', ''],
    ['x-user-id', 'a b'],
    ['x-user-id', 'a,b'],
    ['x-user-id', 'u\u00e9'],
    ['x-user-id', 'a'.repeat(129)],
    ['x-user-id', 'a\r\nx-user-role: admin'],
    ['x-user-role', 'Admin'],
    ['x-user-role', 'agent, admin'],
    ['x-tenant-id', 't1/t2'],
    ['x-identity-audience', 'a service'],
    ['x-identity-context', 'ip=192.0.2.1'],
    ['x-identity-context', 'ip="192.0.2.1", ip="192.0.2.2"'],
    ['x-identity-context', 'ip="192.0.2.1",'],
    ['x-identity-context', 'admin=?1'],
    ['x-identity-context', 'sid="a";p=1'],
    ['x-identity-context', 'ip="not an address"'],
    ['x-identity-context', 'auth-time="1"'],
    ['x-identity-context', 'amr="pwd"'],
    ['x-identity-context', 'a'.repeat(65_536)],
    ['txn-token', 'not.a token'],
    ['txn-token', `${'a'.repeat(5000)}.b.c`],
  ])('refuses a signed %s outside its grammar (case %#)', async (name, value) => {
    const message = withHeader(genuine({ txnToken: txn }), name, value);
    expect(await verdictOn(forged(message, {}))).toBe('header_malformed');
  });

  test.each([
    'x-request-id',
    'x-identity',
    'x-identity-audience',
    'x-identity-context',
    'x-user-id',
    'x-user-role',
    'x-tenant-id',
  ])('without %s', async (name) => {
    expect(await verdictOn(without(genuine(), name))).toBe('header_missing');
  });

  test('refuses a service that acts for a user with missing headers', async () => {
    const message = without(genuine({ as: serviceForUser }), 'x-tenant-id');
    expect(await verdictOn(forged(message, {}))).toBe('header_missing');
  });
});

describe('signature', () => {
  const input = genuine().headers.find(([name]) => name === 'signature-input')?.[1] ?? '';
  const value = genuine().headers.find(([name]) => name === 'signature')?.[1] ?? '';
  const bad = {
    input: (text: string) => withHeader(genuine(), 'signature-input', text),
    value: (text: string) => withHeader(genuine(), 'signature', text),
  };

  test.each<[string, Message, string]>([
    ['no signature headers', without(without(genuine(), 'signature'), 'signature-input'), 'signature_missing'],
    ['no signature-input', without(genuine(), 'signature-input'), 'signature_missing'],
    ['no signature', without(genuine(), 'signature'), 'signature_missing'],
    ['an empty signature-input', bad.input(''), 'signature_malformed'],
    ['an empty signature', bad.value(''), 'signature_malformed'],
    [
      'another label',
      withHeader(bad.input(input.replace('countersign=', 'sig1=')), 'signature', value.replace('countersign', 'sig1')),
      'signature_malformed',
    ],
    ['a second label', bad.input(`${input}, evil=();created=1`), 'signature_malformed'],
    ['a second label first', bad.input(`evil=();created=1, ${input}`), 'signature_malformed'],
    ['a second label in signature', bad.value(`${value}, evil=:AAAA:`), 'signature_malformed'],
    ['a component parameter', bad.input(input.replace('"x-user-id"', '"x-user-id";bs')), 'signature_malformed'],
    ['the parameter ;req', bad.input(input.replace('"@method"', '"@method";req')), 'signature_malformed'],
    ['an escape in a component name', bad.input(input.replace('"@method"', '"@\\method"')), 'signature_malformed'],
    ['an unquoted component name', bad.input(input.replace('"@method"', '@method')), 'signature_malformed'],
    ['two spaces between components', bad.input(input.replace('" "', '"  "')), 'signature_malformed'],
    ['invalid base64', bad.value('countersign=:!!!!:'), 'signature_malformed'],
    ['base64url', bad.value(`countersign=:${'-'.repeat(86)}==:`), 'signature_malformed'],
    ['a short signature', bad.value('countersign=:AAAA:'), 'signature_malformed'],
    ['base64 with unused bits set', bad.value(value.replace(/.==:$/, 'B==:')), 'signature_malformed'],
    ['64 KiB of parentheses', bad.input('('.repeat(65_536)), 'signature_malformed'],
    ['64 KiB of components', bad.input(`countersign=(${'"a" '.repeat(16_384)})`), 'signature_malformed'],
    ['a signature of 64 KiB', bad.value(`countersign=:${'A'.repeat(65_536)}:`), 'signature_malformed'],
    [
      '64 zero bytes',
      bad.value(
        'countersign=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==:',
      ),
      'signature_invalid',
    ],
    [
      '32 bytes for an ed25519 key',
      bad.value('countersign=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:'),
      'signature_invalid',
    ],
    ['an unknown key', forged(genuine(), { params: standardParams({ keyid: 'ed-2' }) }), 'key_unknown'],
    [
      'a keyid from the prototype',
      forged(genuine(), { params: standardParams({ keyid: 'constructor' }) }),
      'key_unknown',
    ],
    [
      'hmac-sha256 for an ed25519 key',
      forged(genuine(), { params: standardParams({ alg: 'hmac-sha256' }) }),
      'algorithm_mismatch',
    ],
    ['an unknown alg', forged(genuine(), { params: standardParams({ alg: 'none' }) }), 'algorithm_mismatch'],
    [
      'the public key as an HMAC secret',
      forged(genuine(), {
        key: { algorithm: 'hmac-sha256', keyid: 'ed-1', secret: publicKey.export({ format: 'der', type: 'spki' }) },
      }),
      'algorithm_mismatch',
    ],
    [
      'the public key as an HMAC secret, with alg ed25519',
      forged(genuine(), {
        key: { algorithm: 'hmac-sha256', keyid: 'ed-1', secret: publicKey.export({ format: 'der', type: 'spki' }) },
        params: standardParams(),
      }),
      'signature_invalid',
    ],
    [
      'the tag of a nested call',
      forged(genuine(), { params: standardParams({ tag: 'countersign-service-v1' }) }),
      'tag_mismatch',
    ],
    [
      'a nonce of 4 characters',
      forged(genuine(), { params: standardParams({ nonce: 'AAAA' }) }),
      'signature_malformed',
    ],
    ['an additional parameter', forged(genuine(), { params: `${standardParams()};x=1` }), 'signature_malformed'],
    [
      'a repeated parameter',
      forged(genuine(), { params: `${standardParams()};created=${nowSec}` }),
      'signature_malformed',
    ],
    ['no nonce', forged(genuine(), { params: standardParams().replace(/;nonce="[^"]*"/, '') }), 'signature_malformed'],
    ['no created', forged(genuine(), { params: standardParams().replace(/;created=\d+/, '') }), 'signature_malformed'],
    ['no expires', forged(genuine(), { params: standardParams().replace(/;expires=\d+/, '') }), 'signature_malformed'],
    ['no alg', forged(genuine(), { params: standardParams().replace(/;alg="[^"]*"/, '') }), 'signature_malformed'],
    ['no tag', forged(genuine(), { params: standardParams().replace(/;tag="[^"]*"/, '') }), 'signature_malformed'],
  ])('%s', async (_name, message, reason) => {
    expect(await verdictOn(message)).toBe(reason);
  });

  test.each([edKey, hmacKey])('refuses an $algorithm signature with any one bit flipped', async (key) => {
    const message = genuine({ key });
    const encoded = message.headers.at(-1)?.[1].slice('countersign=:'.length, -1) ?? '';
    const bytes = Buffer.from(encoded, 'base64');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const changed = withHeader(message, 'signature', `countersign=:${flipped.toString('base64')}:`);
      expect(await verdictOn(changed)).toBe('signature_invalid');
    }
  });
});

test('refuses a change of any one character of a header', async () => {
  const message = genuine({ method: 'POST', body: 'b', contentType: 'text/plain', txnToken: txn });
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 0x21, max: 0x7e }), async (which, where, code) => {
      const [name, value] = message.headers[which % message.headers.length] ?? ['', ''];
      if (name === 'content-length') return;
      const at = where % value.length;
      const character = String.fromCharCode(code);
      fc.pre(value[at] !== character);
      const changed = withHeader(message, name, value.slice(0, at) + character + value.slice(at + 1));
      expect(await verdictOn(changed)).not.toBe('accepted');
    }),
    { numRuns: 300 },
  );
});

test('refuses arbitrary headers and targets without any other error', async () => {
  const name = fc.oneof(
    fc.constantFrom(...genuine().headers.map(([known]) => known), 'content-length', 'upgrade'),
    fc.string(),
  );
  const structured = fc.stringMatching(/^[a-z"@();=:, 0-9\\-]{0,200}$/);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(name, fc.oneof(structured, fc.string())), { maxLength: 30 }),
      fc.string(),
      async (pairs, target) => {
        const headers = pairs.map(([header, value]): Pair => [header, value]);
        expect(await verdictOn({ method: 'GET', target, headers, body: Buffer.alloc(0) })).not.toBe('accepted');
        expect(await verdictOn({ ...genuine(), headers })).not.toBe('accepted');
      },
    ),
    { numRuns: 500 },
  );
});

describe('refuses 64 KiB of hostile headers in under 1 ms', () => {
  const fill = (length: number, piece: string) => piece.repeat(Math.ceil(length / piece.length)).slice(0, length);
  const size = 65_536;
  test.each<[string, Pair[]]>([
    ['many short names', Array.from({ length: size / 8 }, (_, n): Pair => [`x${n}`, '1'])],
    ['250 long names', Array.from({ length: 250 }, (_, n): Pair => [`x_${fill(254, '_.')}${n}`, ''])],
    ['one long name', [[fill(size, 'x-User_'), '']]],
    [
      'open parentheses',
      [
        ['signature-input', fill(size, '(')],
        ['signature', 'x'],
      ],
    ],
    [
      'components',
      [
        ['signature-input', `countersign=(${fill(size, '"a" ')}`],
        ['signature', 'x'],
      ],
    ],
    [
      'spaces',
      [
        ['signature-input', `countersign=("a"${fill(size, ' ')}`],
        ['signature', fill(size, ' ')],
      ],
    ],
    [
      'inner spaces',
      [
        ['signature-input', `a${fill(size, ' ')}a`],
        ['signature', `a${fill(size, ' ')}a`],
      ],
    ],
    [
      'digits',
      [
        ['signature-input', `countersign=();created=${fill(size, '9')}`],
        ['signature', 'x'],
      ],
    ],
    [
      'base64',
      [
        ['signature-input', 'x'],
        ['signature', `countersign=:${fill(size, 'A')}`],
      ],
    ],
    [
      'context members',
      [
        ...genuine().headers.filter(([name]) => name !== 'x-identity-context'),
        ['x-identity-context', fill(size, 'ip="1", ')],
      ],
    ],
    [
      'context backslashes',
      [
        ...genuine().headers.filter(([name]) => name !== 'x-identity-context'),
        ['x-identity-context', `ip="${fill(2000, '\\\\')}`],
      ],
    ],
    [
      'a context key',
      [...genuine().headers.filter(([name]) => name !== 'x-identity-context'), ['x-identity-context', fill(2048, 'a')]],
    ],
    ['a media type', [['content-type', fill(size, 'a ')], ...genuine({ method: 'POST' }).headers]],
    ['a txn-token', [['txn-token', fill(size, 'a.')], ...genuine().headers]],
    ['a digest', [['content-digest', `sha-256=:${fill(size, 'A')}`], ...genuine().headers]],
    ['white space', [['x-user-id', `${fill(size, '\t ')}x`], ...genuine().headers]],
  ])('%s', async (_name, headers) => {
    const verifier = verifierAt();
    const request = { method: 'GET', target: '/v1/complaints?status=open', rawHeaders: headers.flat() };
    const once = async () => {
      const started = performance.now();
      await verifier.verify(request).catch(() => {});
      return performance.now() - started;
    };
    const times: number[] = [];
    for (let run = 0; run < 30; run += 1) times.push(await once());
    // The fastest run measures the verifier; slower runs include other load on the machine.
    expect(Math.min(...times)).toBeLessThan(1);
  });
});

describe('throws IdentityUnavailable instead of refusing', () => {
  test('when the gateway keys are unknown, unless an earlier check fails', async () => {
    const keys = { lookup: () => Promise.reject(new IdentityUnavailable('no keys', { reason: 'keys_unavailable' })) };
    const verifier = verifierAt(undefined, { keys });
    await expect(deliver(verifier, genuine())).rejects.toThrow(IdentityUnavailable);
    expect(await verdictOn(genuine({ method: 'DELETE', streamed: true }), verifier)).toBe('content_digest_missing');
  });

  test('when the nonce memory is full', async () => {
    const verifier = verifierAt(nowSec, { replay: memoryReplay({ nowMs: () => 0, maxNonces: 1 }) });
    expect(await verdictOn(genuine(), verifier)).toBe('accepted');
    await expect(deliver(verifier, genuine({ nonce: 'another-nonce-of-22-ch' }))).rejects.toThrow(IdentityUnavailable);
    expect(await verdictOn(genuine(), verifier)).toBe('replayed');
  });
});

test('createVerifier throws RangeError on an invalid audience or bound', () => {
  const keys = staticGatewayKeys({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] });
  const replay = memoryReplay();
  expect(() => createVerifier({ audience: '', keys, replay })).toThrow(RangeError);
  expect(() => createVerifier({ audience, keys, replay, toleranceSec: -1 })).toThrow(RangeError);
  expect(() => createVerifier({ audience, keys, replay, toleranceSec: Number.NaN })).toThrow(RangeError);
  expect(() => createVerifier({ audience, keys, replay, maxLifetimeSec: 3600 })).toThrow(RangeError);
});
