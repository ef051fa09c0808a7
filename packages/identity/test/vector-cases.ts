import type { IdentityFacts, RefusalReason } from '../src/index.ts';
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
  withHeader,
  without,
} from './forge.ts';

/** One request and what a verifier must make of it. */
export type VectorCase = {
  name: string;
  message: Message;
  /** Unix seconds on the verifier's clock. Default: when the request was signed. */
  at?: number;
  /** The service takes bodies without a digest on this path. */
  stream?: true;
  /** How often the same request was delivered before. */
  deliveredBefore?: number;
  /** When the nonce memory began, in Unix seconds. Default: long before. */
  memoryBegan?: number;
  refused?: RefusalReason;
};

const txn = 'eyJ0eXAiOiJ0eG50b2tlbitqd3QifQ.eyJ0eG4iOiIxIn0.c2lnbmF0dXJl';
const service: IdentityFacts = { kind: 'service', serviceId: 'complaint-service' };
const forUser: IdentityFacts = { ...service, user: { userId: 'u-1', role: 'agent', tenantId: 'acme' } };
const anonymous: IdentityFacts = { kind: 'anonymous' };
const upgrade = { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZQ==' };
const get = () => genuine();
const post = () =>
  genuine({ method: 'POST', target: '/v1/complaints', body: '{"title":"Noise"}', contentType: 'application/json' });
const input = (message: Message, change: (value: string) => string): Message =>
  withHeader(
    message,
    'signature-input',
    change(message.headers.find(([name]) => name === 'signature-input')?.[1] ?? ''),
  );
const params = (over: Parameters<typeof standardParams>[0]) => forged(get(), { params: standardParams(over) });
const dropped = (message: Message, name: string) =>
  forged(message, { components: componentsOf(message).filter((known) => known !== name) });
const emptyDigest = 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:';

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
  { name: 'user, WebSocket upgrade', message: genuine({ target: '/v1/complaints/events', upgrade }) },
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
  { name: '5 s before it was created', message: get(), at: nowSec - 5 },
  { name: '5 s after it expired', message: get(), at: nowSec + 35 },
  { name: 'created in the second in which the memory began', message: get(), memoryBegan: nowSec },
];

const refusedFor: Partial<Record<RefusalReason, Record<string, Message | Partial<VectorCase>>>> = {
  target_malformed: {
    'absolute form': { ...get(), target: 'http://service.test/v1/complaints' },
    'a fragment': { ...get(), target: '/v1/complaints#x' },
    'not beginning with a slash': { ...get(), target: '*' },
  },
  header_duplicated: {
    'x-user-id twice': plus(get(), ['x-user-id', 'u-1']),
    'x-user-id twice, in another case': plus(get(), ['X-User-ID', 'u-2']),
    'signature twice': plus(get(), ['signature', 'evil=:AAAA:']),
    'content-type twice': plus(post(), ['content-type', 'text/plain']),
  },
  header_alias: {
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
    'no x-user-id on a user request': forged(without(get(), 'x-user-id'), {}),
    'no x-identity': forged(without(get(), 'x-identity'), {}),
    'a service that acts for half a user': forged(without(genuine({ as: forUser }), 'x-tenant-id'), {}),
    'no x-identity-context': forged(without(get(), 'x-identity-context'), {}),
  },
  header_malformed: {
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
    'ends before it begins': params({ expires: nowSec - 1 }),
  },
  created_in_future: { '6 s before it was created': { message: get(), at: nowSec - 6 } },
  expired: { '6 s after it expired': { message: get(), at: nowSec + 36 } },
  content_digest_missing: {
    'a body on a GET': { ...plus(get(), ['content-length', '1']), body: Buffer.from('x') },
    'a chunked body on a GET': { ...plus(get(), ['transfer-encoding', 'chunked']), body: Buffer.from('x') },
    'a streamed body where the service does not say stream': genuine({
      method: 'POST',
      body: 'anything',
      streamed: true,
    }),
    'a DELETE without the digest of nothing': genuine({ method: 'DELETE', streamed: true }),
  },
  key_unknown: { 'a keyid nobody knows': params({ keyid: 'ed-9' }) },
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
    'another body': { ...post(), body: Buffer.from('{"title":"Nois3"}') },
    'no body where there was one': { ...post(), body: Buffer.alloc(0) },
  },
  created_before_start: {
    'created in the second before the memory began': { message: get(), memoryBegan: nowSec + 1, at: nowSec + 1 },
  },
  replayed: {
    'the second delivery': { message: get(), deliveredBefore: 1 },
    'the third delivery, 5 s after it expired': { message: get(), deliveredBefore: 2, at: nowSec + 35 },
  },
};

const refused = Object.entries(refusedFor).flatMap(([reason, cases]) =>
  Object.entries(cases).map(([name, given]): VectorCase => {
    const rest = 'message' in given ? given : { message: given as Message };
    return { name: `${reason}: ${name}`, message: get(), ...rest, refused: reason as RefusalReason };
  }),
);

export const vectorCases: readonly VectorCase[] = [...accepted, ...refused];
