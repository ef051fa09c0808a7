import type { Relayed } from './tampering-relay.ts';

/** A change to a request that the gateway signed, and why the service refuses it. */
export type Attack = Readonly<{ name: string; edit: (request: Relayed) => Relayed; reason: string; post?: true }>;

type Line = Relayed['lines'][number];
type Edit = Attack['edit'];

const isNamed = (name: string, [given]: Line) => given.toLowerCase() === name;
const without =
  (name: string): Edit =>
  (request) => ({ ...request, lines: request.lines.filter((line) => !isNamed(name, line)) });
const plus =
  (...added: readonly Line[]): Edit =>
  (request) => ({ ...request, lines: [...added, ...request.lines] });
const edited =
  (name: string, from: string | RegExp, to: string): Edit =>
  (request) => ({
    ...request,
    lines: request.lines.map((line) => (isNamed(name, line) ? [line[0], line[1].replace(from, to)] : line)),
  });
const withValue = (name: string, value: string) => edited(name, /^.*$/, value);
const input = (from: string | RegExp, to: string) => edited('signature-input', from, to);
const target =
  (to: string): Edit =>
  (request) => ({ ...request, target: to });
const method =
  (to: string): Edit =>
  (request) => ({ ...request, method: to });
const body =
  (text: string): Edit =>
  (request) =>
    withValue('content-length', String(text.length))({ ...request, body: Buffer.from(text) });

/**
 * What someone between the gateway and a service could try: one or a few for each reason of docs/identity-contract.md.
 * `countersign conformance` sends the services more than a thousand others.
 */
export const attacks: readonly Attack[] = (
  [
    ['target_malformed', 'an encoded dot segment', target('/v1/things/%2e%2E/admin')],
    ['target_malformed', 'a dot segment with parameters', target('/v1/things/..;/admin')],
    ['target_malformed', 'two slashes in front', target('//v1/things/1')],
    ['target_malformed', 'a method in lower case', method('get')],
    ['header_duplicated', 'a second user id', plus(['X-USER-ID', 'root'])],
    ['header_duplicated', 'a second content-type', plus(['content-type', 'a/b'], ['Content-Type', 'c/d'])],
    ['header_alias', 'an underscore', plus(['X_User_Id', 'root'])],
    ['header_alias', 'a dot', plus(['x-user.role', 'admin'])],
    ['coverage_insufficient', 'an identity header that is unknown', plus(['x-user-name', 'root'])],
    ['coverage_insufficient', 'a user of the kind gateway', withValue('x-identity', 'gateway')],
    ['coverage_insufficient', 'a txn-token that is not covered', plus(['txn-token', 'a.b.c'])],
    ['coverage_insufficient', 'a list without the role', input(' "x-user-role"', '')],
    ['header_missing', 'no user', without('x-user-id')],
    ['header_malformed', 'an empty user id', withValue('x-user-id', '')],
    ['header_malformed', '257 headers', plus(...Array.from({ length: 257 }, (_, at): Line => [`x-filler-${at}`, 'a']))],
    ['signature_missing', 'no signature', without('signature')],
    ['signature_malformed', 'two labels', input(/^/, 'sig1=("@method");created=1, ')],
    ['tag_mismatch', 'the tag of a nested call', input('countersign-v1', 'countersign-service-v2')],
    ['audience_mismatch', 'another audience', withValue('x-identity-audience', 'another-service')],
    ['lifetime_invalid', 'a lifetime of more than a minute', input(/expires=\d+/, 'expires=999999999999')],
    ['created_in_future', 'another time', input(/created=\d+;expires=\d+/, 'created=99999999970;expires=99999999999')],
    ['expired', 'a signature of 2001', input(/created=\d+;expires=\d+/, 'created=1000000000;expires=1000000030')],
    ['key_unknown', 'another key', input(/keyid="[^"]*"/, 'keyid="another"')],
    ['algorithm_mismatch', 'HMAC with the public key', input('alg="ed25519"', 'alg="hmac-sha256"')],
    ['signature_invalid', 'another user', withValue('x-user-id', 'root')],
    ['signature_invalid', 'another address', edited('x-identity-context', /ip="[^"]*"/, 'ip="192.0.2.1"')],
    ['signature_invalid', 'another path', target('/v1/things/2?a=b')],
    ['signature_invalid', 'no query', target('/v1/things/1')],
    ['signature_invalid', 'HEAD for GET', method('HEAD')],
    ['signature_invalid', 'another nonce', input(/nonce="..../, 'nonce="AAAA')],
    ['content_digest_missing', 'POST for GET', method('POST')],
    ['content_digest_mismatch', 'another body', body('{"amount":999}'), true],
    ['content_digest_mismatch', 'no body', body(''), true],
    ['signature_invalid', 'another media type', withValue('content-type', 'text/plain'), true],
    ['signature_invalid', 'PUT for POST', method('PUT'), true],
    ['coverage_insufficient', 'no digest', without('content-digest'), true],
    ['header_malformed', 'a coding', plus(['content-encoding', 'gzip']), true],
  ] satisfies (readonly [string, string, Edit, true?])[]
).map(([reason, name, edit, post]) => ({ name, edit, reason, ...(post && { post }) }));

/** Targets that a service must not take for one that needs no identity. */
export const notExempt: readonly (readonly [method: string, target: string])[] = [
  ['POST', '/healthz'],
  ['OPTIONS', '/.well-known/jwks.json'],
  ['GET', '/healthz/'],
  ['GET', '/HEALTHZ'],
  ['GET', '/healthz%2f'],
  ['GET', '//healthz'],
  ['GET', '/.well-known/'],
  ['GET', '/.well-known/../v1/things/1'],
  ['GET', '/.well-known/%2e%2e/v1/things/1'],
  ['GET', '/.well-known//v1/things/1'],
  ['GET', '/v1/things/1?/healthz'],
  ['GET', '/v1/things/1#/healthz'],
  ['GET', 'http://service.test/healthz'],
];
