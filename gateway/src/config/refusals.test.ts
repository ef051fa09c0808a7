// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { describe, expect, test } from '@jest/globals';
import { exampleHead, exampleRoutes } from '../../test/kit/example-config.ts';
import { changed, problemsOf, route } from '../../test/kit/problems-of.ts';

describe('a configuration', () => {
  test.each([
    [
      'a route without auth',
      route(''),
      '"auth" is required: must be one of "required", "optional", "public", "service"',
    ],
    [
      'a key URL with another scheme',
      changed('http://127.0.0.1:8081/.well', 'file:///etc/.well'),
      'must be the path of a',
    ],
    [
      'a key URL without its scheme',
      changed('http://127.0.0.1:8081/.well', '127.0.0.1:8081/.well'),
      'issuers[0].jwks: is a file that cannot be read (ENOENT); a URL begins with',
    ],
    [
      'a key URL with a password',
      changed('http://127.0.0.1:8081/.well', 'https://u:p@a.test/'),
      'must be the path of a',
    ],
    ...['http://docs.test/errors', 'https://a:b@docs.test', 'https://docs.test/?a', 'https://docs.test/$a'].map(
      (docs): [string, string, string] => [
        `errors.docs ${docs}`,
        `${exampleHead}${exampleRoutes}errors: { docs: "${docs}" }\n`,
        'errors.docs: must be an https URL (http only on loopback)',
      ],
    ),
    ['auth as a boolean', route(', auth: false'), 'auth: must be one of'],
    ['an unknown key', route(', auth: public, requireAuth: "false"'), 'unknown key "requireAuth"'],
    ['an upstream key in a route', route(', auth: public, retry: { attempts: 1 }'), 'unknown key "retry"'],
    ['an unknown key next to a numeric key', `${exampleHead}${exampleRoutes}foo: b\n1: a\n`, 'unknown key "foo"'],
    ['a merge key', `${exampleHead}${exampleRoutes}<<: { version: 1 }\n`, 'unknown key "<<"'],
    ['no roles', route(', auth: required, allow: { roles: [] }'), 'allow.roles: must have at least 1 item'],
    ['an empty allow', route(', auth: required, allow: {}'), 'allow: has no condition'],
    ['no scopes', route(', auth: required, allow: { scopes: [] }'), 'allow.scopes: must have at least 1 item'],
    ['a scope twice', route(', auth: required, allow: { scopes: [a, a] }'), 'contains the same value twice'],
    [
      'several scopes in one text',
      route(', auth: required, allow: { scopes: "a b" }'),
      'must be a list of scopes, or any',
    ],
    ['a scope with a space', route(', auth: required, allow: { scopes: ["a b"] }'), 'must be a scope'],
    ['no OAuth clients', route(', auth: required, allow: { clients: [] }'), 'allow.clients: must have at least 1 item'],
    [
      'an OAuth client that is a number',
      route(', auth: required, allow: { clients: [7] }'),
      'must be a text, or { iss, id }',
    ],
    [
      'an OAuth client identified like an actor',
      route(', auth: required, allow: { clients: [{ iss: "https://a.test", sub: a }] }'),
      '"id" is required: must be visible ASCII',
    ],
    [
      'an actor without sub',
      route(', auth: required, allow: { actors: [{ iss: "https://a.test" }] }'),
      '"sub" is required',
    ],
    [
      'an actor whose iss is not a URL',
      route(', auth: required, allow: { actors: [{ iss: a, sub: a }] }'),
      'iss: must be an http or https URL',
    ],
    ['no claims', route(', auth: required, allow: { claims: {} }'), 'must name at least one claim'],
    [
      'a claim without accepted values',
      route(', auth: required, allow: { claims: { a: [] } }'),
      'must have at least 1 item',
    ],
    ['OAuth clients on an optional route', route(', auth: optional, allow: { clients: any }'), 'needs auth: required'],
    ['actors on a public route', route(', auth: public, allow: { actors: [a] }'), 'needs auth: required'],
    [
      'a limit by OAuth client on a public route',
      route(', auth: public, limits: [{ requests: 1, per: 1s, by: client }]'),
      'a public route has no OAuth client',
    ],
    [
      'a test without a user or a machine',
      `${exampleHead}${exampleRoutes}tests: [{ request: { method: GET, path: /, as: { role: a } }, expect: { allowed: true } }]\n`,
      'set userId or client',
    ],
    [
      'a test as a user without a role',
      `${exampleHead}${exampleRoutes}tests: [{ request: { method: GET, path: /, as: { userId: u } }, expect: { allowed: true } }]\n`,
      'as.role: is required with userId',
    ],
    [
      'a test with an unknown issuer',
      `${exampleHead}${exampleRoutes}tests: [{ request: { method: GET, path: /, as: { client: a, issuer: other } }, expect: { allowed: true } }]\n`,
      'issuer: "other" is not an issuer in the configuration',
    ],
    ['scopes twice', `${exampleHead}${exampleRoutes}scopes: [a, a]\n`, 'contains the same value twice'],
    ['a malformed role', route(', auth: required, allow: { roles: [Admin] }'), 'must be a role'],
    ['roles on a public route', route(', auth: public, allow: { roles: [a] }'), 'needs auth: required'],
    ['roles on an optional route', route(', auth: optional, allow: { roles: [a] }'), 'needs auth: required'],
    [
      'a tenant parameter that the path lacks',
      route(', auth: required, allow: { tenant: ":t" }'),
      'the path has no ":t"',
    ],
    ['a service route without callers', route(', auth: service'), '"callers" is required'],
    ['callers on a route for users', route(', auth: required, callers: [x]'), 'needs auth: service'],
    [
      'an upgrade between services',
      `${route(', auth: service, callers: [c], websocket: true')}services: { c: { keys: k.json } }\n`,
      'services make plain HTTP calls',
    ],
    [
      'a streamed body between services',
      `${route(', auth: service, callers: [c], body: { mode: stream }')}services: { c: { keys: k.json } }\n`,
      "the caller's signature covers the whole body",
    ],
    [
      'a txn-token for a service without keys',
      changed('["http://127.0.0.1:8082"] }', '["http://127.0.0.1:8082"], txnToken: true }'),
      '"users-service" has no keys under services',
    ],
    [
      'TLS for an http target',
      changed('["http://127.0.0.1:8082"] }', '["http://127.0.0.1:8082"], tls: { serverName: a.test } }'),
      'works only with https targets',
    ],
    [
      'a certificate without its key',
      changed('["http://127.0.0.1:8082"] }', '["https://127.0.0.1:8082"], tls: { cert: c.pem } }'),
      'set both "cert" and "key", or neither',
    ],
    [
      'a missing CA file',
      changed('["http://127.0.0.1:8082"] }', '["https://127.0.0.1:8082"], tls: { ca: nowhere.pem } }'),
      'upstreams.users-service.tls.ca: cannot be read (ENOENT)',
    ],
    [
      'a switch that disables certificate checks',
      changed('["http://127.0.0.1:8082"] }', '["https://127.0.0.1:8082"], tls: { secure: false } }'),
      'unknown key "secure"',
    ],
    [
      'a health path with a query',
      changed('["http://127.0.0.1:8082"] }', '["http://127.0.0.1:8082"], health: { path: "/healthz?a" } }'),
      'must be a path without query',
    ],
    [
      'a breaker with a failure rate of zero',
      changed('["http://127.0.0.1:8082"] }', '["http://127.0.0.1:8082"], breaker: { failureRate: 0 } }'),
      'failureRate: must be at least 0.01',
    ],
    [
      'a failure rate in quotes',
      changed('["http://127.0.0.1:8082"] }', '["http://127.0.0.1:8082"], breaker: { failureRate: "0.5" } }'),
      'failureRate: must be a number, in digits',
    ],
    [
      'too many retries',
      changed('["http://127.0.0.1:8082"] }', '["http://127.0.0.1:8082"], retry: { attempts: 100 } }'),
      'attempts: must be at most 3',
    ],
    ['an unknown calling service', route(', auth: service, callers: [x]'), '"x" is not a service in this file'],
    ['a method twice', route(', auth: public').replace('[GET]', '[GET, GET]'), 'contains the same value twice'],
    ['TRACE', route(', auth: public').replace('[GET]', '[TRACE]'), 'must be one of "GET"'],
    ['a lower-case method', route(', auth: public').replace('[GET]', '[get]'), 'must be one of "GET"'],
    ['no methods', route(', auth: public').replace('[GET]', '[]'), 'must have at least 1 item'],
    [
      'a limit by user on a public route',
      route(', auth: public, limits: [{ requests: 1, per: 1s, by: user }]'),
      'a public route has no user',
    ],
    ['a limit of zero', route(', auth: public, limits: [{ requests: 0, per: 1s, by: route }]'), 'must be at least 1'],
    [
      'a limit from a variable',
      route(', auth: public, limits: [{ requests: "${N:-5}", per: 1s, by: route }]'),
      'requests: must be a whole number, in digits: values in quotes and values of variables are text',
    ],
    [
      'a limit too large to count',
      route(', auth: public, limits: [{ requests: 1e99, per: 1s, by: route }]'),
      'requests: must be at most 1000000',
    ],
    ['a boolean of YAML 1.1', route(', auth: public, websocket: on'), 'and yes, no, on and off are text'],
    [
      'a limit per one and a half seconds',
      route(', auth: public, limits: [{ requests: 1, per: 1500ms, by: route }]'),
      'whole number of seconds',
    ],
    [
      'a duration without a unit',
      route(', auth: public, limits: [{ requests: 1, per: 60, by: route }]'),
      'must be a duration',
    ],
    [
      'a body limit too large for memory',
      route(', auth: public, body: { maxBytes: 65MiB }'),
      'at most 64MiB in mode digest',
    ],
    ['a size in an unsupported unit', route(', auth: public, body: { maxBytes: 1MB }'), 'must be a size from'],
    ['an upgrade without GET', route(', auth: public, websocket: true').replace('[GET]', '[POST]'), 'needs GET'],
    [
      'a rewrite that ends inside a segment',
      route(', auth: public, rewrite: { prefix: { from: /a/i, to: / } }'),
      'at the start of the path',
    ],
    [
      'a rewrite to a slash at the end',
      route(', auth: public, rewrite: { prefix: { from: /a, to: /b/ } }'),
      'whole literal segments',
    ],
    [
      'a rewrite with dot segments',
      route(', auth: public, rewrite: { prefix: { from: /a, to: /.. } }'),
      'must not have dot segments',
    ],
    [
      'a revocation feed at no upstream',
      changed('[ES256]', '[ES256]\n    revocations: { url: "http://127.0.0.1:8081/revocations" }'),
      'issuers[0].revocations.url: is not at a target of any upstream',
    ],
    ['no routes', `${exampleHead}routes: []\n`, 'routes: must have at least 1 item'],
    [
      'two routes with one shape',
      `${route(', auth: public')}  - { name: b, path: "/a/:x", methods: [HEAD], upstream: users-service, auth: public }\n`,
      'gateway.yaml:12:22: routes[1].path: route "a" serves HEAD at the same place (gateway.yaml:11:22)',
    ],
    [
      'a route on a path that the gateway reserves',
      route(', auth: public').replace('/a/:id', '/.well-known/countersign/events/:name'),
      'routes[0].path: is a path that the gateway answers itself',
    ],
    [
      'two routes with one name',
      `${route(', auth: public')}  - { name: a, path: /b, methods: [GET], upstream: users-service, auth: public }\n`,
      'gateway.yaml:12:13: routes[1].name: another route is also called "a": names must be unique (gateway.yaml:11:13)',
    ],
    [
      'an unknown upstream',
      changed('upstream: users-service', 'upstream: nowhere'),
      '"nowhere" is not an upstream in this file',
    ],
    [
      'a route that needs tokens in a file without issuers',
      exampleHead.replace(/issuers:[\s\S]*?identity/, 'issuers: []\nidentity') + exampleRoutes,
      'there are no issuers',
    ],
    [
      'bound tokens without public origins',
      route(', auth: required, senderConstrained: required'),
      'routes[0].senderConstrained: needs publicOrigins',
    ],
    [
      'bound tokens on a public route',
      `${route(', auth: public, senderConstrained: required')}publicOrigins: ["https://api.test"]\n`,
      'needs auth: required or optional',
    ],
    [
      'an unknown value for senderConstrained',
      `${route(', auth: required, senderConstrained: yes')}publicOrigins: ["https://api.test"]\n`,
      'must be "required"',
    ],
    [
      'DPoP proofs without public origins',
      route(', auth: public, forward: { dpop: true }'),
      'routes[0].forward.dpop: needs publicOrigins',
    ],
    [
      'DPoP proofs on a service route',
      `${route(', auth: service, callers: [x], forward: { dpop: true }')}publicOrigins: ["https://api.test"]\nservices: { x: { keys: ./x } }\n`,
      'works only on routes for clients',
    ],
    [
      'nonces without public origins',
      changed('version: 1', 'version: 1\ndpop: { nonces: { secretFile: ./x } }'),
      'dpop.nonces: needs publicOrigins',
    ],
    [
      'nonces without a secret',
      changed('version: 1', 'version: 1\npublicOrigins: ["https://api.test"]\ndpop: { nonces: {} }'),
      'dpop.nonces: "secret" or "secretFile" is required',
    ],
    [
      'a nonce secret in the file',
      changed(
        'version: 1',
        'version: 1\npublicOrigins: ["https://api.test"]\ndpop: { nonces: { secret: "0123456789abcdef0123456789abcdef" } }',
      ),
      'dpop.nonces.secret: must come from a variable',
    ],
    [
      'a secret with ed25519',
      changed(
        '["http://127.0.0.1:8082"] }',
        '["http://127.0.0.1:8082"], identity: { algorithm: ed25519, secret: x } }',
      ),
      'unknown key "secret" (allowed here: algorithm, headers, token)',
    ],
    ['a version in quotes', changed('version: 1', 'version: "1"'), 'version: must be 1, without quotes'],
    ['no path', route(', auth: public').replace('/a/:id', ''), 'routes[0].path: the path must begin with a slash'],
    ['a path that is a number', route(', auth: public').replace('"/a/:id"', '1'), 'must be a path, such as'],
    ['a symmetric algorithm', changed('[ES256]', '[HS256]'), 'must be one of "ES256"'],
    ['no algorithm at all', changed('[ES256]', '[none]'), 'must be one of "ES256"'],
    ...[
      ['a query', 'http://127.0.0.1:8080?'],
      ['a name beyond ASCII', 'https://bücher.example'],
      ['a path beyond ASCII', 'https://a.example/é'],
      ['a quote', 'https://a.example/\\"'],
      ['a backslash', 'https://a.example/\\\\'],
      ['more than 512 characters', `https://a.example/${'a'.repeat(512)}`],
    ].map(([name, url]): [string, string, string] => [
      `an issuer with ${name}`,
      changed('issuer: http://127.0.0.1:8080', `issuer: "${url}"`),
      'exactly as in `iss`',
    ]),
    [
      'a second issuer without tenants and roles',
      changed(
        'identity:',
        '  - { issuer: "https://b.test", audience: x, jwks: "https://b.test/k", algorithms: [ES256] }\nidentity:',
      ),
      '"tenants" is required with two or more issuers',
    ],
    ['an upstream name with a capital', changed('  users-service: {', '  Users: {'), 'must be a name'],
    [
      'credentials in a target',
      changed('http://127.0.0.1:8082', 'http://u:p@127.0.0.1:8082'),
      'no path, user or password',
    ],
    [
      'an empty user in a target',
      changed('http://127.0.0.1:8082', 'http://@127.0.0.1:8082'),
      'no path, user or password',
    ],
    ['a path in a target', changed('http://127.0.0.1:8082', 'http://127.0.0.1:8082/api'), 'no path'],
    ['another scheme', changed('http://127.0.0.1:8082', 'ftp://127.0.0.1:8082'), 'must be an http or https origin'],
    ['port 0', changed('http://127.0.0.1:8082', 'http://127.0.0.1:0'), 'must be an http or https origin'],
    [
      'plain http to another machine',
      changed('http://127.0.0.1:8082', 'http://10.0.0.1:8082'),
      'plain http leaves this machine',
    ],
    [
      'plain http to a name that begins like loopback',
      changed('http://127.0.0.1:8082', 'http://127.0.0.1.evil.test'),
      'plain http leaves this machine',
    ],
    [
      'keys over plain http',
      changed('http://127.0.0.1:8081/', 'http://issuer.test/'),
      'plain http leaves this machine',
    ],
    [
      'the metadata service',
      changed('http://127.0.0.1:8082', 'https://169.254.169.254'),
      'not a link-local or metadata address',
    ],
    [
      'the metadata service as one number',
      changed('http://127.0.0.1:8082', 'https://2852039166'),
      'not a link-local or metadata address',
    ],
    [
      'the metadata service in hexadecimal',
      changed('http://127.0.0.1:8082', 'https://0xA9FEA9FE'),
      'not a link-local or metadata address',
    ],
    [
      'the metadata service through IPv6',
      changed('http://127.0.0.1:8082', 'https://[::ffff:169.254.169.254]'),
      'not a link-local or metadata address',
    ],
    ...['64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1', '::169.254.169.254', 'fd20:ce::254'].map(
      (address): [string, string, string] => [
        `the metadata service as ${address}`,
        changed('http://127.0.0.1:8082', `https://[${address}]`),
        'not a link-local or metadata address',
      ],
    ),
    [
      'the metadata service by its older name',
      changed('http://127.0.0.1:8082', 'https://instance-data.ec2.internal'),
      'not a link-local or metadata address',
    ],
    [
      'the metadata service by name',
      changed('http://127.0.0.1:8082', 'https://metadata.google.internal.'),
      'not a link-local or metadata address',
    ],
    ['link-local IPv6', changed('http://127.0.0.1:8082', 'https://[fe80::1]'), 'not a link-local or metadata address'],
    [
      'keys from the metadata service',
      changed('http://127.0.0.1:8081/.well', 'https://169.254.169.254/.well'),
      'not a link-local or metadata address',
    ],
    [
      "the gateway's admin listener as a target",
      changed('http://127.0.0.1:8082', 'http://localhost:9090'),
      "is the gateway's own listen.admin",
    ],
    ...['[::ffff:127.0.0.1]', '[::1]', 'LOCALHOST.', '127.1'].map((host): [string, string, string] => [
      `the gateway's admin listener as ${host}`,
      changed('http://127.0.0.1:8082', `http://${host}:9090`),
      "is the gateway's own listen.admin",
    ]),
    [
      'two listeners on one address',
      `${exampleHead}${exampleRoutes}listen: { public: "127.0.0.1:9090" }\n`,
      'is the same address as listen.',
    ],
    [
      'a listener on all addresses with the port of another listener',
      `${exampleHead}${exampleRoutes}listen: { public: "0.0.0.0:8090" }\n`,
      'listen.internal: is the same address as listen.public',
    ],
    [
      'a malformed IPv4 address',
      `${exampleHead}${exampleRoutes}listen: { public: "999.0.0.1:8080" }\n`,
      'must be an address to listen on',
    ],
    [
      'a wildcard in a CORS origin',
      `${exampleHead}${exampleRoutes}cors: { origins: ["https://*.app.test"] }\n`,
      'cors.origins[0]: must be an origin without wildcards',
    ],
    [
      'a target with a missing slash',
      changed('http://127.0.0.1:8082', 'http:/127.0.0.1:8082'),
      'must be an http or https origin',
    ],
    [
      'a malformed address',
      `${exampleHead}${exampleRoutes}listen: { public: "8080" }\n`,
      'must be an address to listen on',
    ],
    [
      'a port out of range',
      `${exampleHead}${exampleRoutes}listen: { public: "h:98777" }\n`,
      'must be an address to listen on',
    ],
    [
      'all addresses as trusted proxies',
      `${exampleHead}${exampleRoutes}trustedProxies: [0.0.0.0/0]\n`,
      'would let every client fake its address',
    ],
    [
      'all IPv4 addresses as trusted proxies, written as IPv6',
      `${exampleHead}${exampleRoutes}trustedProxies: ["::ffff:0:0/96"]\n`,
      'would let every client fake its address',
    ],
    ...[
      ['10.0.0.5/8', '10.0.0.0/8'],
      ['192.168.129.0/17', '192.168.128.0/17'],
      ['fd00:1::2/16', 'fd00::/16'],
      ['2001:db8::ffff/127', '2001:db8::fffe/127'],
      ['::ffff:10.0.0.1/104', '::ffff:a00:0/104'],
    ].map(([written = '', meant = '']): [string, string, string] => [
      `a network with host bits set, ${written}`,
      `${exampleHead}${exampleRoutes}trustedProxies: ["${written}"]\n`,
      `trustedProxies[0]: has host bits set: write the network "${meant}", or one address: "${written.split('/')[0]}"`,
    ]),
    ...['*.a.test', 'https://a.test', 'a.test/x', 'a.test:0', 'a.test:70000', '[::1', 'a b', '256.1.1.1'].map(
      (host): [string, string, string] => [
        `a malformed allowed host, ${host}`,
        `${exampleHead}${exampleRoutes}admin: { allowedHosts: ["${host}"] }\n`,
        'admin.allowedHosts[0]: must be a host, with or without a port, without scheme, path or wildcard',
      ],
    ),
    [
      'a network with too many bits',
      `${exampleHead}${exampleRoutes}trustedProxies: [10.0.0.0/33]\n`,
      'must be an address or a network',
    ],
    [
      'a public origin with a path',
      `${exampleHead}${exampleRoutes}publicOrigins: ["https://a.test/x"]\n`,
      'must be an origin',
    ],
    [
      'a Redis URL over http',
      `${exampleHead}${exampleRoutes}redis: "http://127.0.0.1"\n`,
      'must be a redis: or rediss: URL',
    ],
    [
      'a Redis password in the query string',
      `${exampleHead}${exampleRoutes}redis: "redis://127.0.0.1/0?family=4&password=canary"\n`,
      'with a password only before the host',
    ],
    ['a key without a value', `${exampleHead}${exampleRoutes}redis:\n`, 'redis: has no value'],
    ['a list as the whole file', '- a\n', 'must be a map of keys and values'],
    [
      'a list instead of a map',
      changed('identity: { keys: ./gateway-keys }', 'identity: []'),
      'identity: must be a map of keys and values',
    ],
    [
      'a signature lifetime of an hour',
      changed('{ keys: ./gateway-keys }', '{ keys: ./k, lifetime: 1h }'),
      'must be a duration from 1s to 60s',
    ],
    [
      'a test that expects success and a refusal',
      `${exampleHead}${exampleRoutes}tests: [{ request: { method: GET, path: / }, expect: { allowed: true, status: 404 } }]\n`,
      'only a refusal has this',
    ],
    [
      'a test that expects an unknown route',
      `${exampleHead}${exampleRoutes}tests: [{ request: { method: GET, path: / }, expect: { allowed: true, route: x } }]\n`,
      '"x" is not a route in the configuration',
    ],
    [
      'a key instead of its path',
      changed('./gateway-keys', '"{ \\"kty\\": \\"OKP\\" }"'),
      'identity.keys: must be the path of a file or directory, not its content',
    ],
  ])('is refused for %s', (_name, text, problem) => {
    const problems = problemsOf(text);
    expect(problems[0]).toContain(problem);
    expect(problems[0]).toMatch(/^gateway\.yaml:\d+:\d+: /);
  });

  // Many secrets consist only of lower-case letters and digits, so they are valid names.
  test.each([
    ['as an upstream', changed('upstream: users-service', 'upstream: "${CANARY}"'), '"${CANARY}" is not an upstream'],
    ['in a path', changed('path: /v1/users/me', 'path: "/v1/${CANARY}*"'), 'the invalid segment "/v1/${CANARY}*"'],
    ['as a caller', route(', auth: service, callers: ["${CANARY}"]'), '"${CANARY}" is not a service'],
    [
      'as a CA',
      changed('["http://127.0.0.1:8082"] }', '["https://127.0.0.1:8082"], tls: { ca: "${CANARY}" } }'),
      'tls.ca: cannot be read (ENOENT)',
    ],
    ['as an enum value', route(', auth: "${CANARY}"'), 'must be one of "required", "optional"'],
    ['as an address', `${exampleHead}${exampleRoutes}listen: { public: "\${CANARY}" }\n`, 'must be an address'],
  ])('never shows the value of a misplaced variable: %s', (_name, text, problem) => {
    const problems = problemsOf(text, { CANARY: 'required-c0ffeec0ffeec0ffeec0ffee' });
    expect(problems.join('\n')).toContain(problem);
    expect(problems.join('\n')).not.toContain('c0ffee');
  });

  test('never shows the value of a misplaced variable with quotation marks', () => {
    const text = changed('path: /v1/users/me', 'path: "/v1/${CANARY}/x"');
    for (const secret of ['a"c0ffee"b', '"c0ffee"/c0ffee"']) {
      const problems = problemsOf(text, { CANARY: secret }).join('\n');
      expect(problems).toContain('the path has the invalid segment "/v1/${CANARY}/x": use letters, digits and "-._~"');
      expect(problems).not.toContain('c0ffee');
    }
  });
});

describe('a misspelled key', () => {
  test.each([
    ['upstream', changed('upstream: users-service', 'upstraem: users-service')],
    ['name', changed('name: me', 'nmae: me')],
    ['issuers', changed('issuers:', 'isuers:')],
    ['upstreams', changed('upstreams:', 'upstream:')],
    ['routes', changed('routes:', 'rotues:')],
    ['callers', `${route(', auth: service, caller: [x]')}services: { x: { keys: ./x } }\n`],
    ['services', `${route(', auth: service, callers: [x]')}service: { x: { keys: ./x } }\n`],
    ['publicOrigins', `${route(', auth: required, senderConstrained: required')}publicOrigin: ["https://a.test"]\n`],
    [
      'tenants',
      changed('algorithms: [ES256]\n', 'algorithms: [ES256]\n    tenant: [a]\n    roles: [b]\n').replace(
        'identity:',
        '  - { issuer: "https://b.test", audience: x, jwks: "https://b.test/k", algorithms: [EdDSA], tenants: [c], roles: [d] }\nidentity:',
      ),
    ],
  ])('for %s causes one error', (meant, text) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(`; did you mean "${meant}"?`)]);
  });
});

test.each([
  ['a URI with dots', 'https://example.com/roles'],
  ['a name with colons', 'urn:zitadel:iam:org:project:roles'],
  ['a name with dots', 'realm_access.roles'],
])('a claim name may be %s', (_what, name) => {
  expect(problemsOf(changed('algorithms: [ES256]', `algorithms: [ES256]\n    claims: { role: "${name}" }`))).toEqual(
    [],
  );
});

test.each([
  [
    'limits',
    route(', auth: public, limits: [{ requests: 1, per: 1m, by: address }]'),
    'count the limits for a separately',
  ],
  [
    'services',
    `${route(', auth: service, callers: [x]')}services: { x: { keys: ./x } }\n`,
    'remember calls from x separately',
  ],
  [
    'public origins',
    `${route(', auth: required')}publicOrigins: ["https://api.test"]\n`,
    'remember the DPoP proofs for a separately',
  ],
])('with %s, several instances and workers need Redis', (_what, text, reason) => {
  const problem = (several: string) => `"redis" is required with ${several}: each process would ${reason}`;
  const instances = problemsOf(`${text}instances: many\n`);
  expect(instances).toContainEqual(expect.stringContaining(problem('instances: many')));
  expect(problemsOf(text, {}, { workers: 2 })).toContainEqual(expect.stringContaining(problem('2 workers')));
  expect(problemsOf(`${text}instances: many\nredis: redis://127.0.0.1:6379\n`).join()).not.toContain('redis');
});
