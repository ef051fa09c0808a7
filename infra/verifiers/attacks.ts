import type { Relayed } from './tampering-relay.ts';

/** A change to a request that the gateway signed, and why the service refuses it. */
export type Attack = Readonly<{ name: string; edit: (request: Relayed) => Relayed; reason: string; post?: true }>;

type Line = Relayed['lines'][number];
type Edit = Attack['edit'];

const mapLines =
  (change: (line: Line) => readonly Line[]): Edit =>
  (request) => ({ ...request, lines: request.lines.flatMap(change) });
const isNamed = (name: string, [given]: Line) => given.toLowerCase() === name;

const without = (name: string): Edit => mapLines((line) => (isNamed(name, line) ? [] : [line]));
const plus =
  (...added: readonly Line[]): Edit =>
  (request) => ({ ...request, lines: [...added, ...request.lines] });
const changed = (name: string, change: (value: string) => string): Edit =>
  mapLines((line) => [isNamed(name, line) ? [line[0], change(line[1])] : line]);
const withValue = (name: string, value: string) => changed(name, () => value);
const edited = (name: string, from: string | RegExp, to: string) => changed(name, (value) => value.replace(from, to));
const input = (from: string | RegExp, to: string) => edited('signature-input', from, to);
/** Moves the times of a signature. */
const shifted = (bySec: number) =>
  changed('signature-input', (value) =>
    value.replace(/(created|expires)=(\d+)/g, (_all, name, sec) => `${name}=${Number(sec) + bySec}`),
  );
const target =
  (to: string): Edit =>
  (request) => ({ ...request, target: to });
const body =
  (text: string): Edit =>
  (request) =>
    withValue('content-length', String(text.length))({ ...request, body: Buffer.from(text) });

const refused = (reason: string, attacks: Readonly<Record<string, Edit>>): Attack[] =>
  Object.entries(attacks).map(([name, edit]) => ({ name, edit, reason }));
const refusedPosts = (reason: string, attacks: Readonly<Record<string, Edit>>): Attack[] =>
  refused(reason, attacks).map((attack) => ({ ...attack, post: true }));

/** Every rule of docs/identity-contract.md that someone between the gateway and a service could try. */
export const attacks: readonly Attack[] = [
  ...refused('target_malformed', {
    'a dot segment': target('/v1/things/../admin'),
    'an encoded dot segment': target('/v1/things/%2e%2E/admin'),
    'a dot segment with parameters': target('/v1/things/..;/admin'),
    'two slashes in front': target('//v1/things/1'),
    'an absolute target': target('http://service.test/v1/things/1'),
    'a fragment': target('/v1/things/1#/healthz'),
    'a method in lower case': (request) => ({ ...request, method: 'get' }),
  }),
  ...refused('header_duplicated', {
    'a second user id': plus(['x-user-id', 'root']),
    'a second user id in capitals': plus(['X-USER-ID', 'root']),
    'a second signature': plus(['signature', 'countersign=:AAAA:']),
    'a second content-type': plus(['content-type', 'a/b'], ['Content-Type', 'c/d']),
  }),
  ...refused('header_alias', {
    'an underscore': plus(['X_User_Id', 'root']),
    'a dot': plus(['x-user.role', 'admin']),
    'an alias of txn-token': plus(['Txn_Token', 'a.b.c']),
    'an alias that no field has': plus(['x_tenant_name', 'acme']),
  }),
  ...refused('coverage_insufficient', {
    'an identity header that is unknown': plus(['x-user-name', 'root']),
    'a service id for a user': plus(['x-service-id', 'users-service']),
    'a client id for a user': plus(['x-client-id', 'client-1']),
    'an anonymous user': withValue('x-identity', 'anonymous'),
    'a user of the kind gateway': withValue('x-identity', 'gateway'),
    'a digest that is not covered': plus(['content-digest', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:']),
    'a txn-token that is not covered': plus(['txn-token', 'a.b.c']),
    'a list without the role': input(' "x-user-role"', ''),
    'a list in another order': input('"@method" "@path"', '"@path" "@method"'),
    'an empty list': input(/\(.*\)/, '()'),
  }),
  ...refused('header_missing', {
    'no kind': without('x-identity'),
    'no tenant': without('x-tenant-id'),
    'no user': without('x-user-id'),
    'no context': without('x-identity-context'),
    'no request id': without('x-request-id'),
  }),
  ...refused('header_malformed', {
    'another kind': withValue('x-identity', 'root'),
    'an empty user id': withValue('x-user-id', ''),
    'a role in capitals': withValue('x-user-role', 'Admin'),
    'an unknown member of the context': edited('x-identity-context', /^/, 'admin=?1, '),
    'a member of the context twice': edited('x-identity-context', /^/, 'ip="192.0.2.1", '),
    '257 headers': plus(...Array.from({ length: 257 }, (_, index): Line => [`x-filler-${index}`, 'a'])),
  }),
  ...refused('signature_missing', {
    'no signature': without('signature'),
    'no signature-input': without('signature-input'),
  }),
  ...refused('signature_malformed', {
    'another label': input('countersign=', 'sig1='),
    'two labels': input(/^/, 'sig1=("@method");created=1, '),
    'a parameter in front': input(';created=', ';x="y";created='),
    'no nonce': input(/;nonce="[^"]*"/, ''),
    'a leading zero': input('created=', 'created=0'),
    'half a signature': edited('signature', /.{44}:$/, ':'),
    'no signature bytes': withValue('signature', 'countersign=::'),
    base64url: edited('signature', /:.{4}/, ':-_-_'),
  }),
  ...refused('tag_mismatch', { 'the tag of a nested call': input('countersign-v1', 'countersign-service-v2') }),
  ...refused('audience_mismatch', { 'another audience': withValue('x-identity-audience', 'another-service') }),
  ...refused('lifetime_invalid', {
    'a lifetime of more than a minute': input(/expires=\d+/, 'expires=999999999999'),
    'a lifetime of nothing': input(/created=(\d+);expires=\d+/, 'created=$1;expires=$1'),
  }),
  ...refused('created_in_future', { 'a signature of tomorrow': shifted(86_400) }),
  ...refused('expired', { 'a signature of yesterday': shifted(-86_400) }),
  ...refused('key_unknown', {
    'another key': input(/keyid="[^"]*"/, 'keyid="another"'),
    'an unknown agreed key': input(/keyid="[^"]*"/, `keyid="${'g'.repeat(43)}.${'s'.repeat(43)}"`),
  }),
  ...refused('algorithm_mismatch', {
    'HMAC with the public key': input('alg="ed25519"', 'alg="hmac-sha256"'),
    'no algorithm': input('alg="ed25519"', 'alg="none"'),
  }),
  ...refused('signature_invalid', {
    'another user': withValue('x-user-id', 'root'),
    'another role': withValue('x-user-role', 'admin'),
    'another tenant': withValue('x-tenant-id', 'another'),
    'another address': edited('x-identity-context', /ip="[^"]*"/, 'ip="192.0.2.1"'),
    'another path': target('/v1/things/2?a=b'),
    'another query': target('/v1/things/1?a=c'),
    'no query': target('/v1/things/1'),
    'a parameter of the path': target('/v1/things/1;x?a=b'),
    'HEAD for GET': (request) => ({ ...request, method: 'HEAD' }),
    'another nonce': input(/nonce="..../, 'nonce="AAAA'),
    'a signature of zeros': withValue('signature', `countersign=:${'A'.repeat(86)}==:`),
    'a MAC in place of a signature': withValue('signature', `countersign=:${'A'.repeat(43)}=:`),
  }),
  ...refused('content_digest_missing', {
    'POST for GET': (request) => ({ ...request, method: 'POST' }),
    'a body on a GET': (request) => ({ ...plus(['content-length', '2'])(request), body: Buffer.from('{}') }),
  }),
  ...refusedPosts('content_digest_mismatch', {
    'another body': body('{"amount":999}'),
    'no body': body(''),
    'a longer body': body('{"amount":100} '),
  }),
  ...refusedPosts('signature_invalid', {
    'another media type': withValue('content-type', 'text/plain'),
    'a digest of another body': (request) =>
      body('')(withValue('content-digest', 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:')(request)),
    'PUT for POST': (request) => ({ ...request, method: 'PUT' }),
  }),
  ...refusedPosts('coverage_insufficient', { 'no digest': without('content-digest') }),
  ...refusedPosts('header_malformed', {
    'a coding': plus(['content-encoding', 'gzip']),
    'a digest of another algorithm': withValue('content-digest', 'sha-512=:AAAA:'),
  }),
];

/** Targets that a service must not take for one that needs no identity. */
export const notExempt: readonly (readonly [method: string, target: string])[] = [
  ...['POST', 'PUT', 'DELETE', 'OPTIONS'].flatMap((method) => [
    [method, '/healthz'] as const,
    [method, '/.well-known/jwks.json'] as const,
  ]),
  ...[
    '/',
    '/nowhere',
    '/healthz/',
    '/HEALTHZ',
    '/healthz%2f',
    '/healthz/../v1/things/1',
    '//healthz',
    '/metrics;x',
    '/.well-known',
    '/.well-known/',
    '/.well-known/../v1/things/1',
    '/.well-known/%2e%2e/v1/things/1',
    '/.well-known//v1/things/1',
    '/v1/things/1?/healthz',
    '/v1/things/1#/healthz',
    'http://service.test/healthz',
  ].map((target) => ['GET', target] as const),
];
