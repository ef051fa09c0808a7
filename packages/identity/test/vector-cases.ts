import type { RefusalReason } from '../src/index.ts';
import {
  ambiguousKeys,
  componentsOf,
  forged,
  genuine,
  hmacKey,
  type Message,
  nowSec,
  type Pair,
  plus,
  standardParams,
  twiceKeys,
  withHeader,
  without,
} from './forge.ts';
import { bare, exemptCases } from './vector-exempt.ts';
import { grammarAccepted, grammarRefused } from './vector-grammar.ts';
import {
  anonymous,
  changed,
  dropped,
  emptyDigest,
  forUser,
  get,
  params,
  post,
  type Refused,
  service,
  txn,
  upgrade,
  upgrading,
  type VectorCase,
} from './vector-parts.ts';
import { tableRefused } from './vector-table.ts';

const input = (message: Message, change: (value: string) => string) => changed(message, 'signature-input', change);
/** With headers that this kind of caller does not have, covered all the same. */
const covering = (message: Message, ...more: Pair[]) =>
  forged(plus(message, ...more), { components: [...componentsOf(message), ...more.map(([name]) => name)] });
const spareHeaders = (count: number) => Array.from({ length: count }, (_, index): Pair => [`y-${index}`, 'z']);
/** A list of the allowed form, longer than any that is right, so that the whole value has this length. */
function inputOfLength(length: number): Message {
  const grown = (size: number) => forged(get(), { components: [...componentsOf(get()), ...filler(size)] });
  const empty = (grown(0).headers.find(([name]) => name === 'signature-input')?.[1] ?? '').length;
  return grown(length - empty);
}
/** Component names that take this many characters in a list, each with its quotes and the space before it. */
const filler = (size: number) =>
  size === 0
    ? []
    : Array.from({ length: 12 }, (_, index) => 'x'.repeat(Math.floor(size / 12) - 3 + (index < size % 12 ? 1 : 0)));
const nextBase64 = (end: string) => String.fromCharCode(end.charCodeAt(0) + 1);
/** Paths that only look like an exempt one: with another character first in a segment, and later. */
const oddWellKnown = (characters: string) =>
  Object.fromEntries(
    [...characters]
      .flatMap((character) => [`/.well-known/${character}a`, `/.well-known/a${character}b`])
      .map((target) => [`${target} is not exempt`, bare('GET', target)]),
  );
const gateway = () => genuine({ as: { kind: 'gateway' } });

const accepted: VectorCase[] = [
  { name: 'user, GET with a query', message: get() },
  { name: 'user, GET without a query', message: genuine({ target: '/v1/complaints' }) },
  { name: 'user, GET with an empty query', message: genuine({ target: '/v1/complaints?' }) },
  {
    name: 'user, GET with escapes that are kept as they are',
    message: genuine({ target: '/v1/complaints/%C3%A9%2B?q=a%20b+c&q=/?' }),
  },
  { name: 'user, POST with a body', message: post() },
  { name: 'user, PUT with a body and no media type', message: genuine({ method: 'PUT', body: 'x' }) },
  { name: 'user, DELETE without a body: the digest of nothing', message: genuine({ method: 'DELETE' }) },
  {
    name: 'user, GET with a media type: not covered without a digest',
    message: genuine({ contentType: 'text/plain' }),
  },
  { name: 'user, HMAC', message: genuine({ key: hmacKey }) },
  { name: 'user, with a txn-token', message: genuine({ txnToken: txn }) },
  {
    name: 'user, everything at once',
    message: genuine({
      key: hmacKey,
      method: 'PATCH',
      body: '{}',
      contentType: 'application/merge-patch+json; charset=utf-8',
      txnToken: txn,
    }),
  },
  { name: 'user, WebSocket upgrade', message: upgrading() },
  {
    name: 'user, streamed body without a digest, where the service says stream',
    message: genuine({ method: 'POST', body: 'anything', streamed: true }),
    stream: true,
  },
  { name: 'anonymous', message: genuine({ as: anonymous }) },
  {
    name: 'anonymous, POST',
    message: genuine({ as: anonymous, method: 'POST', body: '{}', contentType: 'application/json' }),
  },
  { name: 'gateway', message: genuine({ as: { kind: 'gateway' } }) },
  { name: 'service', message: genuine({ as: service }) },
  { name: 'service, for a user, with a txn-token', message: genuine({ as: forUser, txnToken: txn }) },
  {
    name: 'header names in another case',
    message: { ...get(), headers: get().headers.map(([n, v]): Pair => [n.toUpperCase(), v]) },
  },
  {
    name: 'white space around header values',
    message: { ...get(), headers: get().headers.map(([n, v]): Pair => [n, ` ${v}\t`]) },
  },
  {
    name: 'headers that are no concern of the contract, even twice',
    message: plus(get(), ['accept', '*/*'], ['accept', 'text/html'], ['x-forwarded-for', '192.0.2.7']),
  },
  {
    name: 'a body that no header announces',
    message: genuine({ method: 'POST', body: '{}', unannounced: true }),
  },
  {
    name: 'user, GET with a body where the service says stream: the first rule that applies',
    message: { ...plus(get(), ['content-length', '8']), body: Buffer.from('anything') },
    stream: true,
  },
  {
    name: 'user, GET with a body that no header announces where the service says stream',
    message: { ...get(), body: Buffer.from('anything') },
    stream: true,
  },
  { name: 'service, with a txn-token and no user', message: genuine({ as: service, txnToken: txn }) },
  { name: '256 headers', message: plus(get(), ...spareHeaders(256 - get().headers.length)) },
  { name: 'a long name that is reserved by no prefix', message: plus(get(), [`y${'x'.repeat(70)}_user`, 'a']) },
  { name: 'user, M-SEARCH', message: genuine({ method: 'M-SEARCH' }) },
  { name: 'user, a method of 20 and 20 letters', message: genuine({ method: `${'A'.repeat(20)}-${'B'.repeat(20)}` }) },
  { name: 'an apostrophe in the path', message: genuine({ target: "/v1/o'brien" }) },
  { name: 'empty segments and a semicolon', message: genuine({ target: '/a//b;c' }) },
  { name: 'dots in the query', message: genuine({ target: '/a?b=/../c' }) },
  { name: 'a path of 16384 characters', message: genuine({ target: `/${'a'.repeat(16_383)}` }) },
  { name: 'a query of 16384 characters', message: genuine({ target: `/?${'a'.repeat(16_383)}` }) },
  { name: 'user, HEAD', message: genuine({ method: 'HEAD' }) },
  { name: 'user, OPTIONS: the digest of nothing', message: genuine({ method: 'OPTIONS' }) },
  { name: 'user, GET with a digest: then it counts', message: genuine({ digested: true }) },
  { name: 'user, a digest where the service says stream: then it counts', message: post(), stream: true },
  { name: 'user, GET with content-length 0', message: plus(get(), ['content-length', '0']) },
  { name: 'user, content-encoding identity', message: plus(post(), ['content-encoding', 'Identity']) },
  {
    name: 'user, a content-encoding of no body',
    message: plus(genuine({ method: 'POST' }), ['content-length', '0'], ['content-encoding', 'gzip']),
  },
  {
    name: 'user, a content-encoding where the service says stream',
    message: plus(genuine({ method: 'POST', body: 'anything', streamed: true }), ['content-encoding', 'gzip']),
    stream: true,
  },
  {
    name: 'a request that failed does not use up its nonce',
    message: post(),
    before: [{ ...post(), body: Buffer.from('x') }, withHeader(post(), 'x-user-id', 'u-2')],
  },
  { name: 'a nonce that another key has used', message: genuine({ key: hmacKey }), before: [get()] },
  { name: '5 s before it was created', message: get(), at: nowSec - 5 },
  { name: '5 s after it expired', message: get(), at: nowSec + 35 },
  { name: 'created in the second in which the memory began', message: get(), memoryBegan: nowSec },
];

const refusedFor: Refused = {
  target_malformed: {
    ...oddWellKnown(' "#<>\\^`{|}\t\n\u00e9'),
    'absolute form': { ...get(), target: 'http://service.test/v1/complaints' },
    'a fragment': { ...get(), target: '/v1/complaints#x' },
    'not beginning with a slash': { ...get(), target: '*' },
  },
  header_duplicated: {
    'content-length twice': plus(post(), ['content-length', '17']),
    'content-length twice, on a GET': plus(get(), ['content-length', '0'], ['content-length', '0']),
    'transfer-encoding twice': plus(
      without(post(), 'content-length'),
      ['transfer-encoding', 'chunked'],
      ['transfer-encoding', 'chunked'],
    ),
    'content-encoding twice': plus(post(), ['content-encoding', 'identity'], ['content-encoding', 'identity']),
    'x-user-id twice, in another case': plus(get(), ['X-User-ID', 'u-2']),
    'a second label in a second line': plus(get(), ['signature', 'evil=:AAAA:']),
    'a second content-type, on a GET': plus(get(), ['content-type', 'text/plain'], ['content-type', 'text/html']),
  },
  header_alias: {
    ...Object.fromEntries(
      [...'!#$%&\'*+.^_`|~ "(),/:;<=>?@[\\]{}\t\n\u00e9'].map((character) => [
        `txn${character}token`,
        plus(get(), [`txn${character}token`, txn]),
      ]),
    ),
    'content_digest, in another case': plus(get(), ['Content_Digest', emptyDigest]),
    'an alias in the 64th character': plus(get(), [`x-user-${'a'.repeat(56)}_a`, 'root']),
    'x_service, a prefix': plus(get(), ['x_service', 'billing']),
    'a long name': plus(get(), [`x-user_${'a'.repeat(100)}`, 'root']),

    X_User_Id: plus(get(), ['X_User_Id', 'root']),
    'x.tenant.id': plus(get(), ['x.tenant.id', 'globex']),
  },
  signature_missing: {
    ...oddWellKnown("!$&'()*+,:;=@[]~%"),
    ...Object.fromEntries(
      [
        '/healthz/',
        '/healthz/x',
        '/readyz%20',
        '/%68ealthz',
        '/HEALTHZ',
        '/.well-known',
        '/.well-known/',
        '/.well-known//jwks.json',
        '/.well-known/.hidden',
        '/.well-known/a%2fb',
        '/x/.well-known/jwks.json',
        '/.WELL-KNOWN/jwks.json',
        '/.well-known/jwks.json/',
        `/.well-known/${'a'.repeat(244)}`,
      ].map((target) => [`${target.slice(0, 40)} is not exempt`, bare('GET', target)]),
    ),
    ...Object.fromEntries(
      ['POST', 'OPTIONS', 'PUT'].map((method) => [`${method} on an exempt path`, bare(method, '/healthz')]),
    ),
    'no signature': without(without(get(), 'signature'), 'signature-input'),
  },
  signature_malformed: {
    'another label': input(get(), (value) => value.replace('countersign=', 'sig1=')),
    'two labels': input(get(), (value) => `${value}, evil=("@method");created=1`),
    'parameters in another order': forged(get(), {
      params: standardParams().replace(/(;created=\d+)(;expires=\d+)/, '$2$1'),
    }),
    'one parameter more': forged(get(), { params: `${standardParams()};x=1` }),
    'no nonce': forged(get(), { params: standardParams().replace(/;nonce="[^"]*"/, '') }),
    'a component with a parameter': input(get(), (value) => value.replace('"x-user-id"', '"x-user-id";sf')),
    'base64 with its unused bits set': withHeader(
      get(),
      'signature',
      (get().headers.at(-1)?.[1] ?? '').replace(/.==:$/, 'B==:'),
    ),
    'a signature-input of 1025 characters': inputOfLength(1025),
    'a fractional time': params({ created: `${nowSec}.5` }),
  },
  tag_mismatch: { 'the tag of a nested call': params({ tag: 'countersign-service-v1' }) },
  header_missing: {
    'an upgrade without its key': forged(without(upgrading(), 'sec-websocket-key'), {
      components: componentsOf(upgrading()).filter((name) => name !== 'sec-websocket-key'),
    }),
    'a service with x-user-role alone': covering(genuine({ as: service }), ['x-user-role', 'agent']),
    'a service with x-tenant-id alone': covering(genuine({ as: service }), ['x-tenant-id', 'acme']),
  },
  header_malformed: {
    'a body of two lengths': plus(post(), ['transfer-encoding', 'chunked']),
    'no body, of two lengths': plus(get(), ['content-length', '0'], ['transfer-encoding', 'chunked']),
    'a content-encoding under a digest': plus(post(), ['content-encoding', 'gzip']),
    'a content-encoding under a digest, of a body that no header announces': plus(
      genuine({ method: 'POST', body: '{}', unannounced: true }),
      ['content-encoding', 'gzip'],
    ),
    '257 headers': plus(get(), ...spareHeaders(257 - get().headers.length)),
    'a digest with unused bits set': forged(
      changed(post(), 'content-digest', (value) => value.replace(/.=:$/, (end) => `${nextBase64(end)}=:`)),
      {},
    ),
    'a request id with another variant': forged(
      withHeader(get(), 'x-request-id', '01a2b3c4-d5e6-7f80-c102-a3b4c5d6e7f8'),
      {},
    ),
    'an upgrade with HEAD': forged({ ...upgrading(), method: 'HEAD' }, {}),

    'a role in upper case, signed all the same': forged(withHeader(get(), 'x-user-role', 'Admin'), {}),
    'two values in one header': forged(withHeader(get(), 'x-user-id', 'u-1, u-2'), {}),
    'an unknown kind': forged(withHeader(get(), 'x-identity', 'root'), {}),
    'a request id that is no UUIDv7': forged(
      withHeader(get(), 'x-request-id', '00000000-0000-4000-8000-000000000000'),
      {},
    ),
    'a context member twice': forged(withHeader(get(), 'x-identity-context', 'ip="192.0.2.7", ip="192.0.2.8"'), {}),
    'a context member nobody knows': forged(withHeader(get(), 'x-identity-context', 'ip="192.0.2.7", admin=1'), {}),
    'a digest of another algorithm': forged(withHeader(post(), 'content-digest', 'md5=:rL0Y20zC+Fzt72VPzMSk2A==:'), {}),
  },
  coverage_insufficient: {
    'nothing is covered': forged(get(), { components: [] }),
    ...Object.fromEntries(
      ['x-user-name', 'x-tenant', 'x-tenant-name', 'x-service', 'x-service-version', 'x-identity-admin'].map((name) => [
        `${name} added`,
        plus(get(), [name, 'root']),
      ]),
    ),
    "a user on the gateway's own request, covered": covering(
      gateway(),
      ['x-user-id', 'u-1'],
      ['x-user-role', 'agent'],
      ['x-tenant-id', 'acme'],
    ),
    'a user on an anonymous request, covered': covering(
      genuine({ as: anonymous }),
      ['x-user-id', 'u-1'],
      ['x-user-role', 'agent'],
      ['x-tenant-id', 'acme'],
    ),
    "x-service-id on the gateway's own request": plus(gateway(), ['x-service-id', 'complaint-service']),
    'a header of the four prefixes, covered': covering(get(), ['x-tenant-name', 'root']),
    'a sec-websocket-key without its upgrade': plus(get(), ['sec-websocket-key', upgrade.key]),
    'a sec-websocket-key without its upgrade, covered': covering(get(), ['sec-websocket-key', upgrade.key]),

    ...Object.fromEntries(
      ['@method', '@path', '@query'].map((name) => [`${name} is not covered`, dropped(get(), name)]),
    ),
    'the right components in another order': forged(get(), { components: componentsOf(get()).reverse() }),
    'one component more': forged(plus(get(), ['date', 'now']), { components: [...componentsOf(get()), 'date'] }),
    'the digest removed': without(post(), 'content-digest'),
    'the alias of a long name behind its 64th character': plus(get(), [`x-user-${'a'.repeat(57)}_a`, 'root']),
    'a list of 1024 characters': inputOfLength(1024),
    'an identity header that the contract does not have': plus(get(), ['x-user-email', 'root@example.com']),
    'a txn-token added': plus(get(), ['txn-token', txn]),
    'an upgrade added': plus(get(), ['upgrade', 'websocket'], ['sec-websocket-key', upgrade.key]),
  },
  audience_mismatch: { 'signed for another service': genuine({ audience: 'users-service' }) },
  lifetime_invalid: {
    'longer than 60 s, whatever the signer says': params({ expires: nowSec + 61 }),
    'ends as it begins': params({ expires: nowSec }),
    'ends before it begins': params({ expires: nowSec - 1 }),
  },
  created_in_future: { '6 s before it was created': { message: get(), at: nowSec - 6 } },
  expired: { '6 s after it expired': { message: get(), at: nowSec + 36 } },
  content_digest_missing: {
    'an OPTIONS without the digest of nothing': genuine({ method: 'OPTIONS', streamed: true }),
    'a length of 00 on a GET': plus(get(), ['content-length', '00']),

    'a body on a GET that no header announces': { ...get(), body: Buffer.from('x') },
    'a transfer-encoding on a GET, without a byte': plus(get(), ['transfer-encoding', 'chunked']),
    'a body on an upgrade': { ...plus(upgrading(), ['content-length', '1']), body: Buffer.from('x') },
    'a body on a GET': { ...plus(get(), ['content-length', '1']), body: Buffer.from('x') },
    'a chunked body on a GET': { ...plus(get(), ['transfer-encoding', 'chunked']), body: Buffer.from('x') },
    'a streamed body where the service does not say stream': genuine({
      method: 'POST',
      body: 'anything',
      streamed: true,
    }),
    'a DELETE without the digest of nothing': genuine({ method: 'DELETE', streamed: true }),
  },
  key_unknown: {
    'a keyid nobody knows': params({ keyid: 'ed-9' }),
    'a public key under the keyid of a secret': genuine({ key: ambiguousKeys[1] as typeof hmacKey }),
    'a secret whose keyid is in the key set': genuine({ key: ambiguousKeys[0] as typeof hmacKey }),
    'the first of two keys under one kid': genuine({ key: twiceKeys[0] as typeof hmacKey }),
    'the second of two keys under one kid': genuine({ key: twiceKeys[1] as typeof hmacKey }),
  },
  algorithm_mismatch: { 'an ed25519 key that is said to be an HMAC secret': params({ alg: 'hmac-sha256' }) },
  signature_invalid: {
    'another path': { ...get(), target: '/v1/users?status=open' },
    'another spelling of the path': { ...get(), target: '/v1/%63omplaints?status=open' },
    'another query': { ...get(), target: '/v1/complaints?status=closed' },
    'another method': { ...get(), method: 'HEAD' },
    'another user': withHeader(get(), 'x-user-id', 'u-2'),
    'another tenant': withHeader(get(), 'x-tenant-id', 'globex'),
    'another media type': withHeader(post(), 'content-type', 'text/html'),
    'another digest': withHeader(post(), 'content-digest', emptyDigest),
    'HMAC with the public key as its secret': forged(get(), {
      key: { ...hmacKey, keyid: 'ed-1' } as typeof hmacKey,
      params: standardParams(),
    }),
    'a signature by another key': forged(genuine({ key: hmacKey }), {
      key: { ...hmacKey, secret: Buffer.alloc(32, 1) } as typeof hmacKey,
    }),
  },
  content_digest_mismatch: {
    'another body where the service says stream': { message: { ...post(), body: Buffer.from('x') }, stream: true },
    'a body on a GET that has the digest of nothing': {
      ...plus(genuine({ digested: true }), ['content-length', '1']),
      body: Buffer.from('x'),
    },

    'another body': { ...post(), body: Buffer.from('{"title":"Nois3"}') },
    'no body where there was one': { ...post(), body: Buffer.alloc(0) },
  },
  created_before_start: {
    'created in the second before the memory began': { message: get(), memoryBegan: nowSec + 1, at: nowSec + 1 },
  },
  replayed: {
    'a nonce of another request': { message: genuine({ target: '/v1/users' }), before: [get()] },

    'the second delivery': { message: get(), deliveredBefore: 1 },
    'the third delivery, 5 s after it expired': { message: get(), deliveredBefore: 2, at: nowSec + 35 },
  },
};

const refused = [refusedFor, tableRefused, grammarRefused].flatMap((table) =>
  Object.entries(table).flatMap(([reason, cases]) =>
    Object.entries(cases).map(([name, given]): VectorCase => {
      const rest = 'message' in given ? given : { message: given as Message };
      return { name: `${reason}: ${name}`, message: get(), ...rest, refused: reason as RefusalReason };
    }),
  ),
);

export const vectorCases: readonly VectorCase[] = [...accepted, ...grammarAccepted, ...exemptCases, ...refused];
