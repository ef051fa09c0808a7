import { audience, type Message, nowSec, type Pair, requestId } from './forge.ts';
import {
  bindingTo,
  type Claims,
  clientClaims,
  issuer,
  publicTokenJwk,
  serviceClaims,
  signEs256,
  signedBy,
  tokenHeader,
  tokenJwks,
  tokenOf,
  userClaims,
} from './token-forge.ts';
import { withVectors } from './vectors.ts';

type Verdict = 'accept' | 'refuse';
type TokenCase = Readonly<{
  name: string;
  token?: string;
  request?: Message;
  at?: number;
  stream?: true;
  delivered?: number;
  before?: readonly Readonly<{ token: string; request: Message }>[];
  /** The caller with `claims`, as in vectors.json. Absent if a token is refused. */
  identity?: object;
  refused?: string;
  library?: Verdict;
}>;

const message = (method: string, target: string, body = '', headers: Pair[] = []): Message => ({
  method,
  target,
  headers: [
    ['x-request-id', requestId],
    ...(body === '' ? [] : [['content-length', String(body.length)] as const]),
    ...headers,
  ],
  body: Buffer.from(body),
});
const json: Pair = ['content-type', 'application/json'];
const get = message('GET', '/v1/complaints?status=open');
const post = message('POST', '/v1/complaints', '{"amount":100}', [json]);
const socket = message('GET', '/v1/socket', '', [
  ['upgrade', 'websocket'],
  ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
]);
const upload = message('POST', '/v1/upload', 'a,b\n1,2\n', [['content-type', 'text/csv']]);

/** A token for one request. */
const bound = (request: Message, claims: Claims = userClaims) => tokenOf({ ...claims, ...bindingTo(request) });
const forStream = tokenOf({ ...userClaims, ...bindingTo(upload, true) });
const changed = (over: Claims, request = get) => tokenOf({ ...userClaims, ...bindingTo(request), ...over });
const withReq = (over: Claims, request = post) =>
  changed({ req: { ...(bindingTo(request).req as object), ...over } }, request);
const under = (over: Claims, signed?: (text: string) => Uint8Array) =>
  tokenOf({ ...userClaims, ...bindingTo(get) }, { ...tokenHeader, ...over }, signed);
const signature = (change: (bytes: Buffer) => Uint8Array) => under({}, (text) => change(signEs256(tokenJwks[0], text)));
const withText = (before: string, after: string) =>
  tokenOf(JSON.stringify({ ...userClaims, ...bindingTo(get) }).replace(before, after));

/** RFC 3279 section 2.2.3: two signed integers. */
function der(bytes: Buffer): Buffer {
  const integers = [bytes.subarray(0, 32), bytes.subarray(32)].map((half) => {
    const value = half.readUInt8(0) < 0x80 ? half : Buffer.concat([Buffer.of(0), half]);
    return Buffer.concat([Buffer.of(2, value.length), value]);
  });
  const content = Buffer.concat(integers);
  return Buffer.concat([Buffer.of(0x30, content.length), content]);
}

const [payloadOfGet = ''] = [bound(get).split('.')[1]];
const altered = Buffer.from(payloadOfGet, 'base64url').toString().replace('"role":"agent"', '"role":"admin"');

const context = {
  iss: 'https://issuer.example',
  sid: 's-1',
  auth_time: nowSec - 1000,
  amr: ['pwd', 'otp'],
  jkt: userClaims.jkt,
  client: 'web',
  scope: ['orders.read', 'orders.write'],
  act: userClaims.act,
};
const user = {
  kind: 'user',
  user_id: 'u-1',
  role: 'agent',
  tenant_id: 'acme',
  request_id: requestId,
  context,
  claims: { department: 'sales' },
};
const client = {
  kind: 'client',
  client_id: 'client-1',
  request_id: requestId,
  context: { iss: 'https://issuer.example' },
  claims: {},
};
const service = { kind: 'service', service_id: 'users-service', request_id: requestId, context: {}, claims: {} };
const forUser = { user_id: 'u-1', role: 'agent', tenant_id: 'acme' };

/** Accepted by a library and by the check of `req`. */
const accepted: readonly TokenCase[] = [
  { name: 'GET of a user', identity: user },
  { name: 'POST with a body', request: post, identity: user },
  { name: 'a WebSocket', request: socket, identity: user },
  { name: 'a stream', token: forStream, request: upload, stream: true, identity: user },
  {
    name: 'a content-type that a GET does not bind',
    request: { ...get, headers: [...get.headers, json] },
    token: bound(get),
    identity: user,
  },
  { name: 'a client', token: bound(get, clientClaims), identity: client },
  { name: 'a service', token: bound(get, serviceClaims), identity: service },
  {
    name: 'a service that acts for a user',
    token: bound(get, { ...serviceClaims, ...forUser }),
    identity: { ...service, user: forUser },
  },
  {
    name: 'a service that acts for a client',
    token: bound(get, { ...serviceClaims, client_id: 'client-1', role: 'agent' }),
    identity: { ...service, client: { client_id: 'client-1', role: 'agent' } },
  },
  {
    name: 'a token without req, on any request',
    token: tokenOf({ ...userClaims, exp: nowSec + 300 }),
    request: post,
    delivered: 1,
    identity: user,
  },
  { name: '5 s before nbf', at: nowSec - 5, identity: user },
  { name: '5 s after exp', at: nowSec + 34, identity: user },
  {
    name: 'a refused request does not use up its jti',
    request: post,
    before: [{ token: bound(post), request: { ...post, body: Buffer.from('{"amount":900}') } }],
    identity: user,
  },
  {
    name: 'copied claims of each type',
    token: changed({ level: 3, isStaff: true, teams: ['a', 'b'] }),
    identity: { ...user, claims: { department: 'sales', level: 3, isStaff: true, teams: ['a', 'b'] } },
  },
];

/** Refused by a library, under the name of our reason. */
const refusedByLibrary: Readonly<Record<string, Readonly<Record<string, string | Omit<TokenCase, 'name'>>>>> = {
  audience_mismatch: {
    'a token for another service': changed({ aud: 'users-service', iss: issuer.replace('complaint', 'users') }),
    'another audience': changed({ aud: 'users-service' }),
    'the issuer of another service': changed({ iss: issuer.replace('complaint', 'users') }),
  },
  expired: { '6 s after exp': { at: nowSec + 36 } },
  created_in_future: { '6 s before nbf': changed({ nbf: nowSec + 6 }) },
  signature_invalid: {
    'an altered payload': bound(get).replace(payloadOfGet, Buffer.from(altered).toString('base64url')),
    'the key of another gateway under this kid': under({}, signedBy.another),
    'a signature of 63 bytes': signature((bytes) => bytes.subarray(0, 63)),
    'a signature of 65 bytes': signature((bytes) =>
      Buffer.concat([bytes.subarray(0, 32), Buffer.of(0), bytes.subarray(32)]),
    ),
    'a signature in DER': signature(der),
  },
  algorithm_mismatch: {
    'alg none': under({ alg: 'none' }, () => Buffer.alloc(0)),
    'HS256 with the public key as the secret': under({ alg: 'HS256' }, signedBy.hs256),
    EdDSA: under({ alg: 'EdDSA' }, signedBy.ed25519),
  },
  key_unknown: {
    'an unknown kid': under({ kid: 'vectors-token-3' }),
    'a token of another gateway': under({ kid: 'vectors-token-2' }, signedBy.another),
  },
};

/** Accepted by a library, and refused by our verifiers without `req`. */
const strict: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tag_mismatch: { 'the typ of an access token': under({ typ: 'at+jwt' }) },
  audience_mismatch: { 'a list of audiences': changed({ aud: [audience, 'users-service'] }) },
  signature_malformed: {
    'two members of one name': withText('"role":"agent"', '"role":"agent","role":"admin"'),
    'a kind of caller that gets no token': changed({ caller: 'anonymous' }),
    'sub is not the user': changed({ sub: 'u-2' }),
    'req without jti': changed({ jti: undefined }),
  },
  lifetime_invalid: { 'a lifetime of 61 s with req': changed({ exp: nowSec + 61 }) },
};

/** Accepted by a library, and refused by the check of `req`. */
const refusedByReq: Readonly<Record<string, Readonly<Record<string, Omit<TokenCase, 'name'>>>>> = {
  coverage_insufficient: {
    'moved to another method': { token: bound(get), request: { ...get, method: 'HEAD' } },
    'moved to another path': { token: bound(get), request: { ...get, target: '/v1/admin?status=open' } },
    'moved to another query': { token: bound(get), request: { ...get, target: '/v1/complaints?status=all' } },
    'moved to another content-type': {
      token: bound(post),
      request: { ...post, headers: [...post.headers.slice(0, -1), ['content-type', 'text/plain']] },
    },
    'a removed content-type': { token: bound(post), request: { ...post, headers: post.headers.slice(0, -1) } },
    'an added upgrade': { token: bound({ ...socket, headers: [] }), request: socket },
    'a removed upgrade': { token: bound(socket), request: { ...socket, headers: socket.headers.slice(0, 1) } },
    'another sec-websocket-key': {
      token: bound(socket),
      request: {
        ...socket,
        headers: [...socket.headers.slice(0, -1), ['sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA==']],
      },
    },
    'a member of req that is unknown': { token: withReq({ z: 'x' }), request: post },
  },
  content_digest_mismatch: {
    'moved to another body': { token: bound(post), request: { ...post, body: Buffer.from('{"amount":900}') } },
  },
  content_digest_missing: {
    'a body without a digest, where nothing is streamed': { token: forStream, request: upload },
    'a body added to a GET': { token: bound(get), request: { ...get, body: Buffer.from('x') } },
  },
  header_malformed: {
    'a body in a content coding': {
      token: bound(post),
      request: { ...post, headers: [...post.headers, ['content-encoding', 'gzip']] },
    },
  },
  replayed: { 'the second delivery': { delivered: 1 } },
};

const named = <C>(table: Readonly<Record<string, Readonly<Record<string, C>>>>) =>
  Object.entries(table).flatMap(([refused, cases]) =>
    Object.entries(cases).map(([name, given]) => ({
      ...(typeof given === 'string' ? { token: given } : (given as Omit<TokenCase, 'name'>)),
      name: `${refused}: ${name}`,
      refused,
    })),
  );

function toVector(one: TokenCase, library: Verdict, req: Verdict): object {
  const { name, request = get, token = bound(request), at = nowSec, stream = false, delivered = 0, before = [] } = one;
  const sent = (text: string, { method, target, headers, body }: Message) => ({
    token: text,
    request: { method, target, headers, body_base64: body.toString('base64') },
  });
  return {
    name,
    now: at,
    stream,
    delivered_before: delivered,
    ...(before.length > 0 && { before: before.map((each) => sent(each.token, each.request)) }),
    ...sent(token, request),
    library,
    req,
    ...(one.refused === undefined ? { identity: one.identity } : { refused: one.refused }),
  };
}

export function makeIdentityTokenVectors(): string {
  const file = {
    about:
      'Identity tokens, valid and invalid, with what a JWT library decides, and what the check of `req` adds. See https://github.com/countersign/countersign/blob/main/docs/contract-vectors.md Generated by `npm run vectors`. Every key here is public.',
    verifier: { issuer, audience, tolerance_sec: 5 },
    jwks: { keys: [publicTokenJwk(tokenJwks[0])] },
  };
  return withVectors(file, [
    ...accepted.map((each) => toVector(each, 'accept', 'accept')),
    ...named(refusedByLibrary).map((each) => toVector(each, 'refuse', 'accept')),
    ...named(strict).map((each) => toVector(each, 'accept', 'accept')),
    ...named(refusedByReq).map((each) => toVector(each, 'accept', 'refuse')),
  ]);
}
