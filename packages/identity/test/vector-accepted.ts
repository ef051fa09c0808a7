import { genuine, hmacKey, type Message, nowSec, type Pair, plus, withHeader, without } from './forge.ts';
import {
  anonymous,
  forUser,
  get,
  post,
  service,
  spareHeaders,
  txn,
  upgrading,
  type VectorCase,
} from './vector-parts.ts';

/** Requests that a verifier accepts. */
export const accepted: VectorCase[] = [
  { name: 'user, GET with a query', message: get() },
  { name: 'user, GET without a query', message: genuine({ target: '/v1/complaints' }) },
  { name: 'user, GET with an empty query', message: genuine({ target: '/v1/complaints?' }) },
  {
    name: 'user, GET with percent-encoding, which is not decoded',
    message: genuine({ target: '/v1/complaints/%C3%A9%2B?q=a%20b+c&q=/?' }),
  },
  { name: 'user, POST with a body', message: post() },
  { name: 'user, PUT with a body and no content-type', message: genuine({ method: 'PUT', body: 'x' }) },
  { name: 'user, DELETE without a body: the empty digest', message: genuine({ method: 'DELETE' }) },
  {
    name: 'user, GET with a content-type, which is not covered without a digest',
    message: genuine({ contentType: 'text/plain' }),
  },
  { name: 'user, HMAC', message: genuine({ key: hmacKey }) },
  { name: 'user, with a txn-token', message: genuine({ txnToken: txn }) },
  {
    name: 'user, with every optional header',
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
    name: 'user, body without a digest on a stream path',
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
    name: 'headers outside the contract, one of them repeated',
    message: plus(get(), ['accept', '*/*'], ['accept', 'text/html'], ['x-forwarded-for', '192.0.2.7']),
  },
  {
    name: 'a body without content-length or transfer-encoding',
    message: genuine({ method: 'POST', body: '{}', unannounced: true }),
  },
  {
    name: 'user, GET with a body on a stream path',
    message: { ...plus(get(), ['content-length', '8']), body: Buffer.from('anything') },
    stream: true,
  },
  {
    name: 'user, GET with a body without content-length on a stream path',
    message: { ...get(), body: Buffer.from('anything') },
    stream: true,
  },
  { name: 'service, with a txn-token and no user', message: genuine({ as: service, txnToken: txn }) },
  { name: '256 headers', message: plus(get(), ...spareHeaders(256 - get().headers.length)) },
  { name: 'a long header name without a reserved prefix', message: plus(get(), [`y${'x'.repeat(70)}_user`, 'a']) },
  { name: 'user, M-SEARCH', message: genuine({ method: 'M-SEARCH' }) },
  { name: 'user, a method of 20 and 20 letters', message: genuine({ method: `${'A'.repeat(20)}-${'B'.repeat(20)}` }) },
  { name: 'an apostrophe in the path', message: genuine({ target: "/v1/o'brien" }) },
  { name: 'empty segments and a semicolon', message: genuine({ target: '/a//b;c' }) },
  {
    name: 'user, GET with an empty media type: not covered without a digest',
    message: plus(get(), ['content-type', '']),
  },
  { name: 'a segment of three dots', message: genuine({ target: '/a/.../b' }) },
  ...['/a/...;/b', '/a/b;../c', '/a/;../b', '/a/..b;/c', '/a/%3b../b', '/a/..%3c/b', '/a/..%253b/b', '/a?b=/..;/c'].map(
    (target) => ({ name: `dots beside a semicolon: ${target}`, message: genuine({ target }) }),
  ),
  { name: 'dots in the query', message: genuine({ target: '/a?b=/../c' }) },
  { name: 'a path of 16384 characters', message: genuine({ target: `/${'a'.repeat(16_383)}` }) },
  { name: 'a query of 16384 characters', message: genuine({ target: `/?${'a'.repeat(16_383)}` }) },
  { name: 'user, HEAD', message: genuine({ method: 'HEAD' }) },
  { name: 'user, OPTIONS without a body: the empty digest', message: genuine({ method: 'OPTIONS' }) },
  { name: 'user, GET with a digest, which is checked', message: genuine({ digested: true }) },
  { name: 'user, a digest on a stream path, which is checked', message: post(), stream: true },
  { name: 'user, GET with content-length 0', message: plus(get(), ['content-length', '0']) },
  { name: 'user, content-encoding identity', message: plus(post(), ['content-encoding', 'Identity']) },
  {
    name: 'user, a content-encoding without a body',
    message: plus(genuine({ method: 'POST' }), ['content-length', '0'], ['content-encoding', 'gzip']),
  },
  {
    name: 'user, a content-encoding on a stream path',
    message: plus(genuine({ method: 'POST', body: 'anything', streamed: true }), ['content-encoding', 'gzip']),
    stream: true,
  },
  {
    name: 'a refused request does not use up its nonce',
    message: post(),
    before: [{ ...post(), body: Buffer.from('x') }, withHeader(post(), 'x-user-id', 'u-2')],
  },
  { name: '5 s before created', message: get(), at: nowSec - 5 },
  { name: '5 s after expires', message: get(), at: nowSec + 35 },
  { name: 'created in the first second of the nonce memory', message: get(), memoryBegan: nowSec },
];

/** A request without identity headers. */
export const bare = (method: string, target: string, ...headers: Pair[]): Message => ({
  method,
  target,
  headers: [['accept', '*/*'], ...headers],
  body: Buffer.alloc(0),
});

const spoofed: Pair[] = [
  ['x-user-id', 'root'],
  ['X_User_Role', 'admin'],
  ['x-tenant-name', 'acme'],
  ['txn_token', 'a.b.c'],
  ['x-user-id', 'twice'],
  ['xuser', 'kept'],
];

/** Requests that need no identity, and the headers that their handlers see. */
export const exemptCases: readonly VectorCase[] = [
  {
    name: 'exempt: 300 headers',
    message: bare('GET', '/healthz', ...spareHeaders(300)),
    exempt: ['accept', ...spareHeaders(300).map(([name]) => name)],
  },
  { name: 'exempt: a query that no target may have', message: bare('GET', '/healthz?a b'), exempt: ['accept'] },
  {
    name: 'exempt: a long query',
    message: bare('GET', `/.well-known/jwks.json?${'q'.repeat(300)}`),
    exempt: ['accept'],
  },
  {
    name: 'exempt: a header twice, in its own case',
    message: bare('GET', '/healthz', ['Accept', 'a'], ['Y-A', 'b']),
    exempt: ['accept', 'Accept', 'Y-A'],
  },
  ...['/healthz', '/readyz', '/metrics', '/.well-known/jwks.json', '/.well-known/a/b-c_d.e', '/healthz?verbose=1'].map(
    (target): VectorCase => ({ name: `exempt: ${target}`, message: bare('GET', target), exempt: ['accept'] }),
  ),
  { name: 'exempt: HEAD', message: bare('HEAD', '/healthz'), exempt: ['accept'] },
  {
    name: 'exempt: a path of 256 characters',
    message: bare('GET', `/.well-known/${'a'.repeat(243)}`),
    exempt: ['accept'],
  },
  {
    name: 'exempt: identity headers and their aliases are removed',
    message: bare('GET', '/healthz', ...spoofed),
    exempt: ['accept', 'xuser'],
  },
  {
    name: 'exempt: signature headers are removed and not verified',
    message: plus(without(genuine({ target: '/healthz' }), 'x-identity'), ['accept', '*/*']),
    exempt: ['accept'],
  },
];
