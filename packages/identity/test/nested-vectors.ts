import { createPrivateKey } from 'node:crypto';
import { contentDigest, type ServiceForm, signServiceRequest } from '../src/index.ts';
import {
  forged,
  genuine,
  type Message,
  nonce,
  nowSec,
  type Pair,
  plus,
  standardParams,
  withHeader,
  without,
} from './forge.ts';
import { callingServices as services } from './key-set.ts';
import { emptyDigest, type Refused, txn } from './vector-parts.ts';
import { baseOf, withVectors } from './vectors.ts';

/** The name of the called gateway. */
const gateway = 'gateway-1';
type Draft = Partial<
  Record<'method' | 'target' | 'body' | 'contentType' | 'txnToken' | 'audience' | 'nonce', string>
> & { form?: ServiceForm; by?: number };

/** A call as a service sends it. */
function call(draft: Draft = {}): Message {
  const { method = 'GET', target = '/internal/users/1?full=1', body = '', contentType, txnToken } = draft;
  const [path = '', query = ''] = target.split(/(?=\?)(.*)/s, 2);
  const jwk = services[draft.by ?? 0]?.jwk;
  const signed = signServiceRequest(
    { keyid: jwk?.kid ?? '', privateKey: createPrivateKey({ key: { ...jwk }, format: 'jwk' }) },
    {
      audience: draft.audience ?? gateway,
      method,
      path,
      query,
      contentDigest: contentDigest(Buffer.from(body)),
      contentType,
      txnToken,
    },
    { createdSec: nowSec, lifetimeSec: 30, nonce: draft.nonce ?? nonce },
    draft.form,
  );
  const headers: Pair[] = [];
  if (body !== '') headers.push(['content-length', String(body.length)]);
  if (contentType !== undefined) headers.push(['content-type', contentType]);
  return { method, target, headers: [...headers, ...signed], body: Buffer.from(body) };
}

const params = (over: Parameters<typeof standardParams>[0] = {}) =>
  standardParams({ keyid: 'vectors-complaint-1', tag: 'countersign-service-v2', ...over });
const withParams = (over: Parameters<typeof standardParams>[0]) => forged(call(), { params: params(over) });
/** Changes a header and signs the result, so that only its grammar can be wrong. */
const signedWith = (message: Message, name: string, value: string) =>
  forged(withHeader(message, name, value), { params: params() });
const covering = (components: string[], message = full()) => forged(message, { components, params: params() });
const get = () => call({ txnToken: txn });
const full = () =>
  call({ method: 'POST', target: '/internal/notes', body: '{"a":1}', contentType: 'application/json', txnToken: txn });
const components = ['@method', '@path', '@query', 'x-identity-audience', 'txn-token', 'content-type', 'content-digest'];
const but = (name: string) => components.filter((known) => known !== name);

type NestedCase = Readonly<{ name: string; message: Message; at?: number; before?: Message[]; delivered?: number }>;

const accepted: readonly NestedCase[] = [
  { name: 'GET for a user or client', message: get() },
  { name: 'GET for the service itself', message: call() },
  { name: 'GET without a query', message: call({ target: '/internal/users/1' }) },
  { name: 'POST with a body and its content-type', message: full() },
  { name: 'PUT with a body and no content-type', message: call({ method: 'PUT', body: 'x' }) },
  { name: 'GET with a content-type, which is covered', message: call({ contentType: 'text/plain' }) },
  { name: 'DELETE without a body: the empty digest', message: call({ method: 'DELETE' }) },
  { name: 'by another service', message: call({ by: 1 }) },
  { name: '5 s before created', message: call(), at: nowSec - 5 },
  { name: '5 s after expires', message: call(), at: nowSec + 35 },
  {
    name: 'other headers of the contract, which are not read',
    message: plus(call(), ['x-user-id', 'u-1'], ['x-request-id', 'x']),
  },
  {
    name: 'names in another case, and white space around values',
    message: { ...full(), headers: full().headers.map(([n, v]): Pair => [n.toUpperCase(), ` ${v}\t`]) },
  },
  {
    name: 'a refused call does not use up its nonce',
    message: full(),
    before: [{ ...full(), body: Buffer.from('x') }, withHeader(full(), 'content-type', 'text/html')],
  },
];

const refusedFor: Refused = {
  target_malformed: {
    'a dot segment before its parameter': forged({ ...call(), target: '/internal/..;/admin' }, { params: params() }),
    'before a missing signature': { ...without(call(), 'signature'), target: '/a b' },
  },
  header_duplicated: Object.fromEntries(
    ['content-type', 'x-identity-audience', 'txn-token', 'content-digest'].map((name) => [
      `a second ${name}`,
      plus(full(), [name, full().headers.find(([known]) => known === name)?.[1] ?? '']),
    ]),
  ),
  header_alias: { Txn_Token: plus(full(), ['Txn_Token', txn]) },
  signature_missing: { 'no signature': without(call(), 'signature') },
  signature_malformed: {
    'an additional parameter': forged(call(), { params: `${params()};x="a"` }),
    'no nonce': forged(call(), { params: params().replace(/;nonce="[^"]*"/, '') }),
    'no expires': forged(call(), { params: params().replace(/;expires=\d+/, '') }),
  },
  tag_mismatch: {
    'the form before: no audience and no content-type': call({ form: 'previous' }),
    "the gateway's signature for a service": genuine({ target: '/internal/users/1' }),
  },
  header_missing: { 'no audience': covering(but('x-identity-audience'), without(full(), 'x-identity-audience')) },
  content_digest_missing: { 'no digest': covering(but('content-digest'), without(full(), 'content-digest')) },
  header_malformed: {
    'a malformed audience': signedWith(full(), 'x-identity-audience', 'gateway 1'),
    'an unsigned JWT as txn-token': signedWith(full(), 'txn-token', 'a.b.'),
    'an empty content-type': signedWith(full(), 'content-type', ''),
    'a digest of another algorithm': signedWith(full(), 'content-digest', 'md5=:rL0Y20zC+Fzt72VPzMSk2A==:'),
  },
  coverage_insufficient: {
    ...Object.fromEntries(components.map((name) => [`${name} is not covered`, covering(but(name))])),
    'a header that is not part of a call, covered': covering(
      [...components, 'x-user-id'],
      plus(full(), ['x-user-id', 'u-1']),
    ),
    'an added txn-token': plus(call(), ['txn-token', txn]),
    'an added content-type': plus(call(), ['content-type', 'text/html']),
    'a removed txn-token': without(full(), 'txn-token'),
    'components in another order': covering(components.toReversed()),
  },
  audience_mismatch: {
    'to another gateway': call({ audience: 'gateway-2' }),
    'to a gateway whose name ends alike': call({ audience: 'my-gateway-1' }),
    'to a gateway whose name begins alike': call({ audience: 'gateway-10' }),
    'in upper case': call({ audience: 'GATEWAY-1' }),
  },
  lifetime_invalid: {
    'a lifetime of 31 s': withParams({ expires: nowSec + 31 }),
    'expires equals created': withParams({ expires: nowSec }),
  },
  created_in_future: { '6 s before created': { message: call(), at: nowSec - 6 } },
  expired: {
    'before an unknown key': { message: withParams({ keyid: 'vectors-complaint-2' }), at: nowSec + 36 },
    '6 s after expires': { message: call(), at: nowSec + 36 },
  },
  key_unknown: {
    'a keyid of no service': withParams({ keyid: 'vectors-complaint-2' }),
    'a keyid in upper case': withParams({ keyid: 'VECTORS-COMPLAINT-1' }),
  },
  algorithm_mismatch: { 'alg hmac-sha256': withParams({ alg: 'hmac-sha256' }) },
  signature_invalid: {
    'another method': { ...call(), method: 'DELETE' },
    'another path': { ...call(), target: '/internal/users/2?full=1' },
    'another query': { ...call(), target: '/internal/users/1?full=0' },
    'another txn-token': withHeader(full(), 'txn-token', `${txn}A`),
    'another content-type': withHeader(full(), 'content-type', 'text/html'),
    'another digest': withHeader(full(), 'content-digest', emptyDigest),
    'the key of one service under the keyid of another': withParams({ keyid: 'vectors-users-1' }),
  },
  content_digest_mismatch: {
    'another body': { ...full(), body: Buffer.from('{"a":2}') },
    'a body on a GET': { ...call(), body: Buffer.from('x') },
  },
  replayed: {
    'the second delivery': { message: call(), deliveredBefore: 1 },
    'the third delivery, 5 s after expires': { message: call(), deliveredBefore: 2, at: nowSec + 35 },
    'the nonce of another call': { message: full(), before: [call()] },
    'the nonce of a call by another service': { message: call(), before: [call({ by: 1 })] },
  },
};

function toVector({ name, message, at = nowSec, before = [], delivered = 0 }: NestedCase, expected: object): object {
  const request = ({ method, target, headers, body }: Message) => ({
    method,
    target,
    headers,
    body_base64: body.toString('base64'),
  });
  return {
    name,
    now: at,
    delivered_before: delivered,
    ...(before.length > 0 && { requests_before: before.map(request) }),
    request: request(message),
    ...expected,
  };
}

const valueIn = ({ headers }: Message, name: string) =>
  headers.find(([known]) => known.toLowerCase() === name)?.[1].trim();

/** The gateway's result for an accepted call, and what its signature covers. */
function expectedOf(message: Message): object {
  const keyid = /keyid="([^"]+)"/.exec(valueIn(message, 'signature-input') ?? '')?.[1];
  const { service_id } = services.find(({ jwk }) => jwk.kid === keyid) ?? {};
  const txnToken = valueIn(message, 'txn-token');
  return {
    call: { service_id, ...(txnToken !== undefined && { txn_token: txnToken }) },
    signature_base: baseOf(message),
  };
}

/** Generates nested-vectors.json. */
export function makeNestedVectors(): string {
  const file = {
    about:
      'Nested calls, valid and invalid, with the result that the gateway must return for each. See https://github.com/countersign/countersign/blob/main/docs/nested-calls.md Generated by `npm run vectors`. Every key here is public.',
    verifier: { audience: gateway, tolerance_sec: 5, max_lifetime_sec: 30 },
    services,
  };
  const refused = Object.entries(refusedFor).flatMap(([reason, cases]) =>
    Object.entries(cases).map(([name, given]) => {
      const rest = 'message' in given ? given : { message: given as Message };
      const { message = call(), deliveredBefore: delivered, at, before } = rest;
      const vector = { name: `${reason}: ${name}`, message, at, before, delivered };
      return toVector(vector as NestedCase, { refused: reason });
    }),
  );
  return withVectors(file, [...accepted.map((each) => toVector(each, expectedOf(each.message))), ...refused]);
}
