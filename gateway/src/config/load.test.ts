// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mintIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exampleConfig, exampleHead, exampleRoutes } from '../../test/kit/example-config.ts';
import { changed, problemsOf, route } from '../../test/kit/problems-of.ts';
import { loadConfig, parseConfig } from './load.ts';

const secret = 'a-secret-of-thirty-two-bytes-or-more';

describe('a configuration', () => {
  test('applies defaults and resolves names', () => {
    const config = exampleConfig();
    expect(config.listen.public).toEqual({ host: '127.0.0.1', port: 8080 });
    expect(config.identity).toEqual({
      keyFiles: 'owner',
      keysDir: '/etc/countersign/gateway-keys',
      lifetimeSec: 30,
      name: 'countersign-gateway',
    });
    expect(config.redis).toBeUndefined();
    const [me] = config.routes;
    expect(me?.upstream).toBe(config.upstreams.get('users-service'));
    expect(me?.upstream.timeouts).toEqual({ connectMs: 2000, responseMs: 30_000, idleMs: 60_000 });
    expect(me?.body).toEqual({ mode: 'digest', maxBytes: 1024 * 1024 });
    expect(config.issuers[0]?.claims).toEqual({
      userId: ['user_id'],
      role: { kind: 'claim', path: ['role'] },
      tenantId: { kind: 'claim', path: ['tenant_id'] },
      sessionId: ['sid'],
      scope: ['scope'],
      client: ['client_id', 'azp'],
    });
  });

  test('accepts every key', () => {
    const config = exampleConfig(
      `  hmac-service:
    targets: ["https://a.example.test:8443", "https://b.example.test"]
    identity: { algorithm: hmac-sha256, secret: "\${SECRET}", next: "\${NEXT}" }
    txnToken: true
    timeouts: { connect: 250ms, response: 1m, idle: 1h }
listen: { public: "[::1]:80", admin: "0.0.0.0:81", internal: "localhost:82" }
publicOrigins: ["https://api.example.test"]
trustedProxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1]
redis: "redis://:pw@127.0.0.1:6379/1"
services: { complaint-service: { keys: ./keys/c.jwks.json }, hmac-service: { keys: ./keys/h.jwks.json } }
headers: { strip: [X-Secret] }
routes:
  - name: events
    path: /v1/x/:tenantId/**
    methods: [GET, POST]
    upstream: hmac-service
    auth: required
    allow: { roles: [admin], tenant: ":tenantId" }
    limits: [{ requests: 10, per: 1m, by: user }]
    body: { mode: stream, maxBytes: 1GiB }
    websocket: true
    rewrite: { prefix: { from: /v1/x, to: / } }
    forward: { cookies: [__Host-rt], authorization: true, dpop: true }
  - { name: lookup, path: "/internal/:id", methods: [GET], upstream: users-service, auth: service, callers: [complaint-service] }
tests:
  - request: { method: GET, path: "/v1/x/t/y?q=1", as: { userId: u, role: admin, tenantId: t } }
    expect: { allowed: true, route: events, upstream: hmac-service, path: /t/y }
`,
      { SECRET: secret, NEXT: `${secret}-next` },
    );
    expect(config.upstreams.get('hmac-service')).toMatchObject({
      targets: ['https://a.example.test:8443', 'https://b.example.test'],
      identity: { algorithm: 'hmac-sha256', secret: Buffer.from(secret), next: Buffer.from(`${secret}-next`) },
      timeouts: { connectMs: 250, responseMs: 60_000, idleMs: 3_600_000 },
    });
    expect(config.listen.public).toEqual({ host: '::1', port: 80 });
    expect(config.trustedProxies).toEqual([
      { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
      { address: 'fd00::', prefix: 8, family: 'ipv6' },
      { address: '192.0.2.1', prefix: 32, family: 'ipv4' },
    ]);
    // A worker thread returns the configuration by structured clone, which turns a Buffer into a Uint8Array. The
    // reload code would then report a changed upstream.
    expect(structuredClone(config)).toEqual(config);
    expect(config.upstreams.get('hmac-service')?.identity).toMatchObject({
      secret: new Uint8Array(Buffer.from(secret)),
    });
    expect(JSON.stringify([...config.upstreams.values()])).not.toContain('"type":"Buffer"');
    expect(config.headers.strip).toEqual(['x-secret']);
    expect(config.services.get('complaint-service')?.keysFile).toBe('/etc/countersign/keys/c.jwks.json');
    expect(config.routes[0]).toMatchObject({
      allow: { roles: ['admin'], tenant: ':tenantId' },
      limits: [{ requests: 10, perSec: 60, by: 'user', onStoreFailure: 'local' }],
      body: { mode: 'stream', maxBytes: 1024 ** 3 },
      rewrite: { from: '/v1/x', to: '/' },
      forward: { cookies: new Set(['__Host-rt']), authorization: true, dpop: true },
    });
    expect(config.tests[0]?.at).toBe('/etc/countersign/gateway.yaml:35:5');
  });

  test('shows every problem at once, in the order of the file', () => {
    const problems = problemsOf(`version: 2
insecureTransport: "false"
issuers: []
identity: { keys: "\${HOME_OF_KEYS}/k", lifetme: 5s }
upstreams: { users-service: { targets: [] } }
routes:
  - { name: a, path: /a//b, methods: [GTE], upstream: user-service, auth: maybe }
  - { name: b, path: /b, methods: [GET], upstream: users-service }
`);
    expect(problems).toEqual([
      'gateway.yaml:1:10: version: must be 1',
      'gateway.yaml:2:20: insecureTransport: must be true or false: values in quotes, values of variables, and yes, no, on and off are text',
      'gateway.yaml:4:19: the variable HOME_OF_KEYS is not set, and has no default ("${HOME_OF_KEYS:-default}")',
      'gateway.yaml:4:40: identity: unknown key "lifetme"; did you mean "lifetime"? (allowed here: keys, keyFiles, lifetime, name, issuer)',
      'gateway.yaml:5:40: upstreams.users-service.targets: must have at least 1 item',
      'gateway.yaml:7:22: routes[0].path: the path has an empty segment ("//")',
      'gateway.yaml:7:39: routes[0].methods[0]: must be one of "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"',
      'gateway.yaml:7:55: routes[0].upstream: "user-service" is not an upstream in this file; did you mean "users-service"? (there are: users-service)',
      'gateway.yaml:7:75: routes[0].auth: must be one of "required", "optional", "public", "service"',
      'gateway.yaml:8:5: routes[1]: "auth" is required: must be one of "required", "optional", "public", "service"',
    ]);
  });

  test('plain http to other machines is accepted with insecureTransport', () => {
    expect(problemsOf(`${changed('http://127.0.0.1:8082', 'http://10.0.0.1:8082')}insecureTransport: true\n`)).toEqual(
      [],
    );
  });

  test('two issuers with tenants and roles are accepted', () => {
    const limits = 'tenants: [acme], roles: [agent]';
    const text = changed('algorithms: [ES256]\n', 'algorithms: [ES256]\n    tenants: [globex]\n    roles: [admin]\n');
    const second = `  - { issuer: "https://b.test", audience: x, jwks: "https://b.test/k", algorithms: [EdDSA], ${limits} }\nidentity:`;
    expect(problemsOf(text.replace('identity:', second))).toEqual([]);
  });

  test('a public route and a service route may share a path', () => {
    const text = `${route(', auth: public')}  - { name: b, path: "/a/:x", methods: [GET], upstream: users-service, auth: service, callers: [c] }\nservices: { c: { keys: k.json } }\n`;
    expect(problemsOf(text)).toEqual([]);
  });
});

test('reports conflicts between routes together with the problems inside each route', () => {
  const routes = `routes:
  - { name: a, path: /a/:id, methods: [GET], upstream: users-service, auth: public, allow: { roles: [x] }, body: { maxBytes: 1 KB } }
  - { name: a, path: /a/:other, methods: [GET, POTS], upstream: users-service, auth: public, colour: red }
  - { name: c, path: /a/:third, methods: [GET], upstream: user-service, auth: required, limits: 5 }
  - { name: d, path: /d, methods: [GET], upstream: users-service, auth: service, callers: agent }
  - { name: e, path: /e, upstream: users-service, auth: public, websocket: true, rewrite: { prefix: { from: /f, to: / } } }
`;
  const told = problemsOf(exampleHead + routes).map((problem) =>
    problem.replace(/^gateway\.yaml:\d+:\d+: /, '').replace(/[;(].*/, ''),
  );
  expect(told.map((problem) => problem.trim())).toEqual([
    'routes[0].allow: needs auth: required',
    expect.stringMatching(/^routes\[0\]\.body\.maxBytes: must be a size/),
    'routes[1].name: another route is also called "a": names must be unique',
    expect.stringMatching(/^routes\[1\]\.methods\[1\]: must be one of/),
    'routes[1]: unknown key "colour"',
    'routes[2].path: route "a" serves GET at the same place',
    'routes[2].upstream: "user-service" is not an upstream in this file',
    expect.stringMatching(/^routes\[2\]\.limits: must be a list/),
    expect.stringMatching(/^routes\[3\]\.callers: must be a list/),
    expect.stringMatching(/^routes\[4\]: "methods" is required/),
    'routes[4].rewrite.prefix.from: must be literal segments at the start of the path',
  ]);
});

test('reports conflicts between listeners, issuers, upstreams and tests together with the problems inside them', () => {
  const told = problemsOf(`version: 1
listen: { public: 8080, admin: "127.0.0.1:9090", internal: "127.0.0.1:9090" }
issuers:
  - { issuer: "https://a.test", audience: x, jwks: "http://10.0.0.1/keys", algorithms: [HS256], tenants: [t], roles: 5 }
  - { issuer: "https://a.test", jwks: ./nowhere.json, algorithms: [ES256], tenants: [t], roles: [r] }
identity: { keys: ./keys }
upstreams:
  users-service: { targets: ["http://10.0.0.1"], timeouts: { connect: 2 }, tls: { ca: ./nowhere.pem } }
  complaint-service: { targets: [nonsense], identity: { algorithm: hmac-sha256, secret: ${secret} }, txnToken: true }
routes:
  - { name: a, path: /a, methods: [GET], upstream: users-service, auth: public }
tests:
  - { request: { method: GET, path: 5 }, expect: { allowed: true, route: b, status: 404 } }
`).map((problem) => problem.replace(/^gateway\.yaml:\d+:\d+: /, '').replace(/[;(,].*/, ''));
  expect(told.map((problem) => problem.trim())).toEqual([
    'listen.public: must be an address to listen on',
    'listen.internal: is the same address as listen.admin: each listener needs its own address',
    'issuers[0].jwks: plain http leaves this machine: use https',
    expect.stringMatching(/^issuers\[0\]\.algorithms\[0\]: must be one of/),
    'issuers[0].roles: must be a list',
    'issuers[1]: "audience" is required: must be a string',
    'issuers[1].issuer: is written twice',
    'issuers[1].jwks: is a file that cannot be read',
    'upstreams.users-service.targets[0]: plain http leaves this machine: use https',
    'upstreams.users-service.timeouts.connect: must be a duration from 1ms to 1m',
    'upstreams.users-service.tls: works only with https targets',
    'upstreams.users-service.tls.ca: cannot be read',
    expect.stringMatching(/^upstreams\.complaint-service\.targets\[0\]: must be an http or https origin/),
    'upstreams.complaint-service.identity.secret: must come from a variable without a default',
    'upstreams.complaint-service.txnToken: "complaint-service" has no keys under services',
    'tests[0].request.path: must be a text',
    'tests[0].expect.route: "b" is not a route in the configuration',
    'tests[0].expect.status: only a refusal has this',
  ]);
});

test.each([
  [
    'a fraction instead of a whole number',
    ', limits: [{ requests: 1.5, per: 1s, by: route }]',
    'must be a whole number',
  ],
  ['a text instead of a whole number', ', limits: [{ requests: "5", per: 1s, by: route }]', 'must be a whole number'],
  ['an unknown key', ', colour: red', 'unknown key "colour"'],
  ['a missing key', ', limits: [{ requests: 5, by: route }]', '"per" is required'],
])('reports the problems of other rules too when a route has %s', (_name, more, problem) => {
  const problems = problemsOf(route(`, auth: public, allow: { roles: [x] }${more}`));
  expect(problems).toEqual([expect.stringContaining('needs auth: required'), expect.stringContaining(problem)]);
});

test.each([
  [
    'upstreams without any',
    changed('  users-service: { targets: ["http://127.0.0.1:8082"] }\n', ''),
    'upstreams: has no value; must be a map of keys and values',
  ],
  ['a tag', changed('audience: ', 'audience: !secret '), 'tags ("!…") are not supported'],
  [
    'an alias without an anchor',
    changed('algorithms: [ES256]', 'algorithms: *all'),
    'there is no anchor "&all" before this; a text that begins with "*" needs quotes',
  ],
  ['a no-break space', `${exampleHead}${exampleRoutes}"dpop\u00a0": {}\n`, 'unknown key "dpop\\u00a0"'],
])('%s is one problem', (_name, text, problem) => {
  const problems = problemsOf(text);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

describe('issuer keys', () => {
  const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  let directory = '';
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
    writeFileSync(join(directory, 'a.json'), JSON.stringify((await mintIssuer()).jwks));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each([
    ['is not JSON', 'nonsense', 'is not a JWK set'],
    ['contains other JSON', '[1]', 'contains no key that this issuer may sign with'],
    ['is empty', '{"keys":[]}', 'contains no key that this issuer may sign with'],
    [
      'has a key for other algorithms',
      JSON.stringify({ keys: [{ ...ed25519, kid: 'a', alg: 'EdDSA' }] }),
      'contains no key that this issuer',
    ],
  ])('are refused with their location when the file %s', (_what, content, why) => {
    writeFileSync(join(directory, 'b.json'), content);
    expect(() => jwksOf('b.json')).toThrow(`gateway.yaml:5:11: issuers[0].jwks: is a file that ${why}`);
  });

  test.each(['/etc/passwd', '/dev/zero', '/'])('cannot be in %s', (file) => {
    expect(() => jwksOf(file)).toThrow(/gateway\.yaml:5:11: issuers\[0\]\.jwks: is a file that /);
  });

  const jwksOf = (jwks: string) => {
    const text = changed('http://127.0.0.1:8081/.well-known/jwks.json', jwks);
    return parseConfig(text, { file: join(directory, 'gateway.yaml'), env: {} }).issuers[0]?.jwks;
  };

  test('may be in a file with a relative or absolute path', () => {
    const file = join(directory, 'a.json');
    expect([jwksOf('a.json'), jwksOf('./a.json'), jwksOf(file)]).toEqual([file, file, file]);
  });

  test('may be fetched', () => {
    expect(jwksOf('https://a.test/jwks')).toBe('https://a.test/jwks');
  });
});

describe('a secret', () => {
  const hmac = (more: string) =>
    changed('"http://127.0.0.1:8082"] }', `"http://127.0.0.1:8082"], identity: { algorithm: hmac-sha256, ${more} } }`);
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'countersign-secrets-'));
    writeFileSync(join(directory, 'secret'), `${secret}\n`);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each<[string, string, Record<string, string>, string]>([
    ['absent', 'algorithm: hmac-sha256', {}, '"secret" or "secretFile" is required'],
    ['written into the file', `secret: ${secret}`, {}, 'must come from a variable without a default'],
    ['a default', `secret: "\${S:-${secret}}"`, {}, 'must come from a variable without a default'],
    [
      'combined with a default',
      `secret: "\${S:-${secret}}"`,
      { S: `${secret}!` },
      'must come from a variable without a default',
    ],
    ['of a variable that is not set', 'secret: "${S}"', {}, 'the variable S is not set'],
    ['too short', 'secret: "${S}"', { S: 'x'.repeat(31) }, 'must be at least 32 bytes'],
    [
      'published',
      'secret: "${S}"',
      { S: 'countersign test vectors: a secret everybody knows' },
      'must be secret, but this one is published with test vectors',
    ],
    ['not random', 'secret: "${S}"', { S: 'x'.repeat(64) }, 'must be random'],
    ['the same as the next', 'secret: "${S}", next: "${S}"', { S: secret }, "is the same as users-service's secret"],
    ['set twice', 'secret: "${S}", secretFile: ./s', { S: secret }, 'are both set'],
    ['in a file that is not there', 'secretFile: ./nowhere', {}, 'cannot be read (ENOENT)'],
  ])('is refused when %s, and never appears in the error', (_name, more, env, problem) => {
    const text = more.startsWith('algorithm') ? hmac('').replace(', }', ' }') : hmac(more);
    const problems = problemsOf(text, env);
    expect(problems).toEqual([expect.stringContaining(problem)]);
    expect(problems.join()).not.toContain(secret);
  });

  test('is read from a file, without the trailing newline', () => {
    const file = join(directory, 'gateway.yaml');
    writeFileSync(file, hmac('secretFile: ./secret'));
    expect(loadConfig(file, {}).upstreams.get('users-service')?.identity).toEqual({
      algorithm: 'hmac-sha256',
      headers: true,
      token: undefined,
      secret: new Uint8Array(Buffer.from(secret)),
      next: undefined,
    });
  });
});

describe('a file', () => {
  test('with a thousand problems shows the first 200 and how many more there are', () => {
    const problems = problemsOf(Array.from({ length: 1000 }, (_, at) => `key-${at}: 1\n`).join(''));
    expect(problems).toHaveLength(201);
    expect(problems.at(-1)).toMatch(/^gateway\.yaml: and \d+ more$/);
  });

  test('that does not exist causes one clear error', () => {
    expect(() => loadConfig('/nowhere/gateway.yaml', {})).toThrow('/nowhere/gateway.yaml: cannot be read (ENOENT)');
  });

  test('that is not UTF-8 causes one clear error', () => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-utf8-'));
    const file = join(directory, 'gateway.yaml');
    writeFileSync(file, Buffer.from([0x61, 0x3a, 0xff]));
    expect(() => loadConfig(file, {})).toThrow(`${file}:1:1: is not UTF-8`);
    rmSync(directory, { recursive: true });
  });

  test('that is too large is refused before it is read', () => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-huge-'));
    const file = join(directory, 'gateway.yaml');
    writeFileSync(file, '');
    truncateSync(file, 8 * 1024 ** 3);
    expect(() => loadConfig(file, {})).toThrow(`${file}:1:1: the file is larger than 8 MiB`);
    rmSync(directory, { recursive: true });
  });
});
