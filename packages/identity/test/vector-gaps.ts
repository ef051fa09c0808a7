import { contentDigest } from '../src/index.ts';
import {
  componentsOf,
  publicKey as edPublicKey,
  forged,
  genuine,
  hmacKey,
  type Message,
  nonce,
  nowSec,
  type Pair,
  plus,
  standardParams,
  withHeader,
  without,
} from './forge.ts';
import { edKeyNamed } from './key-set.ts';
import { bare } from './vector-accepted.ts';
import {
  anonymous,
  changed,
  get,
  params,
  post,
  type Refused,
  signedWith,
  spareHeaders,
  txn,
  upgrading,
  type VectorCase,
  withContext,
  withTarget,
} from './vector-parts.ts';

// Each of these detects a verifier that passed every vector before: see weakenings.ts.

const flipped = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
};
const named = <T>(what: string, names: readonly string[], make: (name: string) => T) =>
  Object.fromEntries(names.map((name): [string, T] => [`${what} ${JSON.stringify(name)}`, make(name)]));
const macOf = (change: (mac: Buffer) => Buffer) => {
  const message = genuine({ key: hmacKey });
  const mac = Buffer.from(message.headers.at(-1)?.[1].slice('countersign=:'.length, -1) ?? '', 'base64');
  return withHeader(message, 'signature', `countersign=:${change(mac).toString('base64')}:`);
};
/** HMAC with the public key, which is known to everybody. */
const macUnder = (secret: Buffer) =>
  forged(get(), { key: { ...hmacKey, keyid: 'ed-1', secret } as typeof hmacKey, params: standardParams() });
const list = (change: (components: string[]) => string[]) => forged(get(), { components: change(componentsOf(get())) });
const input = (change: (value: string) => string) => changed(get(), 'signature-input', change);
const renamed = (from: string, to: string): Message => ({
  ...get(),
  headers: get().headers.map(([name, value]): Pair => [name === from ? to : name, value]),
});
const signature = get().headers.at(-1)?.[1] ?? '';
/** A signature that base64 and base64url write with different characters. */
const signedInBase64url = (() => {
  for (let count = 10; ; count += 1) {
    const message = genuine({ nonce: `${nonce.slice(0, -2)}${count}` });
    const value = message.headers.at(-1)?.[1] ?? '';
    const other = value.replaceAll('+', '-').replaceAll('/', '_');
    if (other !== value) return withHeader(message, 'signature', other);
  }
})();
const withDigest = (digest: string) => signedWith(post(), 'content-digest', digest);
const digestOf = (body: string) =>
  Buffer.from(contentDigest(Buffer.from(body)).slice('sha-256=:'.length, -1), 'base64');
const asDigest = (bytes: Buffer) => `sha-256=:${bytes.toString('base64')}:`;
const swapCase = (text: string) =>
  text.replace(/[A-Za-z]/g, (letter) => (letter < 'a' ? letter.toLowerCase() : letter.toUpperCase()));
const beforeMemory = (message: Message) => ({ message, memoryBegan: nowSec + 1, at: nowSec + 1 });

export const idCharacters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|-';
const pathCharacters = `${idCharacters.replace('|', '')}!$&'()*+,;=/[]%`;
const queryCharacters = `${idCharacters.replace('|', '')}!$&()*+,;=/?[]%`;
const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const withoutQuotes = printable.replace(/[ "\\]/g, '');
const mostUpgrade = ["AZaz09!#$%&'*+.^_`|~/-", 'HTTP/2.0', 'x_y'];

export const gapAccepted: VectorCase[] = [
  { name: 'every character that a path may have', message: genuine({ target: `/${pathCharacters}` }) },
  { name: 'every character that a query may have', message: genuine({ target: `/a?${queryCharacters}` }) },
  {
    name: 'every character that an id, a role, a nonce and a txn-token may have',
    message: genuine({
      as: {
        kind: 'user',
        userId: idCharacters,
        role: 'abcdefghijklmnopqrstuvwxyz0123456789_-',
        tenantId: idCharacters,
        context: {
          iss: withoutQuotes,
          sid: idCharacters,
          client: idCharacters,
          amr: [idCharacters.replace(/[~@|]/g, '').slice(0, 64), idCharacters.slice(-7).replace(/[~@|]/g, '')],
          scope: [withoutQuotes],
          act: { sub: withoutQuotes, iss: withoutQuotes },
        },
      },
      nonce: idCharacters.replace(/[.~:@|]/g, ''),
      txnToken: idCharacters.replace(/[.~:@|]/g, '').replace(/^/, 'a.b.'),
    }),
  },
  {
    name: 'every character that a content-type may have',
    message: genuine({ method: 'POST', contentType: `!${printable}!` }),
  },
  {
    name: 'a user id of Auth0',
    message: genuine({ as: { kind: 'user', userId: 'auth0|1', role: 'a', tenantId: 't' } }),
  },
  { name: 'a keyid of every character', message: genuine({ key: edKeyNamed(idCharacters) }) },
  ...[
    '/caf%c3%a9?q=%e9',
    '/a%2',
    '/%',
    '/a?%',
    '/a/%252e%252e/b',
    '/a/%252e%252e;/b',
    '/a/..a;b/c',
    '/a/%2e%2e%2e/b',
  ].map((target) => ({ name: `percent signs and dots as they came: ${target}`, message: genuine({ target }) })),
  ...mostUpgrade.map((protocol) => ({
    name: `an upgrade to ${protocol}`,
    message: genuine({ upgrade: { protocol, key: 'dGhlIHNhbXBsZSBub25jZQ==' } }),
  })),
  {
    name: 'a sec-websocket-key whose unused bits are set',
    message: genuine({ upgrade: { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZR==' } }),
  },
  {
    name: 'names that only look like those of identity headers',
    message: plus(
      get(),
      ['x-request-start', 't=1'],
      ['x-requested-with', 'a'],
      ['x-ident', 'a'],
      ['txn-tokens', 'a'],
      ['x_request', 'a'],
    ),
  },
  {
    name: 'a nonce that differs in its case from one that was used',
    message: genuine({ nonce: 'ABCDEFGHIJKLMNOPabcd' }),
    before: [genuine({ nonce: 'abcdefghijklmnopABCD' })],
  },
  {
    name: 'a nonce that begins and ends as one that was used',
    message: genuine({ nonce: 'ABCDEFGHIJKLMNOP-ABCDEFGHIJKLMNOP' }),
    before: [genuine({ nonce: 'ABCDEFGHIJKLMNOP_ABCDEFGHIJKLMNOP' })],
  },
  {
    name: 'a request of another instance of the same second, after one that was used',
    message: genuine({ nonce: 'another-nonce-of-22-ch' }),
    before: [get()],
  },
];

export const gapRefused: Refused = {
  target_malformed: {
    ...named(
      'a target with',
      [
        '/v1/a?b#c',
        '/v1/a\u007fb',
        '/v1/a?b\u007fc',
        '/v1/a\u0000b',
        '/a;x/..;y',
        '/;/admin',
        '/;x/admin',
        '/%3bx/admin',
        '/%3B',
      ],
      withTarget,
    ),
    'get on an exempt path': bare('get', '/healthz'),
  },
  header_duplicated: {
    'a second alias-free txn-token in upper case': plus(genuine({ txnToken: txn }), ['TXN-TOKEN', txn]),
  },
  header_alias: {
    'a name with a space at its end': renamed('x-user-id', 'x-user-id '),
    'a name with a space at its end, beside the header': plus(get(), ['x-user-id ', 'root']),
  },
  header_missing: {
    'a name with a space at its end is another header': renamed('x-request-id', 'x-request-id '),
    'no x-identity, before a malformed request id': forged(
      withHeader(without(get(), 'x-identity'), 'x-request-id', 'x'),
      {},
    ),
  },
  header_malformed: {
    '257 headers, one of them twice': plus(get(), ...spareHeaders(256 - get().headers.length), ['x-user-id', 'u-1']),
    ...Object.fromEntries(
      ['+17', '-0', '', '17, 17', '0x11', ...Array.from('_AZaz./: \n\u00e9~', (char) => `1${char}7`)].map((length) => [
        `content-length ${JSON.stringify(length)}`,
        withHeader(post(), 'content-length', length),
      ]),
    ),
    'an unsigned JWT as txn-token': signedWith(genuine({ txnToken: txn }), 'txn-token', 'a.b.'),
    'a content-encoding of two codings': plus(post(), ['content-encoding', 'identity, identity']),
    'a digest with a parameter': withDigest(`${asDigest(digestOf('{"title":"Noise"}'))};a=1`),
    'a content-type with 0x7F': signedWith(post(), 'content-type', 'text/plain\u007f; charset=utf-8'),
    ...named(
      'white space that is no space or tab, around a value:',
      ['\u0085', '\u001c', '\u000b', '\u000c', '\u00a0', '\r', '\n'],
      (space) => signedWith(get(), 'x-user-id', `${space}u-1${space}`),
    ),
    ...named('white space behind a value:', ['\u0085', '\u001c', '\n'], (space) =>
      signedWith(get(), 'x-request-id', `01a2b3c4-d5e6-7f80-9102-a3b4c5d6e7f8${space}`),
    ),
    ...named(
      'context',
      ['ip="192.0.2.7",,sid="s-1"', 'ip="192.0.2.7::"', 'ip="::192.0.2.7::"', 'ip="1.2.3.4::5"', 'auth-time=00'],
      withContext,
    ),
  },
  signature_missing: {
    'a malformed signature-input without signature': without(
      input(() => 'x'),
      'signature',
    ),
    'a malformed signature without signature-input': without(withHeader(get(), 'signature', 'x'), 'signature-input'),
    'a name with a space at its end': renamed('signature', 'signature '),
    ...named('not exempt:', ['/xwell-known/jwks.json', '/-well-known/a', '/livez', '/health', '/ready'], (target) =>
      bare('GET', target),
    ),
  },
  signature_malformed: {
    'another label before': input((value) => `sig1=("@method");created=1, ${value}`),
    'text before the label': input((value) => `x${value}`),
    'a list before the label': input((value) => `(), ${value}`),
    'a signature with another label': withHeader(get(), 'signature', signature.replace('countersign=', 'sig1=')),
    'a signature with text before its label': withHeader(get(), 'signature', `x${signature}`),
    'a signature without its last colon': withHeader(get(), 'signature', signature.slice(0, -1)),
    'a signature with a parameter': withHeader(get(), 'signature', `${signature};a=1`),
    'two members of signature': withHeader(get(), 'signature', `sig1=:AAAA:, ${signature}`),
    base64url: signedInBase64url,
    'a further parameter, a string': forged(get(), { params: `${standardParams()};x="a"` }),
    'a further parameter before the tag': forged(get(), { params: standardParams().replace(';tag', ';x="a";tag') }),
    'expires with leading zeros': params({ expires: `000${nowSec + 30}` }),
    'a signature-input with a line feed at its end': input((value) => `${value}\n`),
    'a signature with a line feed at its end': withHeader(get(), 'signature', `${signature}\n`),
    'a signature-input with 0x85 at its end': input((value) => `${value}\u0085`),
  },
  coverage_insufficient: {
    '@method twice': list((components) => ['@method', ...components]),
    'the last component twice': list((components) => [...components, ...components.slice(-1)]),
    'every component twice': list((components) => [...components, ...components]),
  },
  audience_mismatch: named(
    'signed for',
    [
      'my-complaint-service',
      'complaint',
      'complaint-servic',
      'service',
      '-service',
      'users-service|complaint-service',
      'complaint-service|users-service',
    ],
    (audience) => genuine({ audience }),
  ),
  content_digest_missing: {
    'a DELETE without a digest, with content-length 0': plus(genuine({ method: 'DELETE', streamed: true }), [
      'content-length',
      '0',
    ]),
  },
  key_unknown: {
    'a keyid in upper case': params({ keyid: 'ED-1' }),
    'before a memory that began later': beforeMemory(params({ keyid: 'ed-9' })),
  },
  signature_invalid: {
    ...Object.fromEntries(
      [0, 15, 16, 31].map((at) => [`one bit of byte ${at} of a MAC`, macOf((mac) => flipped(mac, at))]),
    ),
    'a MAC twice': macOf((mac) => Buffer.concat([mac, mac])),
    'a MAC and 32 zero bytes': macOf((mac) => Buffer.concat([mac, Buffer.alloc(32)])),
    'HMAC with the 32 bytes of the public key': macUnder(
      Buffer.from(edPublicKey.export({ format: 'jwk' }).x ?? '', 'base64url'),
    ),
    'HMAC with the public key in DER': macUnder(edPublicKey.export({ format: 'der', type: 'spki' })),
    'HMAC with the public key in PEM': macUnder(Buffer.from(edPublicKey.export({ format: 'pem', type: 'spki' }))),
    'before a memory that began later': beforeMemory(withHeader(get(), 'x-user-id', 'u-2')),
  },
  content_digest_mismatch: {
    ...Object.fromEntries(
      [0, 15, 16, 31].map((at) => [
        `one bit of byte ${at} of the digest`,
        withDigest(asDigest(flipped(digestOf('{"title":"Noise"}'), at))),
      ]),
    ),
    'letters of the digest in the other case': withDigest(
      asDigest(digestOf('{"title":"Noise"}')).replace(/(?<=:.{4})(.{30})/, swapCase),
    ),
    'before a memory that began later': beforeMemory({ ...post(), body: Buffer.from('x') }),
  },
  replayed: {
    'an anonymous request, delivered twice': { message: genuine({ as: anonymous }), deliveredBefore: 1 },
    'a request of the gateway, delivered twice': { message: genuine({ as: { kind: 'gateway' } }), deliveredBefore: 1 },
    'an upgrade, delivered twice': { message: upgrading(), deliveredBefore: 1 },
    'the nonce of a request with another id': {
      message: forged(withHeader(get(), 'x-request-id', '01a2b3c4-d5e6-7f80-9102-a3b4c5d6e7f9'), {}),
      before: [get()],
    },
    'the nonce of a request that was created a second before': {
      message: get(),
      before: [params({ created: nowSec - 1 })],
    },
    'the nonce of a request that ends later': { message: get(), before: [params({ expires: nowSec + 31 })] },
    'the nonce of another user': {
      message: forged(withHeader(get(), 'x-user-id', 'u-2'), {}),
      before: [get()],
    },
  },
};
