import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from './cli.ts';
import type { Terminal } from './command.ts';

let directory = '';
let file = '';
let signer: TestIssuer;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-machines-'));
  file = join(directory, 'gateway.yaml');
  signer = await mintIssuer({ issuer: 'https://a.test' });
  writeFileSync(join(directory, 'keys.json'), JSON.stringify(signer.jwks));
  const issuer = 'audience: complaints-api, jwks: ./keys.json, algorithms: [ES256], roles: [agent, service]';
  const allowed = 'actors: [{ iss: "https://a.test", sub: bot }]';
  const job = '{ iss: "https://a.test", id: job }';
  const at = 'methods: [GET], upstream: api, auth: required';
  writeFileSync(
    file,
    `version: 1
issuers:
  - { name: staff, issuer: "https://a.test", ${issuer}, tenants: [acme], machines: { role: role, tenantId: tenant_id } }
  - { name: partners, issuer: "https://b.test", ${issuer}, tenants: [globex] }
services: { api: { keys: ./keys.json } }
identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] } }
routes:
  - { name: jobs, path: /jobs, ${at}, allow: { clients: [${job}], scopes: any } }
  - { name: orders, path: /orders, ${at}, allow: { scopes: [orders.read], ${allowed} } }
  - { name: legal, path: /legal, ${at}, allow: { claims: { department: [legal] }, scopes: any } }
  - { name: nested, path: /nested, methods: [GET], upstream: api, auth: service, callers: [api], allow: { scopes: [orders.read], ${allowed} } }
tests:
  - request: { method: GET, path: /jobs, as: { client: job } }
    expect: { allowed: true, route: jobs }
  - request: { method: GET, path: /jobs, as: { client: other } }
    expect: { allowed: false, status: 403, code: client_not_allowed }
  - request: { method: GET, path: /jobs, as: { client: job, issuer: partners } }
    expect: { allowed: false, status: 401, code: token_machine_refused }
  - request: { method: GET, path: /orders, as: { userId: u, role: agent, tenantId: acme, client: web, scope: [orders.read], actor: bot } }
    expect: { allowed: true }
  - request: { method: GET, path: /orders, as: { userId: u, role: agent, tenantId: acme, scope: [orders.read], actor: { iss: "https://x.test", sub: bot } } }
    expect: { allowed: false, code: actor_not_allowed }
  - request: { method: GET, path: /orders, as: { userId: u, role: agent, tenantId: globex, scope: [orders.read], actor: bot, issuer: "https://b.test" } }
    expect: { allowed: false, code: actor_not_allowed }
  - request: { method: GET, path: /orders, as: { userId: u, role: agent, tenantId: acme, scope: [Orders.Read] } }
    expect: { allowed: false, code: insufficient_scope }
  - request: { method: GET, path: /legal, as: { userId: u, role: agent, tenantId: acme, claims: { department: [legal] } } }
    expect: { allowed: true }
  - request: { method: GET, path: /legal, as: { userId: u, role: agent, tenantId: acme, actor: bot } }
    expect: { allowed: false, code: actor_not_allowed }
  - request: { method: GET, path: /nested, service: api, as: { userId: u, role: agent, tenantId: acme, scope: [orders.read], actor: bot } }
    expect: { allowed: true }
  - request: { method: GET, path: /nested, service: api, as: { client: job, scope: [orders.read] } }
    expect: { allowed: false, code: client_not_allowed }
  - request: { method: GET, path: /jobs, service: api }
    expect: { allowed: false, code: no_route }
  - request: { method: GET, path: /${'a'.repeat(9_000)} }
    expect: { allowed: false, code: uri_too_long }
`,
  );
});
afterAll(() => rmSync(directory, { recursive: true }));

async function run(...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    paint: (_style, text) => text,
    isInteractive: false,
    env: {},
    nowMs: Date.now,
  };
  const code = await runCli([...args, '-c', file], terminal);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

test('policy tests can call as an OAuth client or an agent, with scopes and claims', async () => {
  const { code, out } = await run('test');
  expect(out).not.toContain('FAIL');
  expect([code, out.split('\n').at(-1)]).toEqual([0, '13 passed, 0 failed']);
  expect(out).toContain(
    'pass GET /orders as agent u of acme, through web, issuer https://a.test, with orders.read, bot acts',
  );
  expect(out).toContain('pass GET /nested as service api for client job, issuer https://a.test, with orders.read');
});

describe('explain', () => {
  const explain = (path: string, ...more: readonly string[]) => run('explain', 'GET', path, ...more);

  test.each<[string, readonly string[], readonly (string | RegExp)[]]>([
    [
      '/jobs',
      ['--client', 'job', '--role', 'service', '--tenant', 'acme'],
      [
        'as client job of acme, role service, issuer https://a.test',
        'x-identity: client',
        'x-client-id: job',
        'x-user-role: service',
      ],
    ],
    [
      '/jobs',
      ['--client', 'job'],
      ['rule      allow.clients: job of https://a.test  holds  (the caller is the OAuth client job of https://a.test)'],
    ],
    [
      '/jobs',
      ['--client', 'job', '--issuer', 'partners'],
      ['answer    401 token_machine_refused', '(set machines for'],
    ],
    [
      '/jobs',
      ['--client', 'job', '--role', 'agent', '--user', 'u', '--tenant', 'globex', '--issuer', 'partners'],
      [
        'as agent u of globex, through job, issuer https://b.test',
        'rule      allow.clients: job of https://a.test  client_not_allowed  (the OAuth client is job of https://b.test)',
      ],
    ],
    ['/orders', ['--client', 'job'], [/rule {6}auth: required {2}client_not_allowed {2}\(job is an OAuth client/]],
    [
      '/orders',
      [
        '--role',
        'agent',
        '--user',
        'u',
        '--client',
        'web',
        '--scope',
        'orders.read',
        '--scope',
        'no.such',
        '--actor',
        'bot',
      ],
      [
        'client="web", scope=("orders.read"), act="bot";iss="https://a.test"',
        'rule      allow.actors: bot of https://a.test  holds  (the actor is bot of https://a.test)',
        /rule {6}allow\.scopes: orders\.read {2}holds/,
      ],
    ],
    ['/orders', ['--role', 'agent'], ['answer    403 insufficient_scope', '(the token lacks orders.read)']],
    [
      '/orders',
      ['--role', 'agent', '--actor', 'https://x.test bot'],
      ['answer    403 actor_not_allowed', '(the actor is bot of https://x.test)'],
    ],
    ['/legal', ['--role', 'agent'], ['answer    403 claim_not_allowed', '(the token has no department)']],
    ['/legal', ['--role', 'agent', '--claim', 'department: legal'], [/allow\.claims\.department: legal {2}holds/]],
    [
      '/nested',
      ['--service', 'api', '--role', 'agent', '--scope', 'orders.read', '--actor', 'bot'],
      ['x-identity: service', 'x-service-id: api', 'x-user-id: example-user', 'act="bot"'],
    ],
  ])('%s %j', async (path, options, lines) => {
    const { code, out, err } = await explain(path, ...options);
    expect([code, err]).toEqual([0, '']);
    for (const line of lines)
      expect(out).toMatch(typeof line === 'string' ? new RegExp(line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : line);
  });

  test.each<[string, readonly string[], string]>([
    ['scopes without a caller', ['--scope', 'a'], '--scope needs --role, or --client'],
    ['an actor without a caller', ['--actor', 'a'], '--actor needs --role, or --client'],
    ['a user without a role', ['--client', 'web', '--user', 'u'], '--user needs --role'],
    ['an unknown issuer', ['--role', 'agent', '--issuer', 'x'], '--issuer must be one of staff, partners'],
    ['a malformed scope', ['--role', 'agent', '--scope', 'a b'], '--scope must be a scope'],
    ['a malformed claim', ['--role', 'agent', '--claim', 'a'], '--claim must be "name: value", not "a"'],
    ['a malformed header', ['-H', 'a'], '--header must be "Name: value", not "a"'],
    ['an empty role', ['--role', ''], '--role must not be empty'],
    ['a malformed actor', ['--role', 'agent', '--actor', '"'], '--actor must be visible ASCII'],
    [
      'a token and a client',
      ['--token', 'x', '--client', 'job'],
      '--token already identifies the caller: omit --client',
    ],
  ])('refuses %s', async (_name, options, message) => {
    const { code, err } = await explain('/jobs', ...options);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test('prints an OAuth client as JSON', async () => {
    const { out } = await explain('/jobs', '--client', 'job', '--scope', 'orders.read', '--json');
    expect(JSON.parse(out)).toMatchObject({
      identity: { kind: 'client', client_id: 'job', scope: ['orders.read'] },
      issuer: 'https://a.test',
      upstream: { name: 'api', targets: ['http://127.0.0.1:8082'] },
      sends: { target: '/jobs' },
    });
  });
});

test('shows and explains the tokens of an OAuth client and of an agent', async () => {
  const path = join(directory, 'token');
  const write = async (claims: Record<string, unknown>) =>
    writeFileSync(path, await signer.accessToken({ tenant_id: 'acme', scope: 'orders.read other', ...claims }));
  await write({ sub: 'job', client_id: 'job', user_id: undefined, role: 'service', sid: undefined });
  const machine = await run('token', path);
  expect(machine.out).toContain(
    'https://a.test (staff): accepted\n  x-client-id job\n  x-user-role service\n  x-tenant-id acme\n  scope orders.read\n  kind an OAuth client: the route needs allow.clients',
  );
  expect((await run('explain', 'GET', '/jobs', '--token', path)).out).toContain('x-client-id: job');
  await write({ client_id: 'bot', act: { sub: 'bot' } });
  const agent = await run('token', path);
  expect(agent.out).toContain(
    '  client bot\n  scope orders.read\n  actor bot of https://a.test: the route needs allow.actors',
  );
  expect((await run('explain', 'GET', '/orders', '--token', path)).out).toContain('act="bot";iss="https://a.test"');
  await write({ act: { sub: 'bot', act: 'x' } });
  const { code, out } = await run('token', path);
  expect([code, out]).toEqual([
    1,
    expect.stringContaining('act  (token_actor_invalid)\n    expected  an object\n    found     "x"'),
  ]);
});
