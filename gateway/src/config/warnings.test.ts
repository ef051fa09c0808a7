import { describe, expect, test } from '@jest/globals';
import { parseConfig } from './load.ts';

const head = `version: 1
identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] } }
`;
const strict = 'issuer: https://a.test, audience: x, jwks: https://a.test/keys';
const other = 'issuer: https://b.test, audience: x, jwks: https://b.test/keys, roles: [agent], tenants: [globex]';
const admins = `${strict}, claims: { role: { from: groups, map: { a: admin, b: agent } } }`;

type File = Readonly<{ issuers: readonly string[]; allow?: string; rest?: string; env?: Record<string, string> }>;

function warningsOf({ issuers, allow, rest = '', env = {} }: File): readonly string[] {
  const written = issuers.map((issuer) => `  - { ${issuer} }\n`).join('');
  const rule = allow === undefined ? '' : `, allow: { ${allow} }`;
  const route = `{ name: a, path: /a, methods: [GET], upstream: api, auth: required${rule} }`;
  const text = `${head}issuers:\n${written}routes:\n  - ${route}\n${rest}`;
  let lines: readonly string[] = [];
  parseConfig(text, { file: 'gateway.yaml', env, onWarnings: (found) => (lines = found) });
  return lines;
}

/** Without places. */
const messagesOf = (file: File) =>
  warningsOf(file).map((line) => line.replace(/^gateway\.yaml:\d+:\d+: warning: /, ''));

describe('a warning', () => {
  test.each<[string, File, string]>([
    [
      'a role that is in no map',
      { issuers: [admins], allow: 'roles: [admin, agnet]' },
      'routes[0].allow.roles[1]: "agnet" is not a role that an issuer can give; did you mean "agent"? (there are: admin, agent)',
    ],
    [
      "a role beside a preset's constant",
      { issuers: ['provider: keycloak, issuer: https://a.test, audience: x'], allow: 'roles: [admin]' },
      'routes[0].allow.roles[0]: "admin" is not a role that an issuer can give (there are: user)',
    ],
    [
      'a role beside a constant of the file',
      { issuers: [`${strict}, claims: { role: { constant: member } }`], allow: 'roles: [user]' },
      'routes[0].allow.roles[0]: "user" is not a role that an issuer can give (there are: member)',
    ],
    [
      'a role outside of `roles`, where the claim is free',
      { issuers: [`${strict}, roles: [admin]`], allow: 'roles: [agent]' },
      'routes[0].allow.roles[0]: "agent" is not a role that an issuer can give (there are: admin)',
    ],
    [
      'a role of machines on a route for users',
      { issuers: [`${admins}, machines: { role: { constant: robot } }`], allow: 'roles: [robot]' },
      'routes[0].allow.roles[0]: "robot" is not a role of users, but machines need allow.clients (there are: admin, agent)',
    ],
    [
      'a client that no issuer lists',
      { issuers: [`${strict}, clients: [web]`], allow: 'clients: [wbe]' },
      'routes[0].allow.clients[0]: "wbe" is not in the clients of an issuer; did you mean "web"? (there are: web)',
    ],
    [
      'a client that its own issuer does not list',
      {
        issuers: [`${strict}, roles: [admin], tenants: [acme], clients: [web]`, other],
        allow: 'clients: [{ iss: https://a.test, id: cli }]',
      },
      'routes[0].allow.clients[0]: "cli" is not in the clients of an issuer (there are: web)',
    ],
    [
      'a client of an issuer that is not in the file',
      { issuers: [strict], allow: 'clients: [{ iss: https://c.test, id: web }]' },
      'routes[0].allow.clients[0].iss: "https://c.test" is not an issuer of this file; did you mean "https://a.test"? (there are: https://a.test)',
    ],
    [
      'a dotted name of a role',
      { issuers: [`${strict}, claims: { role: realm_access.roles }`] },
      'issuers[0].claims.role: "realm_access.roles" is the name of a single claim: for a claim inside another, write a list such as [realm_access, roles]',
    ],
    [
      'a dotted name that is mapped, of machines',
      { issuers: [`${strict}, machines: { tenantId: { from: org.id, map: { a: acme } } }`] },
      'issuers[0].machines.tenantId.from: "org.id" is the name of a single claim: for a claim inside another, write a list such as [realm_access, roles]',
    ],
    [
      'a dotted name in a condition',
      { issuers: [`${strict}, require: [{ acr: "1" }, { realm_access.roles: x }]`] },
      'issuers[0].require[1]: "realm_access.roles" is the name of a single claim: conditions cannot read a claim inside another',
    ],
    [
      'a dotted name in a rule',
      { issuers: [strict], allow: 'claims: { org.id: [acme] }' },
      'routes[0].allow.claims: "org.id" is the name of a single claim: conditions cannot read a claim inside another',
    ],
    [
      "a tenant outside of the issuer's list",
      { issuers: [`${strict}, tenants: [acme], claims: { tenantId: { from: t, map: { a: acme, g: globex } } }`] },
      'issuers[0].claims.tenantId.map.g: "globex" is not in tenants of this issuer, so its tokens are refused (there are: acme)',
    ],
    [
      'a tenant of machines outside of it',
      { issuers: [`${strict}, tenants: [acme], machines: { tenantId: { constant: globex } }`] },
      'issuers[0].machines.tenantId.constant: "globex" is not in tenants of this issuer, so its tokens are refused (there are: acme)',
    ],
    [
      "a tenant that lacks the list's prefix",
      { issuers: [`${strict}, tenants: [acme], tenantPrefix: "a:", claims: { tenantId: { constant: acme } }`] },
      'issuers[0].claims.tenantId.constant: "a:acme" is not in tenants of this issuer, so its tokens are refused; did you mean "acme"? (there are: acme)',
    ],
    [
      'a role for everyone else, outside of `roles`',
      { issuers: [`${strict}, roles: [admin], claims: { role: { from: g, map: { a: admin }, otherwise: user } }`] },
      'issuers[0].claims.role.otherwise: "user" is not in roles of this issuer, so its tokens are refused (there are: admin)',
    ],
    [
      'an issuer of Auth0 without its slash',
      { issuers: ['provider: auth0, issuer: https://login.a.test, audience: x'] },
      'issuers[0].issuer: must end with a slash, as every iss of auth0 does',
    ],
    [
      'an issuer at auth0.com without its slash',
      { issuers: ['issuer: https://a.eu.auth0.com, audience: x, discovery: true'] },
      'issuers[0].issuer: must end with a slash, as every iss of auth0 does',
    ],
    [
      'an issuer of another provider with a slash',
      { issuers: ['provider: keycloak, issuer: https://a.test/realms/x/, audience: x'] },
      'issuers[0].issuer: must not end with a slash: no iss of keycloak does',
    ],
    [
      'the caller of a test',
      {
        issuers: [admins],
        rest: 'tests: [{ request: { method: GET, path: /a, as: { userId: u, role: root, tenantId: t } }, expect: { allowed: true } }]',
      },
      'tests[0].request.as.role: "root" is not a role that https://a.test gives to users (there are: admin, agent)',
    ],
    [
      'a reachable admin listener',
      { issuers: [strict], rest: 'listen: { admin: "0.0.0.0:9090" }' },
      'listen.admin: other machines reach the admin listener, which has no login: use a loopback address, or set insecureTransport: true if the network is trusted. Where NODE_ENV is production, this is refused',
    ],
  ])('is given for %s', (_what, file, message) => {
    expect(messagesOf(file)).toEqual([message]);
  });

  test.each<[string, File]>([
    ['a role, where the claim is free', { issuers: [strict], allow: 'roles: [anything]' }],
    [
      'a role for everyone else',
      {
        issuers: [`${strict}, claims: { role: { from: g, map: { a: admin }, otherwise: user } }`],
        allow: 'roles: [user]',
      },
    ],
    [
      'a role that only the second issuer can give',
      {
        issuers: [`${strict}, roles: [admin], tenants: [acme]`, other],
        allow: 'roles: [agent]',
      },
    ],
    [
      'a role of machines where they may call',
      { issuers: [`${admins}, machines: { role: { constant: robot } }`], allow: 'roles: [robot], clients: any' },
    ],
    ['a client, where any may use the tokens', { issuers: [strict], allow: 'clients: [web]' }],
    ['a listed client', { issuers: [`${strict}, clients: [web]`], allow: 'clients: [web]' }],
    [
      'a client of a template',
      {
        issuers: [
          'provider: entra, issuer: "https://login.microsoftonline.com/{tid}/v2.0", template: { tid: any }, jwks: https://a.test/k, audience: x',
        ],
        allow: 'clients: [{ iss: https://login.microsoftonline.com/72f988bf/v2.0, id: web }]',
      },
    ],
    ['a path', { issuers: [`${strict}, claims: { role: [realm_access, roles] }`] }],
    ['a list of one name with dots', { issuers: [`${strict}, claims: { role: ["org.role"] }`] }],
    ['a URL as the name of a claim', { issuers: [`${strict}, claims: { role: "https://a.test/role" }`] }],
    ['a domain as the name of a claim', { issuers: [`${strict}, require: { kubernetes.io: present }`] }],
    [
      'tenants with the prefix of the list',
      { issuers: [`${strict}, tenants: ["a:x"], tenantPrefix: "a:", claims: { tenantId: { constant: x } }`] },
    ],
    ['an issuer of Auth0 with its slash', { issuers: ['provider: auth0, issuer: https://a.auth0.com/, audience: x'] }],
    [
      'either version of an issuer of Entra',
      {
        issuers: [
          'provider: entra, issuer: https://sts.windows.net/a/, audience: x, roles: [user]',
          'provider: entra, issuer: https://login.microsoftonline.com/b/v2.0, audience: x, roles: [user]',
        ],
      },
    ],
    ['the slash of an unknown provider', { issuers: ['issuer: https://a.test/, audience: x, discovery: true'] }],
  ])('is not given for %s', (_what, file) => {
    expect(warningsOf(file)).toEqual([]);
  });

  test('has the place in the file, once for all routes of a group, and all come in the order of the file', () => {
    const groups = `    routes:
      - { name: x, path: /x, methods: [GET], auth: required, upstream: api }
      - { name: y, path: /y, methods: [GET], auth: required, upstream: api }
`;
    const text = `${head}routes:\n  - path: /a\n    allow: { roles: [rot] }\n${groups}issuers:\n  - { ${admins}, clients: [web], require: { a.b: x } }\n`;
    let lines: readonly string[] = [];
    parseConfig(text, { file: 'gateway.yaml', env: {}, onWarnings: (found) => (lines = found) });
    expect(lines.map((line) => line.split('"')[0])).toEqual([
      'gateway.yaml:6:22: warning: routes[0].allow.roles[0]: ',
      'gateway.yaml:11:163: warning: issuers[0].require: ',
    ]);
  });

  test('names the variable of a value, and not the value', () => {
    const file = { issuers: [admins], allow: `roles: ["\${ROLE}"]`, env: { ROLE: 'secret-role' } };
    expect(messagesOf(file)).toEqual([
      `routes[0].allow.roles[0]: "\${ROLE}" is not a role that an issuer can give (there are: admin, agent)`,
    ]);
  });
});
