import { forged, genuine, type Message, nowSec, plus, standardParams, withHeader, without } from './forge.ts';
import {
  emptyDigest,
  get,
  params,
  post,
  type Refused,
  signedWith,
  spareHeaders,
  txn,
  upgrading,
} from './vector-parts.ts';

const alias = ['X_User_Id', 'root'] as const;
const unknownKind = (message: Message) => withHeader(message, 'x-identity', 'root');
const malformedId = (message: Message) => withHeader(message, 'x-request-id', 'x');
const otherBody = (message: Message): Message => ({ ...message, body: Buffer.from('x') });
const elsewhere = (message: Message) => forged(withHeader(message, 'x-identity-audience', 'users-service'), {});
const unknownKey = (message: Message) => forged(message, { params: standardParams({ keyid: 'ed-9' }) });

/** Requests with two faults. The first failing check determines the reason: section 7 of docs/identity-contract.md. */
export const orderRefused: Refused = {
  target_malformed: {
    'before 257 headers': plus({ ...get(), target: '/a b' }, ...spareHeaders(257 - get().headers.length)),
  },
  header_alias: {
    'before a duplicate in a later line': plus(get(), alias, ['x-user-id', 'u-1']),
    'before a body of two lengths': plus(get(), ['content-length', '0'], ['transfer-encoding', 'chunked'], alias),
    'before a missing signature': plus(without(get(), 'signature'), alias),
  },
  header_duplicated: {
    'before an alias in a later line': plus(get(), ['x-user-id', 'u-1'], alias),
    'before an unknown identity header in a later line': plus(get(), ['x-user-id', 'u-1'], ['x-user-name', 'root']),
  },
  signature_malformed: {
    'before another tag': withHeader(params({ tag: 'x' }), 'signature', 'x'),
  },
  tag_mismatch: { 'before a missing header': without(params({ tag: 'x' }), 'x-user-id') },
  header_missing: {
    'before a later malformed header': forged(withHeader(without(get(), 'x-user-id'), 'x-user-role', 'Admin'), {}),
    'before the dictionary of the context': forged(
      withHeader(without(get(), 'x-tenant-id'), 'x-identity-context', 'admin=1'),
      {},
    ),
    'an upgrade without its key, before its method': forged(
      { ...without(upgrading(), 'sec-websocket-key'), method: 'HEAD' },
      {},
    ),
  },
  header_malformed: {
    'the kind, before a missing header': forged(unknownKind(without(get(), 'x-request-id')), {}),
    'before a later missing header': forged(malformedId(without(get(), 'x-user-id')), {}),
    'a context that is too long, before a later missing header': forged(
      withHeader(without(get(), 'x-user-id'), 'x-identity-context', ' '.repeat(2049).replace(/^ | $/g, 'x')),
      {},
    ),
    'before another list': withHeader(get(), 'x-user-role', 'Admin'),
    'an empty content-encoding under a digest': plus(post(), ['content-encoding', '']),
    'a content-encoding under a digest where the service says stream': {
      message: plus(post(), ['content-encoding', 'gzip']),
      stream: true,
    },
    'a content-encoding, before an unknown key': unknownKey(plus(post(), ['content-encoding', 'gzip'])),
    'a carriage return behind a value': signedWith(get(), 'x-user-id', 'u-1\r'),
  },
  coverage_insufficient: {
    'a header of another kind, before a later missing header': forged(
      plus(without(get(), 'x-user-id'), ['x-service-id', 'billing']),
      {},
    ),
    'before another audience': forged(withHeader(get(), 'x-identity-audience', 'users-service'), { components: ['x'] }),
  },
  audience_mismatch: {
    'before a lifetime that is too long': forged(withHeader(get(), 'x-identity-audience', 'users-service'), {
      params: standardParams({ expires: nowSec + 61 }),
    }),
    'before its end': { message: elsewhere(get()), at: nowSec + 99 },
  },
  lifetime_invalid: { 'before its end': { message: params({ expires: nowSec + 61 }), at: nowSec + 99 } },
  expired: {
    'before a missing digest': { message: genuine({ method: 'DELETE', streamed: true }), at: nowSec + 99 },
    'before an unknown key': { message: unknownKey(get()), at: nowSec + 99 },
  },
  content_digest_missing: {
    'before an unknown key': unknownKey(genuine({ method: 'DELETE', streamed: true })),
  },
  key_unknown: { 'before another body': unknownKey(otherBody(post())) },
  signature_invalid: { 'before another body': withHeader(otherBody(post()), 'x-user-id', 'u-2') },
  content_digest_mismatch: {
    'before a nonce that was used': { message: otherBody(post()), before: [post()] },
    'a digest of nothing, before a nonce that was used': {
      message: otherBody(signedWith(post(), 'content-digest', emptyDigest)),
      before: [post()],
    },
  },
  replayed: { 'with a txn-token': { message: genuine({ txnToken: txn }), deliveredBefore: 1 } },
};
