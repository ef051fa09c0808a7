import { describe, expect, test } from '@jest/globals';
import { problemsOf } from '../../../test/kit/problems-of.ts';
import { parseConfig } from '../load.ts';

const rest = `identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] } }
routes: [{ name: a, path: /a, methods: [GET], upstream: api, auth: required }]
`;
const withIssuers = (...entries: readonly string[]) =>
  `version: 1\nissuers:\n${entries.map((entry) => `  - ${entry.trim().replaceAll('\n', '\n    ')}\n`).join('')}${rest}`;
const problems = (...entries: readonly string[]) =>
  problemsOf(withIssuers(...entries)).map((problem) => problem.replace(/^gateway\.yaml:\d+:\d+: /, ''));
const resolved = (...entries: readonly string[]) =>
  parseConfig(withIssuers(...entries), { file: '/etc/gateway.yaml', env: {} }).issuers;

const strict = 'issuer: https://a.test, audience: x, jwks: https://a.test/keys';
const entra = 'provider: entra, issuer: "https://login.microsoftonline.com/{tid}/v2.0", audience: x';

describe('an issuer', () => {
  test('needs only its name, its keys and an audience', () => {
    expect(problems(`{ ${strict} }`)).toEqual([]);
    expect(resolved(`{ ${strict} }`)[0]).toMatchObject({ types: ['at+jwt'], isStrict: true });
  });

  test('with a provider needs only its name and an audience', () => {
    expect(problems('{ provider: keycloak, issuer: https://a.test/realms/x, audience: x }')).toEqual([]);
    expect(resolved('{ provider: keycloak, issuer: https://a.test/realms/x, audience: x }')[0]).toMatchObject({
      discovery: true,
      types: ['JWT', 'at+jwt'],
      isStrict: false,
    });
  });

  test.each([
    ['no keys', 'issuer: https://a.test, audience: x', '"jwks" is required'],
    ['keys and discovery', `${strict}, discovery: true`, 'discovery: already finds the keys'],
    ['no audience', 'issuer: https://a.test, jwks: https://a.test/keys', '"audience" is required'],
    [
      'no OAuth clients, if tokens have no audience',
      'provider: cognito, issuer: https://a.test',
      '"clients" is required',
    ],
    [
      'an empty audience',
      `issuer: https://a.test, jwks: https://a.test/keys, audience: []`,
      'audience: must have at least 1 item',
    ],
    [
      "an audience that every OAuth client's tokens have",
      'provider: keycloak, issuer: https://a.test, audience: [account, x]',
      '"account" is in every token from keycloak',
    ],
    [
      'JWT without a test',
      `${strict}, types: [JWT], machines: none`,
      '"require" is required with types other than at+jwt',
    ],
    [
      'JWT with a test that proves nothing',
      `${strict}, types: [JWT], machines: none, require: { zzz: absent }`,
      'require: proves nothing',
    ],
    [
      'JWT with a test in which one map proves nothing',
      `${strict}, types: [JWT], machines: none, require: [{ typ: Bearer }, { a: absent, b: absent }]`,
      'require: proves nothing',
    ],
    [
      'a constant tenant at an open provider, if the test proves nothing',
      'provider: google, issuer: https://a.test, audience: x, claims: { tenantId: { constant: t } }, require: { hd: absent }',
      'require: proves nothing',
    ],
    [
      "an audience that every OAuth client's tokens have, if the test proves nothing",
      'provider: keycloak, issuer: https://a.test, audience: account, require: { a: absent }',
      '"account" is in every token from keycloak',
    ],
    [
      'JWT without machines',
      `${strict}, types: [JWT], require: { typ: Bearer }`,
      '"machines" is required with types other than at+jwt',
    ],
    [
      'machines without a test',
      `${strict}, types: [none], require: { a: present }, machines: { role: x }`,
      '"when" is required without a provider',
    ],
    [
      'ID tokens beside access tokens',
      `${strict}, types: [at+jwt, id-token], require: { a: present }, machines: none`,
      'id-token must be the only type',
    ],
    [
      'access tokens of Google',
      'provider: google, issuer: https://a.test, audience: x, types: [JWT], require: { hd: x }',
      'google sends ID tokens only',
    ],
    [
      'a constant tenant at Google',
      'provider: google, issuer: https://a.test, audience: x',
      '"require" is required, such as { hd: [example.com] }: anyone can have a google account',
    ],
    [
      'a fallback tenant at Google',
      'provider: google, issuer: https://a.test, audience: x, claims: { tenantId: { from: hd, map: { a.test: a }, otherwise: b } }',
      '"require" is required, such as { hd: [example.com] }: anyone can have a google account',
    ],
    [
      "an email address as user id, in Auth0's form",
      `${strict}, claims: { userId: "https://a.test/email" }`,
      '"email" can pass from one person to another',
    ],
    [
      'a variable in the key URL',
      'issuer: "https://a.test/{t}", template: { t: [x] }, audience: x, jwks: "https://a.test/{t}/keys", algorithms: [ES256]',
      'must be one URL: omit jwks',
    ],
    [
      'an unknown provider',
      'provider: okto, issuer: https://a.test, audience: x',
      'provider: must be one of "keycloak"',
    ],
    [
      'a machine role from a claim that people can write',
      `${strict}, machines: { role: [user_metadata, role] }`,
      'machines.role: people can write "user_metadata" themselves',
    ],
    [
      'scopes from a claim that people can write',
      `${strict}, claims: { scope: [unsafe_metadata, scope] }`,
      'claims.scope: people can write "unsafe_metadata" themselves',
    ],
    [
      'a constant machine tenant at an open provider',
      'provider: google, issuer: https://a.test, audience: x, claims: { tenantId: hd }, machines: { tenantId: { constant: t } }',
      '"require" is required',
    ],
    ['machines as a text', `${strict}, machines: all`, 'machines: must be none, or a map with `when`'],
    [
      'an email address as user id',
      `${strict}, claims: { userId: email }`,
      '"email" can pass from one person to another',
    ],
    ['a name as user id', `${strict}, claims: { userId: [user, preferred_username] }`, '"preferred_username" can pass'],
    [
      'a role from a claim that people can write',
      `${strict}, claims: { role: [user_metadata, role] }`,
      'people can write "user_metadata" themselves',
    ],
    [
      'a tenant from a claim that people can write',
      `${strict}, claims: { tenantId: { from: [unsafe_metadata, t], map: { a: b } } }`,
      'people can write "unsafe_metadata"',
    ],
    [
      'a path that is too long',
      `${strict}, claims: { userId: [a, b, c, d, e, f, g, h, i] }`,
      'claims.userId: must have at most 8 items',
    ],
    ['an empty path', `${strict}, claims: { userId: [] }`, 'claims.userId: must have at least 1 item'],
    ['an invalid role', `${strict}, claims: { role: { constant: Admin } }`, 'claims.role.constant: must be a role'],
    [
      'an invalid mapped role',
      `${strict}, claims: { role: { from: r, map: { a: Admin } } }`,
      'claims.role.map.a: must be a role',
    ],
    ['a map without a claim', `${strict}, claims: { role: { map: { a: admin } } }`, 'claims.role: "from" is required'],
    [
      'an unquoted number as a map key',
      `${strict}, claims: { role: { from: r, map: { 10: admin } } }`,
      'not a key: a number needs quotes',
    ],
    [
      'a reserved map key',
      `${strict}, claims: { role: { from: r, map: { constructor: admin } } }`,
      '"constructor" is reserved',
    ],
    ['an empty map', `${strict}, claims: { role: { from: r, map: {} } }`, 'must be a map of 1 to 200 claim values'],
    [
      'a duplicate map key',
      `${strict}, claims: { role: { from: r, map: [[a, admin], [a, agent]] } }`,
      'contains the value "a" twice',
    ],
    [
      'a misspelled key in a role',
      `${strict}, claims: { role: { from: r, map: { a: admin }, otherwize: user } }`,
      'unknown key "otherwize"; did you mean "otherwise"?',
    ],
    [
      'a number instead of a claim',
      `${strict}, claims: { role: 5 }`,
      'claims.role: must be a claim, a path, { from, map, otherwise } or { constant }',
    ],
    [
      'an unknown kind of condition',
      `${strict}, require: { a: { contains: x } }`,
      'require.a: must be a list of accepted values',
    ],
    [
      'a template without its variable',
      'issuer: "https://a.test/{tid}/x", audience: x, jwks: https://a.test/k',
      'has a variable, so "template" is required',
    ],
    ['a missing variable', `${strict}, template: { tid: [a] }`, 'the issuer has no "{tid}"'],
    [
      'a variable in the host',
      'issuer: "https://{tid}.a.test/x", audience: x, jwks: https://a.test/k, template: { tid: [a] }',
      'may have one variable, as a whole segment',
    ],
    [
      'two variables',
      'issuer: "https://a.test/{a}/{b}", audience: x, jwks: https://a.test/k, template: { a: [x] }',
      'may have one variable',
    ],
    ['a value with a slash', `${entra}, template: { tid: [a/b] }`, 'must be letters, digits and "-"'],
    ['any value without keys', `${entra}, template: { tid: any }`, 'any needs "jwks"'],
    [
      'any value, with one tenant',
      `${entra}, template: { tid: any }, jwks: https://a.test/k, claims: { tenantId: { constant: t } }`,
      'any needs claims.tenantId: { fromIssuer: tid }',
    ],
    [
      'a variable that the template lacks',
      `${entra}, template: { tid: [a] }, claims: { tenantId: { fromIssuer: realm } }`,
      'the template has no variable "realm"',
    ],
    [
      'OpenID metadata at a cloud metadata address',
      'issuer: "http://169.254.169.254/x", discovery: true, audience: x',
      'is a link-local or metadata address',
    ],
    [
      'OpenID metadata over plain http',
      'issuer: "http://10.0.0.1/x", discovery: true, audience: x',
      'plain http leaves this machine',
    ],
    ['a shared secret', `${strict}, algorithms: [HS256]`, 'algorithms[0]: must be one of'],
  ])('is refused with %s', (_what, entry, problem) => {
    expect(problems(`{ ${entry} }`)).toEqual(expect.arrayContaining([expect.stringContaining(problem)]));
  });

  test('shows all problems in nested keys at once, each with its location', () => {
    expect(
      problemsOf(
        withIssuers(
          `issuer: https://a.test\nprovider: keycloak\naudience: x\nclaims:\n  role: { from: [realm_access, roles], map: { a: Admin, b: Root } }\n  tenantId: { constant: "a b" }`,
        ),
      ),
    ).toEqual([
      expect.stringMatching(/^gateway\.yaml:7:54: issuers\[0\]\.claims\.role\.map\.a: must be a role/),
      expect.stringMatching(/^gateway\.yaml:7:64: issuers\[0\]\.claims\.role\.map\.b: must be a role/),
      expect.stringMatching(/^gateway\.yaml:8:29: issuers\[0\]\.claims\.tenantId\.constant: must be an id/),
    ]);
  });

  test('keeps the order of a map, even of keys that look like integers', () => {
    const roleOf = (map: string) =>
      resolved(`{ ${strict}, claims: { role: { from: r, map: ${map} } } }`)[0]?.claims.role;
    const map = [
      ['b', 'agent'],
      ['10', 'admin'],
      ['2', 'guest'],
      ['İ', 'root'],
    ];
    expect(roleOf('{ b: agent, "10": admin, "2": guest, "İ": root }')).toMatchObject({ map });
    expect(roleOf('[[b, agent], ["10", admin], ["2", guest], ["İ", root]]')).toMatchObject({ map });
    expect(roleOf('[{ b: agent }, { "10": admin }, { "2": guest }, { "İ": root }]')).toMatchObject({ map });
  });

  test('always recognizes the machines that its preset describes', () => {
    const whenOf = (machines: string) =>
      resolved(`{ provider: auth0, issuer: https://a.test/, audience: x${machines} }`)[0]?.machines.when;
    const preset = whenOf('');
    expect(preset).toHaveLength(2);
    expect(whenOf(', machines: none')).toEqual(preset);
    expect(whenOf(', machines: { when: { kind: robot } }')).toEqual([
      ...(preset ?? []),
      [{ claim: 'kind', expected: { is: 'oneOf', values: ['robot'] } }],
    ]);
  });

  test('with a template becomes one issuer for each value', () => {
    expect(
      resolved(`{ ${entra}, template: { tid: [a, b] } }`).map(({ issuer, template }) => [issuer, template?.value]),
    ).toEqual([
      ['https://login.microsoftonline.com/a/v2.0', 'a'],
      ['https://login.microsoftonline.com/b/v2.0', 'b'],
    ]);
  });
});

describe('two issuers', () => {
  const a = 'audience: x, jwks: https://a.test/k, issuer: https://a.test, roles: [r]';
  const b = 'audience: x, jwks: https://b.test/k, issuer: https://b.test, roles: [r]';

  test.each<[string, string, string]>([
    ['lists', 'tenants: [acme]', 'tenants: [globex]'],
    ['constants', 'claims: { tenantId: { constant: acme } }', 'claims: { tenantId: { constant: globex } }'],
    [
      'maps',
      'claims: { tenantId: { from: t, map: { x: acme } } }',
      'claims: { tenantId: { from: t, map: { x: globex } } }',
    ],
    ['prefixes', 'tenantPrefix: "a:"', 'tenantPrefix: "b:"'],
    ['a prefix and a list', 'tenantPrefix: "a:"', 'tenants: [acme]'],
    ['one tenant, with user prefixes', 'tenants: [acme], userPrefix: "a:"', 'tenants: [acme], userPrefix: "b:"'],
    ['one tenant, with the same users', 'tenants: [acme], sameSubjects: true', 'tenants: [acme], sameSubjects: true'],
    [
      'constants, for machines too',
      'claims: { tenantId: { constant: a } }, machines: { tenantId: { constant: a } }',
      'claims: { tenantId: { constant: b } }, machines: { tenantId: { constant: robots } }',
    ],
    [
      'prefixes, for machines too',
      'tenantPrefix: "a:", machines: { tenantId: tenant }',
      'tenantPrefix: "b:", machines: { tenantId: tenant }',
    ],
    [
      'one tenant, with user prefixes, and machines at one issuer only',
      'tenants: [acme], userPrefix: "a:", machines: { tenantId: tenant }',
      'tenants: [acme], userPrefix: "b:"',
    ],
    [
      'one tenant, with user prefixes, and separate tenants for machines',
      'tenants: [acme, a-robots], userPrefix: "a:", machines: { tenantId: { constant: a-robots } }',
      'tenants: [acme, b-robots], userPrefix: "b:", machines: { tenantId: { constant: b-robots } }',
    ],
    [
      'one tenant, with user prefixes, and different OAuth clients as machines',
      'tenants: [acme], userPrefix: "a:", machines: { tenantId: tenant }, clients: [web, worker]',
      'tenants: [acme], userPrefix: "b:", machines: { tenantId: tenant }, clients: [importer]',
    ],
    [
      'one tenant, with user prefixes, and the same machines',
      'tenants: [acme], userPrefix: "a:", machines: { tenantId: tenant }, sameSubjects: true',
      'tenants: [acme], userPrefix: "b:", machines: { tenantId: tenant }, sameSubjects: true',
    ],
    [
      'one tenant, and machines without a tenant',
      'tenants: [acme], userPrefix: "a:", machines: {}',
      'tenants: [acme], userPrefix: "b:", machines: {}',
    ],
  ])('may keep their callers apart by %s', (_how, first, second) => {
    expect(problems(`{ ${a}, ${first} }`, `{ ${b}, ${second} }`)).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['one list', 'tenants: [acme, x]', 'tenants: [y, acme]'],
    ['a list and a constant', 'tenants: [acme]', 'claims: { tenantId: { constant: acme } }'],
    [
      'a map and a constant',
      'claims: { tenantId: { from: t, map: { q: z }, otherwise: acme } }',
      'claims: { tenantId: { constant: acme } }',
    ],
    ['a list under a prefix', 'tenantPrefix: "acme-"', 'tenants: ["acme-1"]'],
    ['a constant with a prefix', 'tenantPrefix: "a:", claims: { tenantId: { constant: x } }', 'tenants: ["a:x"]'],
    ['a prefix that starts with the other', 'tenantPrefix: "acme"', 'tenantPrefix: "acme-eu:"'],
    ['equal prefixes', 'tenantPrefix: "a:"', 'tenantPrefix: "a:"'],
    [
      "machines in the other issuer's user tenant",
      'claims: { tenantId: { constant: acme } }',
      'claims: { tenantId: { constant: b } }, machines: { tenantId: { constant: acme } }',
    ],
    [
      'machines that share a tenant',
      'claims: { tenantId: { constant: a } }, machines: { tenantId: { constant: robots } }',
      'claims: { tenantId: { constant: b } }, machines: { tenantId: { from: t, map: { x: robots } } }',
    ],
    [
      'machines that share a tenant, with user prefixes',
      'tenants: [acme], userPrefix: "a:", machines: { tenantId: { constant: acme } }',
      'tenants: [acme], userPrefix: "b:", machines: { tenantId: { constant: acme } }',
    ],
    [
      'machines that share a tenant, with user prefixes and one OAuth client in common',
      'tenants: [acme], userPrefix: "a:", machines: { tenantId: tenant }, clients: [web, worker]',
      'tenants: [acme], userPrefix: "b:", machines: { tenantId: tenant }, clients: [worker]',
    ],
    [
      'machines that share a tenant, with different OAuth clients and no user prefixes',
      'tenants: [acme], machines: { tenantId: tenant }, clients: [web]',
      'tenants: [acme], machines: { tenantId: tenant }, clients: [worker]',
    ],
    ['one tenant, with a user prefix at one issuer only', 'tenants: [acme], userPrefix: "a:"', 'tenants: [acme]'],
    [
      'one tenant, with a user prefix that starts with the other',
      'tenants: [acme], userPrefix: "a"',
      'tenants: [acme], userPrefix: "ab"',
    ],
    ['one tenant, with sameSubjects at one issuer only', 'tenants: [acme], sameSubjects: true', 'tenants: [acme]'],
  ])('are refused with %s', (_how, first, second) => {
    expect(problems(`{ ${a}, ${first} }`, `{ ${b}, ${second} }`)).toEqual([
      expect.stringMatching(/^issuers\[1\]: can name the tenant "[^"]+" of issuers\[0\]/),
    ]);
  });

  const prefixed = (prefix: string) => `tenants: [acme, globex], userPrefix: "${prefix}"`;

  test.each<[string, string, string, string]>([
    [
      'users',
      'tenants: [acme]',
      'tenants: [acme]',
      'so users of https://b.test and https://a.test could have the same id in that tenant: give each issuer its own tenants, or its own userPrefix;',
    ],
    [
      'machines, because OAuth client ids have no prefix',
      `${prefixed('a:')}, machines: { tenantId: { constant: acme } }`,
      `${prefixed('b:')}, machines: { tenantId: { constant: acme } }`,
      'so machines of https://b.test and https://a.test could have the same id in that tenant: give each issuer its own machines.tenantId, or its own list of clients;',
    ],
    [
      'users and machines',
      'tenants: [acme], machines: { tenantId: tenant }',
      'tenants: [acme], machines: { tenantId: tenant }, name: second',
      'so users and machines of second and https://a.test could have the same id in that tenant: give each issuer its own tenants, or its own userPrefix and its own list of clients;',
    ],
    [
      'users of one issuer and machines of the other',
      'claims: { tenantId: { constant: acme } }',
      'claims: { tenantId: { constant: b } }, machines: { tenantId: { constant: acme } }',
      'so callers of https://b.test and https://a.test would share that tenant: give each issuer its own tenants, or its own userPrefix;',
    ],
  ])('are reported when they share a tenant, with what to write for %s', (_who, first, second, why) => {
    expect(problems(`{ ${a}, ${first} }`, `{ ${b}, ${second} }`)).toEqual([
      expect.stringContaining(
        `issuers[1]: can name the tenant "acme" of issuers[0], ${why} or set sameSubjects: true on both, if one id means one caller (`,
      ),
    ]);
  });

  test('are refused when one issuer could name any tenant', () => {
    expect(problems(`{ ${a} }`, `{ ${b}, tenants: [x] }`)).toEqual([
      expect.stringContaining('"tenants" is required with two or more issuers'),
    ]);
  });

  test('are refused when the machines of one issuer could name any tenant or role', () => {
    const [first, second] = [a.replace(', roles: [r]', ''), `{ ${b}, tenants: [x] }`];
    const constants = 'claims: { role: { constant: r }, tenantId: { constant: y } }';
    expect(problems(`{ ${first}, ${constants}, machines: { tenantId: { constant: y } } }`, second)).toEqual([]);
    expect(problems(`{ ${first}, ${constants}, machines: { tenantId: tenant } }`, second)).toEqual([
      expect.stringContaining('"tenants" is required with two or more issuers'),
    ]);
    expect(problems(`{ ${first}, ${constants}, machines: { role: role } }`, second)).toEqual([
      expect.stringContaining('"roles" is required with two or more issuers'),
    ]);
  });

  describe('and a route', () => {
    const issuers = [`{ ${a}, tenants: [x] }`, `{ ${b}, tenants: [y] }`];
    const refused = (...allows: readonly string[]) =>
      problemsOf(
        withIssuers(...issuers).replace(/routes: .*/, () => {
          const routes = allows.map(
            (allow, at) => `{ name: r${at}, path: /${at}, methods: [GET], upstream: api, ${allow} }`,
          );
          return `routes: [${routes.join(', ')}]`;
        }),
      ).map((problem) => problem.replace(/^gateway\.yaml:\d+:\d+: /, ''));

    test.each<[string, readonly string[], readonly unknown[]]>([
      [
        'an OAuth client',
        ['auth: required, allow: { clients: [web] }'],
        [
          'routes[0].allow.clients[0]: must be { iss, id } with two or more issuers, because each issuer could use this name',
        ],
      ],
      [
        'an actor',
        ['auth: required, allow: { actors: [bot] }'],
        [
          'routes[0].allow.actors[0]: must be { iss, sub } with two or more issuers, because each issuer could use this name',
        ],
      ],
      ['any OAuth client', ['auth: required, allow: { clients: any }'], []],
      [
        'an OAuth client of an issuer',
        ['auth: required, allow: { clients: [{ iss: "https://a.test", id: web }] }'],
        [],
      ],
      ['an actor with an issuer', ['auth: required, allow: { actors: [{ iss: "https://c.test", sub: bot }] }'], []],
      ['scopes nowhere', ['auth: required', 'auth: required'], []],
      [
        'scopes on another route',
        ['auth: required, allow: { scopes: [a] }', 'auth: required', 'auth: public', 'auth: optional'],
        [expect.stringMatching(/^routes\[1\]: "allow.scopes" is required, because there are two or more issuers/)],
      ],
      [
        'scopes on another route, and any',
        ['auth: required, allow: { scopes: [a] }', 'auth: required, allow: { scopes: any }'],
        [],
      ],
    ])('with %s', (_what, allows, expected) => {
      expect(refused(...allows)).toEqual(expected);
    });
  });

  test('are refused when one issuer could name any role', () => {
    expect(problems(`{ ${a.replace(', roles: [r]', '')}, tenants: [y] }`, `{ ${b}, tenants: [x] }`)).toEqual([
      expect.stringContaining('"roles" is required with two or more issuers'),
    ]);
  });

  test('from one template are refused with one tenant', () => {
    expect(problems(`{ ${entra}, template: { tid: [a, b] }, claims: { tenantId: { constant: t } } }`)).toEqual([
      expect.stringContaining('two values of the template can name the tenant "t"'),
    ]);
  });

  test.each([
    ['the same issuer', 'issuer: https://a.test', 'issuer: https://a.test', 'is written twice'],
    [
      'a template value',
      'issuer: "https://a.test/{t}/v2", template: { t: [x, y] }',
      'issuer: https://a.test/y/v2',
      'overlaps with another issuer',
    ],
    [
      'a template with any value',
      'issuer: "https://a.test/{t}/v2", template: { t: any }, claims: { tenantId: { fromIssuer: t } }',
      'issuer: https://a.test/y/v2',
      'overlaps with another issuer',
    ],
  ])('overlap with %s', (_how, first, second, problem) => {
    const common = 'audience: x, jwks: https://a.test/k, roles: [r]';
    expect(problems(`{ ${common}, ${first}, tenants: [p] }`, `{ ${common}, ${second}, tenants: [q] }`)).toEqual(
      expect.arrayContaining([expect.stringContaining(problem)]),
    );
  });
});
