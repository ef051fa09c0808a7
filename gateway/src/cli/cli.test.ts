import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { exampleHead, exampleRoutes } from '../../test/kit/example-config.ts';
import { readKeys } from '../keys/key-files.ts';
import { overview, runCli } from './cli.ts';
import type { Terminal } from './command.ts';

let directory = '';
let file = '';
let env: Record<string, string> = {};
let nowMs = Date.parse('2027-01-15T08:00:00Z');
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  file = join(directory, 'gateway.yaml');
  nowMs = Date.parse('2027-01-15T08:00:00Z');
  env = {};
});
afterEach(() => rmSync(directory, { recursive: true }));

const run = (...args: readonly string[]) => runPainted((text) => text, ...args);

async function runPainted(paint: (text: string) => string, ...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    paint: (_style, text) => paint(text),
    isInteractive: false,
    env,
    nowMs: () => nowMs,
  };
  const code = await runCli(args, terminal);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const policyTests = `tests:
  - request: { method: GET, path: /v1/users/me, as: { userId: u1, role: agent, tenantId: acme } }
    expect: { allowed: true, route: me }
  - request: { method: GET, path: /v1/users/me }
    expect: { allowed: false, status: 401, code: token_missing }
`;

describe('countersign', () => {
  test('shows its commands', async () => {
    expect(await run('--help')).toEqual({ code: 0, out: overview(), err: '' });
    expect((await run()).code).toBe(2);
  });

  test('checks a file without its variables and keys', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of gateway.yaml
    const withSecret = exampleHead.replace('8082"]', '8082"], identity: { algorithm: hmac-sha256, secret: "${KEY}" }');
    writeFileSync(file, withSecret + exampleRoutes);
    expect((await run('check', file)).code).toBe(1);
    const checked = await run('check', file, '--without-keys');
    expect(checked).toMatchObject({ code: 0, err: '' });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of gateway.yaml
    expect(checked.out).toContain('  not read: ${KEY}, ./gateway-keys');
    writeFileSync(file, withSecret + exampleRoutes.replace('upstream: users-service', 'upstream: absent'));
    expect((await run('check', file, '--without-keys')).err).toContain('"absent" is not an upstream');
    expect((await run('check', file, '--without-keys', '--services')).code).toBe(2);
  });

  test('colors standard output only', async () => {
    const paint = (text: string) => `<${text}>`;
    writeFileSync(file, exampleHead + exampleRoutes);
    await run('keys', 'create', '-c', file);
    expect((await runPainted(paint, 'check', file)).out).toContain('<good>');
    writeFileSync(file, 'version: 2\n');
    expect((await runPainted(paint, 'check', file)).err).not.toContain('<');
  });

  test('lists the known commands when the command is unknown', async () => {
    const { code, err } = await run('start');
    expect(code).toBe(2);
    expect(err).toBe(
      'countersign: unknown command "start"; known: init, serve, check, diff, test, explain, replay, token, revoke, schema, keys, integrate, conformance',
    );
  });

  test.each([
    [['http://127.0.0.1:3000'], '--audience is missing'],
    [['--audience', 'orders'], 'name one URL'],
    [['https://127.0.0.1', '--audience', 'orders'], 'is not an http URL'],
    [['http://orders.example.test', '--audience', 'orders'], '--allow-host permits it'],
    [['http://127.0.0.1:3000', '--audience', 'orders', '--form', 'jwt'], '--form must be headers or token'],
    [['http://127.0.0.1:3000', '--audience', 'orders', '--keys', ':'], '--keys must be HOST:PORT'],
  ])('conformance %j is a wrong command line', async (args, message) => {
    const { code, err } = await run('conformance', ...args);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test.each(['init', 'serve', 'check', 'test', 'explain', 'token', 'schema', 'keys', 'conformance'])(
    '%s has its own help',
    async (name) => {
      const { code, out } = await run(name, '--help');
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`^Usage: countersign ${name}`));
    },
  );

  test.each([
    ['an unknown option', ['check', '--fast']],
    ['two files', ['check', 'a', 'b']],
    ['two formats', ['check', '--json', '--junit']],
    ['a format and a table', ['check', '--json', '--routes']],
    ['standard input to reload', ['serve', '-']],
    ['the file given twice', ['check', 'a', '--config', 'b']],
    ['no path', ['explain', 'GET']],
    ['a tenant without a role', ['explain', 'GET', '/', '--tenant', 'acme']],
    ['a bound token without a role', ['explain', 'GET', '/', '--bound']],
    ['an invalid role', ['explain', 'GET', '/', '--role', 'Admin']],
    ['no action', ['keys']],
    ['an unknown action', ['keys', 'burn', '--dir', 'x']],
    ['no key to retire', ['keys', 'retire', '--dir', 'x']],
    ['a header without a colon', ['explain', 'GET', '/', '-H', 'x']],
    ['a header with a line break', ['explain', 'GET', '/', '-H', 'x: a\nb: c']],
  ])('exits with 2 and points to the help for %s', async (_name, args) => {
    const { code, err } = await run(...args);
    expect(code).toBe(2);
    expect(err).toMatch(/Help: countersign/);
  });
});

test.each([
  [['check', '--confg', 'x'], 'check: unknown option --confg; did you mean --config?'],
  [['serve', '--log-fromat=text'], 'serve: unknown option --log-fromat; did you mean --log-format?'],
  [
    ['check', '--fast'],
    'check: unknown option --fast; known: --config, --workers, --without-keys, --services, --routes, --sample, --json, --junit, --help',
  ],
  [
    ['check', '-x'],
    'check: unknown option -x; known: --config, --workers, --without-keys, --services, --routes, --sample, --json, --junit, --help',
  ],
  [
    ['check', '--constructor'],
    'check: unknown option --constructor; known: --config, --workers, --without-keys, --services, --routes, --sample, --json, --junit, --help',
  ],
  [['check', '--config'], 'check: --config needs a value'],
  [['check', '-c', '--workers', '2'], 'check: -c needs a value; if it begins with "-", write --config=VALUE'],
  [['serve', '--check-only=yes'], 'serve: --check-only takes no value'],
  [['explain', 'GET', '/', '--payload', '[]'], 'explain: --payload must be a JSON object'],
  [
    ['explain', 'GET', '/', '--payload', '{}', '--role', 'agent'],
    'explain: --payload already identifies the caller: omit --role',
  ],
  [['serve', '--log-format', 'xml'], 'serve: --log-format must be json or text'],
])("%j is refused with our own message, not Node's", async ([name = '', ...args], problem) => {
  expect(await run(name, ...args)).toEqual({
    code: 2,
    out: '',
    err: `countersign ${problem}\nHelp: countersign ${name} --help`,
  });
});

describe.each([
  ['check', ['check']],
  ['serve --check-only', ['serve', '--check-only']],
])('%s', (_name, command) => {
  const checked = (...more: readonly string[]) => run(...command, '--config', file, ...more);
  const keysDir = () => join(directory, 'gateway-keys');

  test('accepts a valid file', async () => {
    writeFileSync(file, exampleHead + exampleRoutes + policyTests);
    await run('keys', 'create', '-c', file);
    expect(await checked()).toEqual({
      code: 0,
      out: `good ${file}: 1 route, 1 upstream, 1 issuer, 2 tests`,
      err: '',
    });
  });

  test('refuses a gateway without keys, and shows how to create one', async () => {
    writeFileSync(file, exampleHead + exampleRoutes);
    expect(await checked()).toEqual({
      code: 1,
      out: '',
      err: `${keysDir()}: cannot be read (ENOENT). To create one, run countersign keys create --dir ${keysDir()}\n1 problem`,
    });
  });

  test.each([
    ['others may read', (key: string) => chmodSync(key, 0o644), 'others may read it (mode 644)'],
    ['is not a key', (key: string) => writeFileSync(key, '{}'), 'is not an ed25519 private JWK'],
    ['is empty', (key: string) => writeFileSync(key, ''), 'is empty'],
    [
      'is not valid yet',
      () => {
        nowMs -= 86_400_000;
      },
      'no key is currently valid for signing',
    ],
  ])('refuses a signing key that %s', async (_what, spoil, why) => {
    writeFileSync(file, exampleHead + exampleRoutes);
    await run('keys', 'create', '-c', file);
    spoil(join(keysDir(), readdirSync(keysDir())[0] ?? ''));
    const { code, err } = await checked();
    expect([code, err]).toEqual([1, expect.stringContaining(why)]);
  });

  test.each([
    [
      'that do not exist',
      undefined,
      'cannot be read (ENOENT). It must contain the public keys of caller, as a JWK set',
    ],
    ['that are not JSON', 'nonsense', 'is not JSON'],
    ['without a key', '{"keys":[]}', 'contains no ed25519 public key'],
    [
      'that are published test keys',
      '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}',
      'k is a published test key',
    ],
    [
      'with the kid of a published test key',
      '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"test-key-ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}',
      'test-key-ed25519 is a published test key',
    ],
  ])('refuses keys of a service %s', async (_what, content, why) => {
    writeFileSync(file, `${exampleHead}${exampleRoutes}services: { caller: { keys: ./caller.json } }\n`);
    await run('keys', 'create', '-c', file);
    if (content !== undefined) writeFileSync(join(directory, 'caller.json'), content);
    const { code, err } = await checked();
    expect([code, err]).toEqual([1, expect.stringContaining(`caller.json: keys of caller: ${why}`)]);
  });

  test('reports invalid environment variables together with the problems in the file', async () => {
    writeFileSync(file, 'version: 2\n');
    env = { LOG_LEVEL: 'loud' };
    const { code, err } = await checked();
    expect(code).toBe(1);
    expect(err).toContain('LOG_LEVEL: must be trace, debug, info, warn, error, fatal or silent\n');
    expect(err).toContain(`${file}:1:10: version: must be 1\n`);
  });

  test.each(['0.0.0.0', '[::]', '10.0.0.5', 'gateway.internal'])(
    'warns about an admin listener at %s, refuses it in production, and accepts it if the network is trusted',
    async (host) => {
      const open = `${exampleHead}${exampleRoutes}listen: { admin: "${host}:9090" }\n`;
      writeFileSync(file, open);
      await run('keys', 'create', '-c', file);
      const problem =
        'other machines can reach the admin listener, which has no login: use a loopback address, or set insecureTransport: true if the network is trusted';
      expect(await checked()).toMatchObject({
        code: 0,
        err: `${file}:12:18: warning: listen.admin: ${problem}. If NODE_ENV is production, the gateway refuses this`,
      });
      env = { NODE_ENV: 'production' };
      expect(await checked()).toMatchObject({ code: 1, err: `${file}:12:18: listen.admin: ${problem}\n1 problem` });
      writeFileSync(file, `${open}insecureTransport: true\n`);
      expect(await checked()).toMatchObject({ code: 0, err: '' });
    },
  );

  test('sends nothing over the network', async () => {
    let connections = 0;
    const service = createServer(() => {
      connections += 1;
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    const { port } = service.address() as AddressInfo;
    const text = exampleHead
      .replace('127.0.0.1:8081', `127.0.0.1:${port}`)
      .replace(
        '"http://127.0.0.1:8082"] }',
        `"http://127.0.0.1:${port}"], health: { path: /healthz, interval: 100ms } }`,
      )
      .replace('[ES256]', `[ES256]\n    revocations: { url: "http://127.0.0.1:${port}/revocations" }`);
    writeFileSync(file, `${text}${exampleRoutes}redis: "redis://127.0.0.1:${port}"\n`);
    await run('keys', 'create', '-c', file);
    expect((await checked()).code).toBe(0);
    // Earlier connections would arrive before this one.
    const last = connect(port, '127.0.0.1');
    await once(service, 'connection');
    expect(connections).toBe(1);
    last.destroy();
    await new Promise((resolve) => service.close(resolve));
  });

  test('shows every problem and exits with 1', async () => {
    writeFileSync(file, `${exampleHead}routes: []\nrutes: []\n`);
    const { code, err } = await checked();
    expect(code).toBe(1);
    expect(err.split('\n')).toEqual([
      `${file}:10:9: routes: must have at least 1 item`,
      expect.stringMatching(/:11:1: unknown key "rutes"; did you mean "routes"\?/),
      '2 problems',
    ]);
  });
});

describe('test', () => {
  test('exits with 2 when there are no tests', async () => {
    writeFileSync(file, exampleHead + exampleRoutes);
    const { code, err } = await run('test', file);
    expect(code).toBe(2);
    expect(err).toContain(`countersign test: no tests found: add \`tests:\` to ${file}, or name a file that has tests`);
  });

  test('passes when every expectation is met', async () => {
    writeFileSync(file, exampleHead + exampleRoutes + policyTests);
    const { code, out } = await run('test', file);
    expect(code).toBe(0);
    expect(out).toBe(
      'pass GET /v1/users/me as agent u1 of acme\npass GET /v1/users/me as anonymous\n\n2 passed, 0 failed',
    );
  });

  test('shows each mismatch with its line in the file, and exits with 1', async () => {
    writeFileSync(
      file,
      exampleHead + exampleRoutes + policyTests.replace('status: 401, code: token_missing', 'status: 403'),
    );
    const { code, out } = await run('test', file);
    expect(code).toBe(1);
    expect(out.split('\n').slice(1)).toEqual([
      `FAIL GET /v1/users/me as anonymous  ${file}:15:5`,
      '       expected  status: 403',
      '       got       status: 401  (401 token_missing: the caller is anonymous)',
      '',
      '1 passed, 1 failed',
    ]);
  });

  test('runs tests from several files, and shows where one failed', async () => {
    writeFileSync(file, exampleHead + exampleRoutes + policyTests);
    const more = join(directory, 'more.tests.yaml');
    writeFileSync(more, 'tests:\n  - request: { method: GET, path: /v1/users/you }\n    expect: { allowed: true }\n');
    const { code, out } = await run('test', file, more);
    expect(code).toBe(1);
    expect(out).toContain(`FAIL GET /v1/users/you as anonymous  ${more}:2:5\n`);
    expect(out).toContain('       got       allowed: false  (404 no_route: no route has this path)\n');
    expect(out).toContain('2 passed, 1 failed');
    expect((await run('test', '-c', file, more)).out).toBe(out);
    writeFileSync(
      more,
      'tests:\n  - request: { method: GET, path: /v1/users/Me }\n    expect: { allowed: false, status: 404 }\n',
    );
    const why = '(400 invalid_target: another spelling of /v1/users/me)';
    expect((await run('test', file, more)).out).toContain(`       got       status: 400  ${why}\n`);
  });

  test('shows the problems in an additional test file', async () => {
    writeFileSync(file, exampleHead + exampleRoutes);
    const more = join(directory, 'more.tests.yaml');
    writeFileSync(
      more,
      'routes: []\ntests:\n  - request: { method: GET, path: / }\n    expect: { allowed: true, route: you, status: 403 }\n',
    );
    const { code, err } = await run('test', file, more);
    expect(code).toBe(1);
    expect(err.split('\n')).toEqual([
      `${more}:1:1: unknown key "routes" (allowed here: tests)`,
      `${more}:4:37: tests[0].expect.route: "you" is not a route in the configuration`,
      `${more}:4:50: tests[0].expect.status: only a refusal has this`,
    ]);
  });

  test('exits with 1 for an invalid configuration', async () => {
    writeFileSync(file, 'version: 1\n');
    expect((await run('test', file)).code).toBe(1);
  });
});

const boundRoute = `publicOrigins: ["http://127.0.0.1:8080"]
routes:
  - { name: me, path: /v1/users/me, methods: [GET], upstream: users-service, auth: required, senderConstrained: required }
`;

describe('a route that requires bound tokens', () => {
  const person = 'userId: u1, role: agent, tenantId: acme';

  test('is tested with bound and unbound tokens', async () => {
    const tests = `tests:
  - request: { method: GET, path: /v1/users/me, as: { ${person} } }
    expect: { allowed: false, status: 401, code: token_unbound }
  - request: { method: GET, path: /v1/users/me, as: { ${person}, bound: true } }
    expect: { allowed: true }
`;
    writeFileSync(file, exampleHead + boundRoute + tests);
    const { code, out } = await run('test', file);
    expect(out).toContain('pass GET /v1/users/me as agent u1 of acme, bound to a key');
    expect([code, out.split('\n').at(-1)]).toEqual([0, '2 passed, 0 failed']);
  });

  test('is explained with bound and unbound tokens', async () => {
    writeFileSync(file, exampleHead + boundRoute);
    const explained = (...more: string[]) =>
      run('explain', 'GET', '/v1/users/me', '--role', 'agent', ...more, '-c', file);
    expect((await explained()).out).toMatch(/senderConstrained: required {2}token_unbound/);
    const { out } = await explained('--bound');
    expect(out).toMatch(/senderConstrained: required {2}holds/);
    expect(out).toMatch(/x-identity-context: .*jkt="[A-Za-z0-9_-]{43}"/);
  });
});

describe('explain', () => {
  beforeEach(() => {
    writeFileSync(
      file,
      `${exampleHead}routes:
  - name: settings
    path: /v1/tenants/:tenantId/settings
    methods: [GET, PUT]
    upstream: users-service
    auth: required
    allow: { roles: [admin], tenant: ":tenantId" }
    limits: [{ requests: 60, per: 1m, by: user }]
    rewrite: { prefix: { from: /v1, to: / } }
`,
    );
  });
  const settings = '/v1/tenants/acme/settings?full=1';

  test('shows the route, each rule, and the headers sent upstream', async () => {
    const json = ['-H', 'Content-Type: application/json'];
    const caller = ['--role', 'admin', '--tenant', 'acme'];
    const { code, out } = await run('explain', 'put', settings, ...caller, ...json, '-c', file);
    expect(code).toBe(0);
    expect(out).toContain(`PUT ${settings} as admin example-user of acme`);
    expect(out).toContain('route     settings  /v1/tenants/:tenantId/settings');
    expect(out).toMatch(/rule {6}allow\.tenant: :tenantId {2}holds {2}\(the caller's tenant is acme\)/);
    expect(out).toContain('limit     60 in 60 s by user');
    expect(out).toContain('upstream  users-service  http://127.0.0.1:8082');
    expect(out).toContain('sends     PUT /tenants/acme/settings?full=1');
    expect(out).toContain('x-identity-audience: users-service');
    expect(out).toContain('x-user-role: admin');
    expect(out).toMatch(
      /signature-input: countersign=\("@method" "@path" "@query" .*"content-type" "content-digest"\);created=1800000000;/,
    );
    expect(out).toContain('signature: countersign=:SIGNATURE:');
    expect(out).toContain('connect 2000 ms, response 30000 ms, idle 60000 ms');
  });

  test('shows which request headers are dropped, and why', async () => {
    const given = [
      'X_User_Id: evil',
      'Signature: x',
      'Accept: text/plain',
      'Connection: close, X-Mine',
      'X-Mine: 1',
      'Authorization: Basic x',
      'Forwarded: for=1.2.3.4',
    ];
    const headers = given.flatMap((header) => ['-H', header]);
    const { out } = await run(
      'explain',
      'GET',
      settings,
      '--role',
      'admin',
      '--tenant',
      'acme',
      ...headers,
      '-c',
      file,
    );
    expect(out).toContain('            Accept: text/plain\n');
    expect(out.split('\n').filter((line) => line.startsWith('  drops'))).toEqual([
      '  drops     X_User_Id  (removed: only the gateway may set it)',
      '  drops     Signature  (removed: only the gateway may set it)',
      '  drops     Connection  (hop-by-hop header)',
      '  drops     X-Mine  (named in the Connection header)',
      "  drops     Authorization  (forwarded only if the route's forward allows it)",
      '  drops     Forwarded  (removed: only the gateway may set it)',
    ]);
    expect(out).not.toContain('evil');
  });

  test('shows why a stage refuses a header', async () => {
    const { out } = await run('explain', 'GET', settings, '-H', 'Content-Type: a', '-H', 'Content-Type: b', '-c', file);
    expect(out).toContain('answer    400 invalid_request  (repeated header: content-type)');
  });

  test('refuses an Authorization header instead of treating the caller as anonymous', async () => {
    const { code, err } = await run('explain', 'GET', settings, '-H', 'Authorization: Bearer x', '-c', file);
    expect(code).toBe(2);
    expect(err).toContain('explain does not verify an Authorization header: use --token FILE');
  });

  test('shows the response to a preflight request', async () => {
    writeFileSync(file, `${exampleHead}${exampleRoutes}cors: { origins: ["https://app.test"] }\n`);
    const asked = ['-H', 'Origin: https://app.test', '-H', 'Access-Control-Request-Method: GET'];
    const { out } = await run('explain', 'OPTIONS', '/v1/users/me', ...asked, '-c', file);
    expect(out).toContain('answer    204 from the gateway');
    expect(out).toContain('            access-control-allow-methods: GET, HEAD');
    expect(out).not.toContain('route');
  });

  test('prints JSON', async () => {
    const { out } = await run('explain', 'GET', settings, '--role', 'agent', '--tenant', 'acme', '--json', '-c', file);
    expect(JSON.parse(out)).toMatchObject({
      method: 'GET',
      caller: 'agent example-user of acme',
      identity: { kind: 'user', user_id: 'example-user', role: 'agent', tenant_id: 'acme', bound: false },
      route: 'settings',
      settings: { path: '/v1/tenants/:tenantId/settings', limits: ['60 in 60 s by user'], cors: null },
      outcome: { allowed: false, status: 403, code: 'insufficient_role' },
      upstream: null,
    });
  });

  test('shows the rule that refuses the request, and no headers', async () => {
    const { code, out } = await run('explain', 'PUT', settings, '--role', 'admin', '--tenant', 'globex', '-c', file);
    expect(code).toBe(0);
    expect(out).toMatch(/rule {6}allow\.tenant: :tenantId {2}tenant_mismatch {2}\(the path has acme/);
    expect(out).toContain('answer    403 tenant_mismatch');
    expect(out).not.toContain('x-user-role');
  });

  test.each([
    ['DELETE', settings, 'answer    405 method_not_allowed', 'allow: GET, HEAD, PUT'],
    ['GET', '/v1/nowhere', 'answer    404 no_route', 'no route has this path'],
    ['GET', '/v1/../x', 'answer    400 invalid_target', 'a dot segment'],
    [
      'GET',
      '/V1/tenants/acme/settings',
      'answer    400 invalid_target',
      'another spelling of /v1/tenants/:tenantId/settings',
    ],
    ['GET', settings, 'answer    401 token_missing', 'the caller is anonymous'],
  ])('%s %s: %s', async (method, path, answer, why) => {
    const { out } = await run('explain', method, path, '-c', file);
    expect(out).toContain(answer);
    expect(out).toContain(why);
  });
});

describe('keys', () => {
  const dir = () => join(directory, 'gateway-keys');
  const keyids = () => readKeys(dir()).map((key) => key.kid);

  test('creates the first key next to the configuration, and refuses to create a second', async () => {
    writeFileSync(file, exampleHead + exampleRoutes);
    expect((await run('keys', 'create', '-c', file)).code).toBe(0);
    expect(keyids()).toHaveLength(1);
    const again = await run('keys', 'create', '-c', file);
    expect(again.code).toBe(1);
    expect(again.err).toContain('already has keys');
    expect(keyids()).toHaveLength(1);
  });

  test('replaces a key: rotate, wait, retire', async () => {
    await run('keys', 'create', '--dir', dir());
    const [first] = keyids();
    if (first === undefined) throw new Error('no key');
    const rotated = await run('keys', 'rotate', '--dir', dir());
    expect(rotated.out).toMatch(/published now, signs from 2027-01-15T08:15:00Z$/m);
    expect((await run('keys', 'retire', first, '--dir', dir())).code).toBe(1);
    nowMs += 15 * 60_000;
    expect((await run('keys', 'list', '--dir', dir())).out).toMatch(/published, a newer key signs: can be retired/);
    const retired = await run('keys', 'retire', first, '--dir', dir());
    expect(retired).toMatchObject({ code: 0, out: `${first}  accepted until 2027-01-15T08:16:10Z, then removed` });
    nowMs += 71_000;
    expect((await run('keys', 'list', '--dir', dir())).out).toMatch(/ended 2027-01-15T08:16:10Z/);
  });

  test('replaces a key at once with --now', async () => {
    await run('keys', 'create', '--dir', dir());
    const [first] = keyids();
    if (first === undefined) throw new Error('no key');
    expect((await run('keys', 'retire', first, '--now', '--dir', dir())).err).toContain(
      'the only key that may sign now',
    );
    nowMs += 1000;
    expect((await run('keys', 'rotate', '--now', '--dir', dir())).code).toBe(0);
    expect((await run('keys', 'retire', first, '--now', '--dir', dir())).code).toBe(0);
    expect(keyids()).toHaveLength(1);
    expect(keyids()).not.toContain(first);
  });

  test('prints the next Kubernetes Secret, changes no file, and omits a replaced key', async () => {
    await run('keys', 'create', '--dir', dir());
    const before = readdirSync(dir());
    const printed = await run('keys', 'rotate', '--to-stdout', '--dir', dir());
    const { kind, metadata, data } = parse(printed.out);
    expect([kind, metadata]).toEqual(['Secret', { name: 'gateway-keys' }]);
    expect(readdirSync(dir())).toEqual(before);
    const names = Object.keys(data);
    expect(names).toEqual(expect.arrayContaining(before));
    const added = names.filter((name) => !before.includes(name));
    expect(added.map((name) => JSON.parse(atob(data[name])).nbf)).toEqual(added.map(() => nowMs / 1000 + 900));
    expect(added).toHaveLength(2);
    expect(printed.err).toContain('used from 2027-01-15T08:15:00Z, so apply this Secret before then');

    for (const name of added) writeFileSync(join(dir(), name), atob(data[name]), { mode: 0o440 });
    nowMs += (900 + 71) * 1000;
    const next = parse((await run('keys', 'rotate', '--to-stdout', '--dir', dir())).out);
    expect(Object.keys(next.data)).toHaveLength(4);
    expect(Object.keys(next.data)).toEqual(expect.arrayContaining(added));
    expect(Object.keys(next.data)).not.toEqual(expect.arrayContaining([before[0]]));
  });

  test('never shows a private key', async () => {
    await run('keys', 'create', '--dir', dir());
    const [name] = readdirSync(dir());
    const { d } = JSON.parse(readFileSync(join(dir(), name ?? ''), 'utf8')) as { d: string };
    expect((await run('keys', 'list', '--dir', dir())).out).not.toContain(d);
  });

  test('explains how to create a key if there is none', async () => {
    const { code, err } = await run('keys', 'list', '--dir', dir());
    expect(code).toBe(1);
    expect(err).toContain(`To create one, run countersign keys create --dir ${dir()}`);
  });
});
