import { describe, expect, test } from '@jest/globals';
import { parseConfig } from './load.ts';

const head = `version: 1
identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] }, UPSTREAM }
`;
const headWith = (upstream?: string) =>
  head.replace(', UPSTREAM', upstream === undefined ? '' : `, ${upstream}: { targets: ["http://127.0.0.1:8083"] }`);
const strict = 'issuer: https://a.test, audience: x, jwks: https://a.test/keys';
const other = 'issuer: https://b.test, audience: x, jwks: https://b.test/keys, roles: [agent], tenants: [globex]';
const admins = `${strict}, claims: { role: { from: groups, map: { a: admin, b: agent } } }`;

const bound = `${strict}, roles: [admin], tenants: [acme]`;
const scoped = (scope: string) =>
  `scopes: [orders.write]\ntests: [{ request: { method: GET, path: /a, as: { client: c, scope: [${scope}] } }, expect: { allowed: false } }]`;

type File = Readonly<{
  issuers: readonly string[];
  allow?: string;
  /** More routes, each with its path, methods and upstream. */
  routes?: readonly string[];
  rest?: string;
  env?: Record<string, string>;
}>;

const routeAt = (path: string, methods: string, more = 'upstream: api, auth: public') =>
  `name: r${path.replace(/\W/g, '-')}${methods.toLowerCase().replace(/\W/g, '')}, path: "${path}", methods: [${methods}], ${more}`;

function warningsOf({ issuers, allow, routes = [], rest = '', env = {} }: File): readonly string[] {
  const written = issuers.map((issuer) => `  - { ${issuer} }\n`).join('');
  const rule = allow === undefined ? '' : `, allow: { ${allow} }`;
  const route = `{ name: a, path: /a, methods: [GET], upstream: api, auth: required${rule} }`;
  const more = routes.map((one) => `  - { ${one} }\n`).join('');
  const upstream = env.UNUSED ?? (routes.some((one) => one.includes('upstream: pages')) ? 'pages' : undefined);
  const text = `${headWith(upstream)}issuers:\n${written}routes:\n  - ${route}\n${more}${rest}`;
  let lines: readonly string[] = [];
  parseConfig(text, { file: 'gateway.yaml', env, onWarnings: (found) => (lines = found) });
  return lines;
}

/** Removes the locations from the messages. */
const messagesOf = (file: File) =>
  warningsOf(file).map((line) => line.replace(/^gateway\.yaml:\d+:\d+: warning: /, ''));

describe('a warning', () => {
  test.each<[string, File, string]>([
    [
      'a role that no map contains',
      { issuers: [admins], allow: 'roles: [admin, agnet]' },
      'routes[0].allow.roles[1]: "agnet" is not a role that an issuer can give; did you mean "agent"? (there are: admin, agent)',
    ],
    [
      "a role other than the preset's constant",
      { issuers: ['provider: keycloak, issuer: https://a.test, audience: x'], allow: 'roles: [admin]' },
      'routes[0].allow.roles[0]: "admin" is not a role that an issuer can give (there are: user)',
    ],
    [
      'a role other than the constant in the file',
      { issuers: [`${strict}, claims: { role: { constant: member } }`], allow: 'roles: [user]' },
      'routes[0].allow.roles[0]: "user" is not a role that an issuer can give (there are: member)',
    ],
    [
      'a role that is not in `roles`, if the claim may have any value',
      { issuers: [`${strict}, roles: [admin]`], allow: 'roles: [agent]' },
      'routes[0].allow.roles[0]: "agent" is not a role that an issuer can give (there are: admin)',
    ],
    [
      'a machine role on a route for users',
      { issuers: [`${admins}, machines: { role: { constant: robot } }`], allow: 'roles: [robot]' },
      'routes[0].allow.roles[0]: "robot" is not a role that users can have, and machines need allow.clients (there are: admin, agent)',
    ],
    [
      'an OAuth client that no issuer lists',
      { issuers: [`${strict}, clients: [web]`], allow: 'clients: [wbe]' },
      `routes[0].allow.clients[0]: "wbe" is not in an issuer's list of clients; did you mean "web"? (there are: web)`,
    ],
    [
      'an OAuth client that its own issuer does not list',
      {
        issuers: [`${strict}, roles: [admin], tenants: [acme], clients: [web]`, other],
        allow: 'clients: [{ iss: https://a.test, id: cli }]',
      },
      `routes[0].allow.clients[0]: "cli" is not in an issuer's list of clients (there are: web)`,
    ],
    [
      'an OAuth client of an issuer that is not in the file',
      { issuers: [strict], allow: 'clients: [{ iss: https://c.test, id: web }]' },
      'routes[0].allow.clients[0].iss: "https://c.test" is not an issuer in this file; did you mean "https://a.test"? (there are: https://a.test)',
    ],
    [
      'a dotted role claim',
      { issuers: [`${strict}, claims: { role: realm_access.roles }`] },
      'issuers[0].claims.role: "realm_access.roles" is the name of a single claim: for a claim inside another, write a list such as [realm_access, roles]',
    ],
    [
      'a dotted claim in a mapped machine tenant',
      { issuers: [`${strict}, machines: { tenantId: { from: org.id, map: { a: acme } } }`] },
      'issuers[0].machines.tenantId.from: "org.id" is the name of a single claim: for a claim inside another, write a list such as [realm_access, roles]',
    ],
    [
      'a dotted claim in a condition',
      { issuers: [`${strict}, require: [{ acr: "1" }, { realm_access.roles: x }]`] },
      'issuers[0].require[1]: "realm_access.roles" is the name of a single claim: conditions cannot read a claim inside another',
    ],
    [
      'a dotted claim in a rule',
      { issuers: [strict], allow: 'claims: { org.id: [acme] }' },
      'routes[0].allow.claims: "org.id" is the name of a single claim: conditions cannot read a claim inside another',
    ],
    [
      "a tenant that is not in the issuer's list",
      { issuers: [`${strict}, tenants: [acme], claims: { tenantId: { from: t, map: { a: acme, g: globex } } }`] },
      `issuers[0].claims.tenantId.map.g: "globex" is not in this issuer's tenants, so tokens with it are refused (there are: acme)`,
    ],
    [
      "a machine tenant that is not in the issuer's list",
      { issuers: [`${strict}, tenants: [acme], machines: { tenantId: { constant: globex } }`] },
      `issuers[0].machines.tenantId.constant: "globex" is not in this issuer's tenants, so tokens with it are refused (there are: acme)`,
    ],
    [
      "a tenant that lacks the list's prefix",
      { issuers: [`${strict}, tenants: [acme], tenantPrefix: "a:", claims: { tenantId: { constant: acme } }`] },
      `issuers[0].claims.tenantId.constant: "a:acme" is not in this issuer's tenants, so tokens with it are refused; did you mean "acme"? (there are: acme)`,
    ],
    [
      'a fallback role that is not in `roles`',
      { issuers: [`${strict}, roles: [admin], claims: { role: { from: g, map: { a: admin }, otherwise: user } }`] },
      `issuers[0].claims.role.otherwise: "user" is not in this issuer's roles, so tokens with it are refused (there are: admin)`,
    ],
    [
      'an Auth0 issuer without its trailing slash',
      { issuers: ['provider: auth0, issuer: https://login.a.test, audience: x'] },
      'issuers[0].issuer: must end with a slash, as every iss of auth0 does',
    ],
    [
      'an issuer at auth0.com without its trailing slash',
      { issuers: ['issuer: https://a.eu.auth0.com, audience: x, discovery: true'] },
      'issuers[0].issuer: must end with a slash, as every iss of auth0 does',
    ],
    [
      'an issuer of another provider with a trailing slash',
      { issuers: ['provider: keycloak, issuer: https://a.test/realms/x/, audience: x'] },
      'issuers[0].issuer: must not end with a slash: no iss of keycloak does',
    ],
    [
      "a test's caller",
      {
        issuers: [admins],
        rest: 'tests: [{ request: { method: GET, path: /a, as: { userId: u, role: root, tenantId: t } }, expect: { allowed: true } }]',
      },
      'tests[0].request.as.role: "root" is not a role that https://a.test gives to users (there are: admin, agent)',
    ],
    [
      'an admin listener that other machines can reach',
      { issuers: [strict], rest: 'listen: { admin: "0.0.0.0:9090" }' },
      'listen.admin: other machines can reach the admin listener, which has no login: use a loopback address, or set insecureTransport: true if the network is trusted. If NODE_ENV is production, the gateway refuses this',
    ],
    [
      'a role that only an issuer of other OAuth clients gives',
      { issuers: [bound, other], allow: 'roles: [agent], clients: [{ iss: https://a.test, id: web }]' },
      'routes[0].allow.roles[0]: "agent" is not a role that an issuer of these clients can give (there are: admin)',
    ],
    [
      "an actor of an issuer with another slash, which is not an OAuth client's",
      { issuers: [strict], allow: 'actors: [{ iss: https://a.test/, sub: bot }]' },
      'routes[0].allow.actors[0].iss: differs from an issuer in this file only by a slash at the end',
    ],
    [
      'an OAuth client of an issuer with another slash',
      { issuers: [strict], allow: 'clients: [{ iss: https://a.test/, id: web }]' },
      'routes[0].allow.clients[0].iss: "https://a.test/" is not an issuer in this file; did you mean "https://a.test"? (there are: https://a.test)',
    ],
    [
      'two issuers that differ by a slash',
      { issuers: [bound, other.replace('issuer: https://b.test,', 'issuer: https://a.test/,')] },
      'issuers[1].issuer: differs from issuers[0].issuer only by a slash at the end',
    ],
    [
      'an issuer written as its discovery URL',
      { issuers: ['issuer: https://a.test/realms/x/.well-known/openid-configuration, audience: x, discovery: true'] },
      "issuers[0].issuer: is the URL of the issuer's metadata: write the value of iss in its tokens, without /.well-known/openid-configuration",
    ],
    [
      "an issuer written as its authorization server's metadata",
      { issuers: ['issuer: https://a.test/.well-known/oauth-authorization-server/x, audience: x, discovery: true'] },
      "issuers[0].issuer: is the URL of the issuer's metadata: write the value of iss in its tokens, without /.well-known/oauth-authorization-server",
    ],
    [
      'an upstream that no route uses',
      { issuers: [strict], rest: 'websockets: {}\n', routes: [routeAt('/b', 'GET')], env: { UNUSED: 'old' } },
      'upstreams: no route uses the upstream "old"',
    ],
    [
      'a scope in a test that the file does not declare',
      { issuers: [strict], allow: 'scopes: [orders.read]', rest: scoped('orders.raed') },
      'tests[0].request.as.scope[0]: "orders.raed" is not a scope that a route requires or that `scopes` lists, so the gateway drops it; did you mean "orders.read"? (there are: orders.read, orders.write)',
    ],
    [
      'POST at the path of a broader route with GET',
      { issuers: [strict], routes: [routeAt('/o/**', 'GET'), routeAt('/o', 'POST')] },
      'routes[2].methods: GET /o is 405, although the route "r-o---get" (/o/**) serves it: a path has only its own methods',
    ],
    [
      'GET at the path of a broader route with POST',
      { issuers: [strict], routes: [routeAt('/o', 'GET'), routeAt('/o/**', 'GET, POST')] },
      'routes[1].methods: POST /o is 405, although the route "r-o---getpost" (/o/**) serves it: a path has only its own methods',
    ],
    [
      'POST below a broader route with GET at the same upstream',
      { issuers: [strict], routes: [routeAt('/**', 'GET'), routeAt('/v/:id', 'POST, PUT')] },
      'routes[2].methods: GET /v/:id is 405, although the route "r---get" (/**) serves it: a path has only its own methods',
    ],
  ])('is given for %s', (_what, file, message) => {
    expect(messagesOf(file)).toEqual([message]);
  });

  test.each<[string, File]>([
    ['any role, if the claim may have any value', { issuers: [strict], allow: 'roles: [anything]' }],
    [
      'a fallback role',
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
      'a machine role on a route for machines',
      { issuers: [`${admins}, machines: { role: { constant: robot } }`], allow: 'roles: [robot], clients: any' },
    ],
    ['any OAuth client, if the issuer lists none', { issuers: [strict], allow: 'clients: [web]' }],
    ['a listed OAuth client', { issuers: [`${strict}, clients: [web]`], allow: 'clients: [web]' }],
    [
      'an OAuth client of an issuer with a template',
      {
        issuers: [
          'provider: entra, issuer: "https://login.microsoftonline.com/{tid}/v2.0", template: { tid: any }, jwks: https://a.test/k, audience: x',
        ],
        allow: 'clients: [{ iss: https://login.microsoftonline.com/72f988bf/v2.0, id: web }]',
      },
    ],
    ['a path', { issuers: [`${strict}, claims: { role: [realm_access, roles] }`] }],
    ['a list with one dotted name', { issuers: [`${strict}, claims: { role: ["org.role"] }`] }],
    ['a URL as a claim name', { issuers: [`${strict}, claims: { role: "https://a.test/role" }`] }],
    ['a domain as a claim name', { issuers: [`${strict}, require: { kubernetes.io: present }`] }],
    [
      'tenants with the listed prefix',
      { issuers: [`${strict}, tenants: ["a:x"], tenantPrefix: "a:", claims: { tenantId: { constant: x } }`] },
    ],
    [
      'an Auth0 issuer with its trailing slash',
      { issuers: ['provider: auth0, issuer: https://a.auth0.com/, audience: x'] },
    ],
    [
      'either version of an Entra issuer',
      {
        issuers: [
          'provider: entra, issuer: https://sts.windows.net/a/, audience: x, roles: [user]',
          'provider: entra, issuer: https://login.microsoftonline.com/b/v2.0, audience: x, roles: [user]',
        ],
      },
    ],
    [
      'a trailing slash for an unknown provider',
      { issuers: ['issuer: https://a.test/, audience: x, discovery: true'] },
    ],
    [
      'a role that the issuer of the OAuth clients gives',
      { issuers: [bound, other], allow: 'roles: [agent], clients: [{ iss: https://b.test, id: web }]' },
    ],
    [
      'an actor of an issuer outside the file',
      { issuers: [strict], allow: 'actors: [{ iss: https://x.test, sub: b }]' },
    ],
    [
      'two issuers whose paths differ',
      { issuers: [bound, other.replace('issuer: https://b.test,', 'issuer: https://a.test/x,')] },
    ],
    [
      'an issuer whose path ends like a discovery URL',
      { issuers: ['issuer: https://a.test/openid-configuration, audience: x, discovery: true'] },
    ],
    [
      'a scope that a route requires',
      { issuers: [strict], allow: 'scopes: [orders.read]', rest: scoped('orders.read') },
    ],
    ['a scope that `scopes` lists', { issuers: [strict], rest: scoped('orders.write') }],
    [
      'every method of a broader route',
      { issuers: [strict], routes: [routeAt('/o/**', 'GET'), routeAt('/o', 'POST'), routeAt('/o', 'GET')] },
    ],
    [
      'fewer methods below a broader route',
      { issuers: [strict], routes: [routeAt('/o/**', 'GET, POST'), routeAt('/o/events', 'GET')] },
    ],
    [
      'a literal beside a parameter',
      { issuers: [strict], routes: [routeAt('/o/:id', 'GET'), routeAt('/o/names', 'POST')] },
    ],
    [
      'a broader route on the other listener',
      {
        issuers: [strict],
        routes: [routeAt('/o/**', 'GET', 'upstream: api, auth: service, callers: [svc]'), routeAt('/o', 'POST')],
        rest: 'services: { svc: { keys: ./none.json } }',
      },
    ],
    [
      'POST below the pages of another upstream',
      { issuers: [strict], routes: [routeAt('/**', 'GET', 'upstream: pages, auth: public'), routeAt('/v', 'POST')] },
    ],
    [
      'a broader route that a nearer one hides',
      { issuers: [strict], routes: [routeAt('/**', 'GET'), routeAt('/o/**', 'GET, POST'), routeAt('/o/x', 'GET')] },
    ],
  ])('is not given for %s', (_what, file) => {
    expect(warningsOf(file)).toEqual([]);
  });

  test('has its location in the file, appears once per group, and follows the file order', () => {
    const groups = `    routes:
      - { name: x, path: /x, methods: [GET], auth: required, upstream: api }
      - { name: y, path: /y, methods: [GET], auth: required, upstream: api }
`;
    const text = `${headWith()}routes:\n  - path: /a\n    allow: { roles: [rot] }\n${groups}issuers:\n  - { ${admins}, clients: [web], require: { a.b: x } }\n`;
    let lines: readonly string[] = [];
    parseConfig(text, { file: 'gateway.yaml', env: {}, onWarnings: (found) => (lines = found) });
    expect(lines.map((line) => line.split('"')[0])).toEqual([
      'gateway.yaml:6:22: warning: routes[0].allow.roles[0]: ',
      'gateway.yaml:11:163: warning: issuers[0].require: ',
    ]);
  });

  test('shows the name of a variable instead of its value', () => {
    const file = { issuers: [admins], allow: `roles: ["\${ROLE}"]`, env: { ROLE: 'secret-role' } };
    expect(messagesOf(file)).toEqual([
      `routes[0].allow.roles[0]: "\${ROLE}" is not a role that an issuer can give (there are: admin, agent)`,
    ]);
  });
});
