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
  withHeader,
  without,
} from './forge.ts';
import { ambiguousKeys, duplicateKidKeys } from './key-set.ts';
import { accepted, bare, exemptCases } from './vector-accepted.ts';
import { addressAccepted, addressRefused } from './vector-addresses.ts';
import { characterRefused } from './vector-characters.ts';
import { gapAccepted, gapRefused } from './vector-gaps.ts';
import { grammarAccepted, grammarRefused } from './vector-grammar.ts';
import { keyAccepted, keyRefused } from './vector-keys.ts';
import { machineAccepted, machineRefused } from './vector-machines.ts';
import { orderRefused } from './vector-order.ts';
import {
  anonymous,
  changed,
  emptyDigest,
  get,
  params,
  post,
  type Refused,
  service,
  spareHeaders,
  txn,
  uncovered,
  upgrade,
  upgrading,
  type VectorCase,
} from './vector-parts.ts';
import { tableRefused } from './vector-table.ts';

const input = (message: Message, change: (value: string) => string) => changed(message, 'signature-input', change);
/** Adds headers that this kind of caller must not have, and covers them. */
const covering = (message: Message, ...more: Pair[]) =>
  forged(plus(message, ...more), { components: [...componentsOf(message), ...more.map(([name]) => name)] });
/** A `signature-input` of exactly this length. Its component list has a valid form but too many components. */
function inputOfLength(length: number): Message {
  const grown = (size: number) => forged(get(), { components: [...componentsOf(get()), ...filler(size)] });
  const empty = (grown(0).headers.find(([name]) => name === 'signature-input')?.[1] ?? '').length;
  return grown(length - empty);
}
/** Component names that take up this many characters in a list, including quotes and spaces. */
const filler = (size: number) =>
  size === 0
    ? []
    : Array.from({ length: 12 }, (_, index) => 'x'.repeat(Math.floor(size / 12) - 3 + (index < size % 12 ? 1 : 0)));
const nextBase64 = (end: string) => String.fromCharCode(end.charCodeAt(0) + 1);
/** Near misses of an exempt path: each character first in a segment, and later. */
const oddWellKnown = (characters: string) =>
  Object.fromEntries(
    [...characters]
      .flatMap((character) => [`/.well-known/${character}a`, `/.well-known/a${character}b`])
      .map((target) => [`${target} is not exempt`, bare('GET', target)]),
  );
const gateway = () => genuine({ as: { kind: 'gateway' } });

const refusedFor: Refused = {
  target_malformed: {
    ...oddWellKnown(' "#<>\\^`{|}\t\n\u00e9'),
    'absolute form': { ...get(), target: 'http://service.test/v1/complaints' },
    'a fragment': { ...get(), target: '/v1/complaints#x' },
    'a target without a leading slash': { ...get(), target: '*' },
  },
  header_duplicated: {
    'a repeated content-length': plus(post(), ['content-length', '17']),
    'a repeated content-length on a GET': plus(get(), ['content-length', '0'], ['content-length', '0']),
    'a repeated transfer-encoding': plus(
      without(post(), 'content-length'),
      ['transfer-encoding', 'chunked'],
      ['transfer-encoding', 'chunked'],
    ),
    'a repeated content-encoding': plus(post(), ['content-encoding', 'identity'], ['content-encoding', 'identity']),
    'a second x-user-id in another letter case': plus(get(), ['X-User-ID', 'u-2']),
    'a second signature header with another label': plus(get(), ['signature', 'evil=:AAAA:']),
    'two content-types on a GET': plus(get(), ['content-type', 'text/plain'], ['content-type', 'text/html']),
  },
  header_alias: {
    ...Object.fromEntries(
      [...'!#$%&\'*+.^_`|~ "(),/:;<=>?@[\\]{}\t\n\u00e9'].map((character) => [
        `txn${character}token`,
        plus(get(), [`txn${character}token`, txn]),
      ]),
    ),
    Content_Digest: plus(get(), ['Content_Digest', emptyDigest]),
    'an underscore as the 64th character': plus(get(), [`x-user-${'a'.repeat(56)}_a`, 'root']),
    'x_service, an alias of a prefix': plus(get(), ['x_service', 'billing']),
    'an underscore in a long name': plus(get(), [`x-user_${'a'.repeat(100)}`, 'root']),

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
    'no signature headers': without(without(get(), 'signature'), 'signature-input'),
  },
  signature_malformed: {
    'another label': input(get(), (value) => value.replace('countersign=', 'sig1=')),
    'two labels': input(get(), (value) => `${value}, evil=("@method");created=1`),
    'parameters in another order': forged(get(), {
      params: standardParams().replace(/(;created=\d+)(;expires=\d+)/, '$2$1'),
    }),
    'an additional parameter': forged(get(), { params: `${standardParams()};x=1` }),
    'no nonce': forged(get(), { params: standardParams().replace(/;nonce="[^"]*"/, '') }),
    'a component with a parameter': input(get(), (value) => value.replace('"x-user-id"', '"x-user-id";sf')),
    'base64 with unused bits set': withHeader(
      get(),
      'signature',
      (get().headers.at(-1)?.[1] ?? '').replace(/.==:$/, 'B==:'),
    ),
    'a signature-input of 1025 characters': inputOfLength(1025),
    'a fractional time': params({ created: `${nowSec}.5` }),
  },
  tag_mismatch: { 'the tag of a nested call': params({ tag: 'countersign-service-v1' }) },
  header_missing: {
    'an upgrade without sec-websocket-key': forged(without(upgrading(), 'sec-websocket-key'), {
      components: componentsOf(upgrading()).filter((name) => name !== 'sec-websocket-key'),
    }),
    'a service with x-user-role only': covering(genuine({ as: service }), ['x-user-role', 'agent']),
    'a service with x-tenant-id only': covering(genuine({ as: service }), ['x-tenant-id', 'acme']),
  },
  header_malformed: {
    'content-length and transfer-encoding': plus(post(), ['transfer-encoding', 'chunked']),
    'content-length 0 and transfer-encoding': plus(get(), ['content-length', '0'], ['transfer-encoding', 'chunked']),
    'a content-encoding with a digest': plus(post(), ['content-encoding', 'gzip']),
    'a content-encoding with a digest, and a body without content-length': plus(
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

    'a signed role in upper case': forged(withHeader(get(), 'x-user-role', 'Admin'), {}),
    'two values in one header': forged(withHeader(get(), 'x-user-id', 'u-1, u-2'), {}),
    'an unknown kind': forged(withHeader(get(), 'x-identity', 'root'), {}),
    'a request id that is a UUIDv4': forged(
      withHeader(get(), 'x-request-id', '00000000-0000-4000-8000-000000000000'),
      {},
    ),
    'a repeated context member': forged(withHeader(get(), 'x-identity-context', 'ip="192.0.2.7", ip="192.0.2.8"'), {}),
    'an unknown context member': forged(withHeader(get(), 'x-identity-context', 'ip="192.0.2.7", admin=1'), {}),
    'a digest of another algorithm': forged(withHeader(post(), 'content-digest', 'md5=:rL0Y20zC+Fzt72VPzMSk2A==:'), {}),
  },
  coverage_insufficient: {
    'an empty component list': forged(get(), { components: [] }),
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
    'an undefined header with a reserved prefix, covered': covering(get(), ['x-tenant-name', 'root']),
    'a sec-websocket-key without upgrade': plus(get(), ['sec-websocket-key', upgrade.key]),
    'a sec-websocket-key without upgrade, covered': covering(get(), ['sec-websocket-key', upgrade.key]),

    ...Object.fromEntries(
      ['@method', '@path', '@query'].map((name) => [`${name} is not covered`, uncovered(get(), name)]),
    ),
    'components in another order': forged(get(), { components: componentsOf(get()).reverse() }),
    'an additional component': forged(plus(get(), ['date', 'now']), { components: [...componentsOf(get()), 'date'] }),
    'a removed digest': without(post(), 'content-digest'),
    'an underscore after the 64th character': plus(get(), [`x-user-${'a'.repeat(57)}_a`, 'root']),
    'a signature-input of 1024 characters': inputOfLength(1024),
    'an undefined identity header': plus(get(), ['x-user-email', 'root@example.com']),
    'an added txn-token': plus(get(), ['txn-token', txn]),
    'an added upgrade': plus(get(), ['upgrade', 'websocket'], ['sec-websocket-key', upgrade.key]),
  },
  audience_mismatch: { 'signed for another service': genuine({ audience: 'users-service' }) },
  lifetime_invalid: {
    'a lifetime of 61 s': params({ expires: nowSec + 61 }),
    'expires equals created': params({ expires: nowSec }),
    'expires before created': params({ expires: nowSec - 1 }),
  },
  created_in_future: { '6 s before created': { message: get(), at: nowSec - 6 } },
  expired: { '6 s after expires': { message: get(), at: nowSec + 36 } },
  content_digest_missing: {
    'an OPTIONS without the empty digest': genuine({ method: 'OPTIONS', streamed: true }),
    'content-length 00 on a GET': plus(get(), ['content-length', '00']),

    'a body without content-length on a GET': { ...get(), body: Buffer.from('x') },
    'a transfer-encoding on a GET with an empty body': plus(get(), ['transfer-encoding', 'chunked']),
    'a body on an upgrade': { ...plus(upgrading(), ['content-length', '1']), body: Buffer.from('x') },
    'a body on a GET': { ...plus(get(), ['content-length', '1']), body: Buffer.from('x') },
    'a chunked body on a GET': { ...plus(get(), ['transfer-encoding', 'chunked']), body: Buffer.from('x') },
    'a body without a digest on a path that is not a stream path': genuine({
      method: 'POST',
      body: 'anything',
      streamed: true,
    }),
    'a DELETE without the empty digest': genuine({ method: 'DELETE', streamed: true }),
  },
  key_unknown: {
    'an unknown keyid': params({ keyid: 'ed-9' }),
    'a public key under the keyid of a secret': genuine({ key: ambiguousKeys[1] as typeof hmacKey }),
    'a secret whose keyid is in the key set': genuine({ key: ambiguousKeys[0] as typeof hmacKey }),
    'the first of two keys with the same kid': genuine({ key: duplicateKidKeys[0] as typeof hmacKey }),
    'the second of two keys with the same kid': genuine({ key: duplicateKidKeys[1] as typeof hmacKey }),
  },
  algorithm_mismatch: { 'alg hmac-sha256 with an ed25519 key': params({ alg: 'hmac-sha256' }) },
  signature_invalid: {
    'another path': { ...get(), target: '/v1/users?status=open' },
    'another percent-encoding of the path': { ...get(), target: '/v1/%63omplaints?status=open' },
    'another query': { ...get(), target: '/v1/complaints?status=closed' },
    'another method': { ...get(), method: 'HEAD' },
    'another user': withHeader(get(), 'x-user-id', 'u-2'),
    'another tenant': withHeader(get(), 'x-tenant-id', 'globex'),
    'another content-type': withHeader(post(), 'content-type', 'text/html'),
    'another digest': withHeader(post(), 'content-digest', emptyDigest),
    'HMAC with a shared secret, under the keyid of a public key': forged(get(), {
      key: { ...hmacKey, keyid: 'ed-1' } as typeof hmacKey,
      params: standardParams(),
    }),
    'a signature by another key': forged(genuine({ key: hmacKey }), {
      key: { ...hmacKey, secret: Buffer.alloc(32, 1) } as typeof hmacKey,
    }),
  },
  content_digest_mismatch: {
    'another body on a stream path': { message: { ...post(), body: Buffer.from('x') }, stream: true },
    'a body on a GET with the empty digest': {
      ...plus(genuine({ digested: true }), ['content-length', '1']),
      body: Buffer.from('x'),
    },

    'another body': { ...post(), body: Buffer.from('{"title":"Nois3"}') },
    'a removed body': { ...post(), body: Buffer.alloc(0) },
  },
  created_before_start: {
    'created one second before the nonce memory began': { message: get(), memoryBegan: nowSec + 1, at: nowSec + 1 },
  },
  replayed: {
    'the nonce of another request': { message: genuine({ target: '/v1/users' }), before: [get()] },
    'a nonce that was used with another key': { message: genuine({ key: hmacKey }), before: [get()] },
    'a nonce that was used with a secret': { message: get(), before: [genuine({ key: hmacKey })] },

    'the second delivery': { message: get(), deliveredBefore: 1 },
    'the third delivery, 5 s after expires': { message: get(), deliveredBefore: 2, at: nowSec + 35 },
  },
};

const tables = [
  refusedFor,
  tableRefused,
  machineRefused,
  characterRefused,
  orderRefused,
  grammarRefused,
  keyRefused,
  addressRefused,
  gapRefused,
];
const refused = tables.flatMap((table) =>
  Object.entries(table).flatMap(([reason, cases]) =>
    Object.entries(cases).map(([name, given]): VectorCase => {
      const rest = 'message' in given ? given : { message: given as Message };
      return { name: `${reason}: ${name}`, message: get(), ...rest, refused: reason as RefusalReason };
    }),
  ),
);

export const vectorCases: readonly VectorCase[] = [
  ...accepted,
  ...machineAccepted,
  ...grammarAccepted,
  ...keyAccepted,
  ...addressAccepted,
  ...exemptCases,
  ...refused,
  ...gapAccepted,
];
