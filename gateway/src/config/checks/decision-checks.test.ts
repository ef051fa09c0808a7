import { describe, expect, test } from '@jest/globals';
import { exampleHead } from '../../../test/kit/example-config.ts';
import { problemsOf } from '../../../test/kit/problems-of.ts';

const secret = 'a-secret-of-the-proxy-with-64-characters-of-which-none-is-random';
const env = { DECISION_SECRET: secret };

type File = Readonly<{ listen?: string; decision?: string; route?: string; more?: string; identity?: string }>;

const variable = `"\${DECISION_SECRET}"`;
const nginx = `{ proxy: nginx, secret: ${variable} }`;

function problems({
  listen = 'decision: "127.0.0.1:8091"',
  decision = nginx,
  route = '',
  more = '',
  identity = '{}',
}: File) {
  const head = exampleHead
    .replace('version: 1\n', `version: 1\nlisten: { ${listen} }\n`)
    .replace('gateway-keys }', 'gateway-keys, issuer: "http://127.0.0.1:8090" }')
    .replace('8082"] }', `8082"], identity: ${identity} }`);
  const line = decision === '' ? '' : `decision: ${decision}\n`;
  const routes = `routes:\n  - { name: a, path: /a, upstream: users-service, auth: required, methods: [GET]${route} }\n`;
  // A later key in this text replaces an earlier one.
  return problemsOf(head + line + more + routes.replace('methods: [GET], methods', 'methods'), env);
}

describe('decision', () => {
  test.each<[string, File]>([
    ['a secret over TCP', {}],
    ['a Unix socket', { listen: 'decision: "unix:/run/countersign/decision.sock"', decision: '{ proxy: nginx }' }],
    [
      'a Unix socket for a group',
      { listen: 'decision: "unix:/run/c.sock"', decision: '{ proxy: nginx, group: www-data }' },
    ],
    ['local processes', { decision: '{ proxy: traefik, trust: loopback }' }],
    ["a token in place of the client's Authorization", { identity: '{ token: { header: authorization } }' }],
    ['a network', { decision: '{ proxy: envoy, trust: network }' }],
    ['a signed body with envoy', { decision: nginx.replace('nginx', 'envoy'), route: ', methods: [POST]' }],
    ['an unsigned body', { route: ', methods: [POST], body: { mode: stream, unsigned: accept }, longLived: accept' }],
    ['no body, which nginx can check', { route: ', methods: [DELETE], body: { mode: none }' }],
    ['a WebSocket', { route: ', websocket: true, longLived: accept' }],
  ])('accepts %s', (_, file) => expect(problems(file)).toEqual([]));

  test.each<[string, File, string]>([
    ['listen.decision alone', { decision: '' }, 'listen.decision: needs "decision", which names the proxy'],
    ['decision alone', { listen: '' }, 'decision: needs "listen.decision", the address to listen on'],
    [
      'no proof',
      { decision: '{ proxy: nginx }' },
      'decision: needs proof that requests come from the proxy: set "secret" or "clientCa", or use a Unix socket',
    ],
    [
      'a secret for traefik',
      { decision: nginx.replace('nginx', 'traefik') },
      'decision.secret: cannot be used with traefik',
    ],
    [
      'a client CA without TLS',
      { decision: '{ proxy: traefik, clientCa: ca.pem }' },
      'decision.clientCa: needs "listen.tls"',
    ],
    [
      'a client CA with haproxy',
      { decision: '{ proxy: haproxy, clientCa: ca.pem }' },
      'decision.clientCa: cannot be used with haproxy',
    ],
    [
      'a group without a socket',
      { decision: nginx.replace(' }', ', group: www-data }') },
      'decision.group: works only with a Unix socket',
    ],
    [
      'loopback on another address',
      { listen: 'decision: "10.0.0.1:8091"', decision: '{ proxy: nginx, trust: loopback }' },
      'decision.trust: loopback needs a loopback address',
    ],
    [
      'the address of another listener',
      { listen: 'public: "127.0.0.1:8091", decision: "127.0.0.1:8091"' },
      'listen.decision: is the same address as listen.public',
    ],
    [
      'a secret in the file',
      { decision: `{ proxy: nginx, secret: ${secret} }` },
      'decision.secret: must come from a variable',
    ],
    [
      'a signed body with nginx',
      { route: ', methods: [POST]' },
      'routes[0].body: nginx does not show the body, so it cannot be signed',
    ],
    [
      'a streamed body',
      { route: ', methods: [POST], body: { mode: stream }, longLived: accept' },
      'routes[0].body: a streamed body is not signed, and nginx does not end the request',
    ],
    [
      'no body with caddy',
      { decision: nginx.replace('nginx', 'caddy'), route: ', methods: [DELETE], body: { mode: none }' },
      'routes[0].body: caddy does not show whether there is a body',
    ],
    ['a WebSocket', { route: ', websocket: true' }, 'routes[0]: needs longLived: accept'],
    [
      'a signed body larger than an envoy message',
      { decision: nginx.replace('nginx', 'envoy'), route: ', methods: [POST], body: { maxBytes: 4MiB }' },
      'routes[0].body.maxBytes: must be at most 4032KiB',
    ],
    ['OPTIONS', { route: ', methods: [OPTIONS], body: { mode: none }' }, 'routes[0].methods: OPTIONS is not possible'],
    [
      'nonces with caddy',
      {
        decision: nginx.replace('nginx', 'caddy'),
        more: `publicOrigins: ["https://a.test"]\ndpop: { nonces: { secret: ${variable} } }\n`,
      },
      'dpop.nonces: cannot be used with caddy',
    ],
    [
      'a header of tokens that proxies cannot name',
      { identity: '{ token: { header: x_of.us } }' },
      'upstreams.users-service.identity.token.header: must have only letters, digits and hyphens, so that nginx',
    ],
    [
      'longLived without decision',
      { listen: '', decision: '', route: ', longLived: accept' },
      'routes[0].longLived: needs "decision"',
    ],
    [
      'unsigned without decision',
      { listen: '', decision: '', route: ', body: { mode: stream, unsigned: accept }' },
      'routes[0].body.unsigned: needs "decision"',
    ],
  ])('refuses %s', (_, file, problem) => expect(problems(file)).toContainEqual(expect.stringContaining(problem)));

  const line = 'body: { mode: stream, unsigned: accept }, longLived: accept';
  test.each([
    ['nginx', ', methods: [POST]', line],
    ['nginx', ', methods: [GET, POST], websocket: true', line],
    ['nginx', ', methods: [POST], body: { maxBytes: 5MiB }', line.replace(' }', ', maxBytes: 5242880 }')],
    ['nginx', ', methods: [POST], body: { mode: stream }', line],
    ['nginx', ', methods: [POST], body: { mode: stream, unsigned: accept }', line],
    ['haproxy', ', methods: [POST], body: { mode: stream }, longLived: accept', line],
    ['caddy', ', methods: [POST, DELETE]', line],
    ['caddy', ', methods: [DELETE], body: { mode: none }', line],
    ['traefik', ', methods: [PUT], body: { mode: stream, maxBytes: 1MiB }', line],
    ['envoy', ', methods: [GET, PATCH], body: { mode: stream }, websocket: true', line],
  ])('a body behind %s, in%s, needs one edit, which the one error names', (proxy, route, expected) => {
    const decision = `{ proxy: ${proxy}, ${proxy === 'traefik' ? 'trust: loopback' : `secret: ${variable}`} }`;
    const found = problems({ decision, route });
    expect(found).toHaveLength(1);
    const [, printed = ''] = /write on the route: (.*)$/.exec(found[0] ?? '') ?? [];
    expect(printed).toBe(expected);
    const kept = route.replace(/, body: \{.*?\}/, '').replace(', longLived: accept', '');
    expect(problems({ decision, route: `${kept}, ${printed}` })).toEqual([]);
  });
});
