import { describe, expect, test } from '@jest/globals';
import { changed, problemsOf } from '../../../test/kit/problems-of.ts';

const issuer = 'https://gateway.internal:8090';

/** The example, with this identity of its upstream, and `more` instead of the issuer of tokens. */
const withIdentity = (identity: string, more = `, issuer: "${issuer}"`) =>
  changed('["http://127.0.0.1:8082"]', `["http://127.0.0.1:8082"], identity: ${identity}`).replace(
    './gateway-keys',
    `./gateway-keys${more}`,
  );
const edited = (from: string, to: string, identity = '{ token: {} }') => withIdentity(identity).replace(from, to);
const secondIssuer = `issuers:
  - issuer: https://other.test
    audience: a
    jwks: https://other.test/keys
    algorithms: [ES256]
`;

describe('identity tokens', () => {
  test.each([
    ['by default', '{ token: {} }'],
    ['instead of headers', '{ headers: false, token: { header: Authorization, bind: none, lifetime: 5m } }'],
    ['beside agreed keys', '{ algorithm: agreed, token: { callers: [user, client, service], claims: [department] } }'],
    ['with an address', '{ token: { claims: [email] } }'],
  ])('are configured %s', (_how, identity) => {
    expect(problemsOf(withIdentity(identity))).toEqual([]);
    expect(problemsOf(withIdentity(identity, ', issuer: "urn:example:gateway"'))).toEqual([]);
  });

  test.each([
    ['no issuer', withIdentity('{ token: {} }', ''), 'identity.token: needs identity.issuer'],
    ['neither form', withIdentity('{ headers: false }'), 'identity.headers: needs "token"'],
    ...['https://gateway.internal/', 'https://gateway.internal/a', 'https://GATEWAY.internal', 'gateway', 'urn:a'].map(
      (one) =>
        [`the issuer ${one}`, withIdentity('{ token: {} }', `, issuer: "${one}"`), 'identity.issuer: must be'] as const,
    ),
    [
      'plain http',
      withIdentity('{ token: {} }', ', issuer: "http://gateway.internal"'),
      'plain http leaves this machine',
    ],
    ['a bound token of minutes', withIdentity('{ token: { lifetime: 61s } }'), 'lifetime: must be at most 60s'],
    ['a token of hours', withIdentity('{ token: { lifetime: 1h, bind: none } }'), 'lifetime: must be a duration'],
    ['no callers', withIdentity('{ token: { callers: [] } }'), 'callers: must have at least 1 item'],
    ['anonymous callers', withIdentity('{ token: { callers: [anonymous] } }'), 'must be one of "user"'],
    ...[
      'x-identity-token',
      'X_User_Id',
      'x-tenant',
      'x-service-x',
      'signature-input',
      'cookie',
      'Content-Type',
      'Proxy-Authorization',
      'authori-zation2:',
      'x-forwarded-user',
      'dpop',
      'txn-token',
      'sec-token',
      'te',
      'x-access-token',
      'remote-user',
    ].map(
      (name) =>
        [`the header ${name}`, withIdentity(`{ token: { header: "${name}" } }`), 'token.header: must be'] as const,
    ),
    ...[
      'sub',
      'Role',
      'roles',
      'cognito:groups',
      'realm_access',
      'permissions',
      'req',
      'https://a.test/role',
      'a b',
    ].map(
      (name) =>
        [`the claim ${name}`, withIdentity(`{ token: { claims: ["${name}"] } }`), 'token.claims[0]: must be'] as const,
    ),
    [
      'an address with two issuers',
      edited('issuers:\n', secondIssuer, '{ token: { claims: [email] } }'),
      'claims[0]: cannot be copied with two or more issuers',
    ],
    [
      'an issuer of access tokens with this name',
      edited('issuer: http://127.0.0.1:8080', 'issuer: https://gateway.internal:8090/users-Service/'),
      'identity.issuer: is also an issuer of access tokens',
    ],
    [
      'a template that includes it',
      edited(
        'issuer: http://127.0.0.1:8080',
        'issuer: "https://gateway.internal:8090/{realm}"\n    template: { realm: any }',
      ),
      'identity.issuer: is also an issuer of access tokens',
    ],
    [
      'a prefix that names another kind of caller',
      edited('    algorithms: [ES256]', '    algorithms: [ES256]\n    userPrefix: "Service:"'),
      'userPrefix: is how identity tokens name',
    ],
    [
      'a forwarded Authorization header',
      edited(
        'auth: required',
        'auth: required, forward: { authorization: true }',
        '{ token: { header: authorization } }',
      ),
      "token.header: is also the client's header",
    ],
    [
      'the address of the public listener, where a route serves everything',
      edited('version: 1', `version: 1\npublicOrigins: ["${issuer}"]`).replace('path: /v1/users/me', 'path: "/**"'),
      'identity.issuer: is the address of the public listener',
    ],
  ])('are refused for %s', (_name, text, problem) => {
    expect(problemsOf(text).join('\n')).toContain(problem);
  });
});
