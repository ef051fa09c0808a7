import type { RefusalReason } from '../src/index.ts';
import {
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

const input = (message: Message, change: (value: string) => string) => changed(message, 'signature-input', change);
/** With headers that this kind of caller does not have, covered all the same. */
const covering = (message: Message, ...more: Pair[]) =>
  forged(plus(message, ...more), { components: [...componentsOf(message), ...more.map(([name]) => name)] });
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
    'upgrade twice': plus(upgrading(), ['upgrade', 'websocket']),
    'sec-websocket-key twice': plus(upgrading(), ['sec-websocket-key', upgrade.key]),

    'x-user-id twice': plus(get(), ['x-user-id', 'u-1']),
    'x-user-id twice, in another case': plus(get(), ['X-User-ID', 'u-2']),
    'signature twice': plus(get(), ['signature', 'evil=:AAAA:']),
    'content-type twice': plus(post(), ['content-type', 'text/plain']),
  },
  header_alias: {
    txn_token: plus(get(), ['txn_token', txn]),
    content_digest: plus(get(), ['Content_Digest', emptyDigest]),
    signature_input: plus(get(), ['signature_input', 'x']),
    'x_service, a prefix': plus(get(), ['x_service', 'billing']),
    'a long name': plus(get(), [`x-user_${'a'.repeat(100)}`, 'root']),

    X_User_Id: plus(get(), ['X_User_Id', 'root']),
    'x.tenant.id': plus(get(), ['x.tenant.id', 'globex']),
  },
  signature_missing: {
    'no signature': without(without(get(), 'signature'), 'signature-input'),
    'no signature-input': without(get(), 'signature-input'),
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
    'a fractional time': params({ created: `${nowSec}.5` }),
  },
  tag_mismatch: { 'the tag of a nested call': params({ tag: 'countersign-service-v1' }) },
  header_missing: {
    'an upgrade without its key': forged(without(upgrading(), 'sec-websocket-key'), {
      components: componentsOf(upgrading()).filter((name) => name !== 'sec-websocket-key'),
    }),
    'no x-service-id on a service request': forged(without(genuine({ as: service }), 'x-service-id'), {}),
    'no x-identity-audience': forged(without(get(), 'x-identity-audience'), {}),
    'no x-request-id': forged(without(get(), 'x-request-id'), {}),

    'no x-user-id on a user request': forged(without(get(), 'x-user-id'), {}),
    'no x-identity': forged(without(get(), 'x-identity'), {}),
    'a service that acts for half a user': forged(without(genuine({ as: forUser }), 'x-tenant-id'), {}),
    'no x-identity-context': forged(without(get(), 'x-identity-context'), {}),
  },
  header_malformed: {
    'a body of two lengths': plus(post(), ['transfer-encoding', 'chunked']),
    'no body, of two lengths': plus(get(), ['content-length', '0'], ['transfer-encoding', 'chunked']),
    'a content-encoding under a digest': plus(post(), ['content-encoding', 'gzip']),
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
    'a txn-token on an anonymous request, covered': covering(genuine({ as: anonymous }), ['txn-token', txn]),
    "a txn-token on the gateway's own request, covered": covering(gateway(), ['txn-token', txn]),
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
      componentsOf(genuine({ txnToken: txn })).map((name) => [
        `${name} is not covered`,
        dropped(genuine({ txnToken: txn }), name),
      ]),
    ),
    'content-digest is not covered': dropped(post(), 'content-digest'),
    'content-type is not covered': dropped(post(), 'content-type'),
    'the right components in another order': forged(get(), { components: componentsOf(get()).reverse() }),
    'one component more': forged(plus(get(), ['date', 'now']), { components: [...componentsOf(get()), 'date'] }),
    'a user header on an anonymous request': plus(genuine({ as: anonymous }), ['x-user-id', 'root']),
    'x-service-id on a user request': plus(get(), ['x-service-id', 'complaint-service']),
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

const refused = [refusedFor, grammarRefused].flatMap((table) =>
  Object.entries(table).flatMap(([reason, cases]) =>
    Object.entries(cases).map(([name, given]): VectorCase => {
      const rest = 'message' in given ? given : { message: given as Message };
      return { name: `${reason}: ${name}`, message: get(), ...rest, refused: reason as RefusalReason };
    }),
  ),
);

export const vectorCases: readonly VectorCase[] = [...accepted, ...grammarAccepted, ...refused];
