import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { eventually } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runCli } from '../src/cli/cli.ts';
import { loadWithoutFiles } from '../src/config/load.ts';
import { createDecideAgain, type Outcome } from '../src/replay/decide-again.ts';
import { decisionOf, type LogLine, readLine } from '../src/replay/log-line.ts';
import { acme, edited, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const globex = '01890a5d-ac96-774b-bcce-b302099a8002';
const at = 'methods: [GET], upstream: things';
const routes = `
  - { name: orders, path: /orders/**, ${at}, auth: required, allow: { roles: [agent, admin] } }
  - { name: export, path: /orders/export, ${at}, auth: required, allow: { scopes: [orders.read] } }
  - { name: legal, path: /legal, ${at}, auth: required, allow: { claims: { department: [legal] } } }
  - { name: tenant, path: "/tenants/:id", ${at}, auth: required, allow: { tenant: ":id", clients: [web] } }
  - { name: maybe, path: /maybe, ${at}, auth: optional }
  - { name: open, path: /open, ${at}, auth: public }
  - { name: gone, path: /gone, ${at}, auth: required }
  - { name: moved, path: /moved, ${at}, auth: required }
  - { name: socket, path: /socket, ${at}, auth: required, websocket: true }
  - { name: limited, path: /limited, ${at}, auth: required, limits: [{ requests: 1, per: 1m, by: route }] }
  - { name: api, path: /api, ${at}, auth: required, allow: { clients: any, actors: [bot] } }
`;

const machines = ['algorithms: [ES256]', 'algorithms: [ES256]\n    machines: {}'] as const;

/** A change of every kind. */
const changes = [
  [
    '/orders/**, methods: [GET], upstream: things, auth: required, allow: { roles: [agent, admin] }',
    '/orders/**, methods: [GET], upstream: things, auth: required, allow: { roles: [admin] }',
  ],
  ['scopes: [orders.read]', 'scopes: [orders.read, orders.write]'],
  ['department: [legal]', 'department: [legal, sales]'],
  ['clients: [web]', 'clients: [cli]'],
  ['auth: optional', 'auth: required'],
  ['path: /gone', 'path: /new'],
  [
    'name: moved, path: /moved, methods: [GET], upstream: things, auth: required',
    'name: moved, path: /moved, methods: [GET], upstream: things, auth: public',
  ],
  ['auth: required, websocket: true', 'auth: required'],
  ['actors: [bot]', 'actors: [other]'],
] as const;

let gateway: GatewayUnderTest;
let [before, after]: [string, string] = ['', ''];
let changed = '';

const paths = [
  '/orders/1',
  '/orders/export',
  '/legal',
  `/tenants/${acme}`,
  '/maybe',
  '/open',
  '/gone',
  '/new',
  '/moved',
].concat(['/socket', '/limited', '/limited', '/api', '/nowhere', '/orders//1', '/Orders/1', '/orders/1?a=%zz']);

const callers: readonly Readonly<Record<string, unknown>>[] = [
  { role: 'agent', tenant_id: globex },
  { role: 'admin', scope: 'orders.read openid', department: ['legal', 'it'] },
  { role: 'auditor', department: 'sales', user_id: 'u2' },
  { role: 'agent', act: { sub: 'bot' }, client_id: 'cli' },
  { sub: 'job', client_id: 'job', user_id: undefined, role: undefined, tenant_id: undefined },
];

/** Sends every request as every caller. @returns The part of the gateway's log. */
async function send(tokens: readonly (string | undefined)[]): Promise<string> {
  const start = gateway.log.text().length;
  for (const token of tokens) for (const path of paths) await gateway.ask(path, token === undefined ? {} : { token });
  await gateway.ask('/orders/1', { method: 'POST' });
  const upgrade =
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
  await gateway.raw(`GET /socket HTTP/1.1\r\n<host>\r\n${upgrade}\r\nAuthorization: Bearer ${tokens[1]}\r\n\r\n`);
  return eventually(() => {
    const text = gateway.log.text().slice(start);
    expect(linesOf(text)).toHaveLength(paths.length * tokens.length + 2);
    return text;
  });
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .map(readLine)
    .filter((line): line is LogLine => typeof line === 'object');

beforeAll(async () => {
  gateway = await gatewayUnderTest({
    routes,
    edits: [machines],
  });
  const tokens = [
    undefined,
    ...(await Promise.all(callers.map((claims) => gateway.issuer.accessToken(claims)))),
    'a.b.c',
  ];
  before = await send(tokens);
  changed = edited(gateway.yaml, changes);
  await gateway.reload([machines, ...changes]);
  after = await send(tokens);
  writeFileSync(join(gateway.file, '../new.yaml'), changed);
});
afterAll(() => gateway.close());

test('predicts what the gateway decides with the changed file, for each request of its own log', () => {
  const decideAgain = createDecideAgain(loadWithoutFiles(join(gateway.file, '../new.yaml')).config);
  const [old, now] = [linesOf(before), linesOf(after)];
  const seen: Record<string, number> = {};
  for (const [index, line] of old.entries()) {
    const outcome: Outcome = decideAgain(line);
    const really = now[index] as LogLine;
    expect([line.method, line.path]).toEqual([really.method, really.path]);
    seen[outcome.is] = (seen[outcome.is] ?? 0) + 1;
    const decision = decisionOf(really);
    const shown = { request: `${line.method} ${line.path}`, outcome, recorded: decisionOf(line), really: decision };
    if (outcome.is === 'same')
      expect({ ...shown, recorded: decision }).toEqual({ ...shown, recorded: decisionOf(line) });
    if (outcome.is === 'changed') expect({ ...shown, outcome: { ...outcome, after: decision } }).toEqual(shown);
    if (outcome.is === 'unknown')
      expect(shown).toMatchObject({ outcome: { lacks: expect.stringMatching(/^the (token|scope)\b/) } });
    if (outcome.is === 'token') expect(line.identity).toBeUndefined();
  }
  expect(seen).toEqual({ same: 82, changed: 22, unknown: 8, token: 9 });
});

async function run(...given: readonly (string | Readonly<Record<string, string>>)[]) {
  const args = given.filter((one) => typeof one === 'string');
  const env = given.find((one) => typeof one === 'object') ?? {};
  const [out, err]: [string[], string[]] = [[], []];
  const terminal = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    paint: (_style: string, text: string) => text,
    isInteractive: false,
    env,
    nowMs: Date.now,
  };
  const code = await runCli(['replay', ...args], terminal);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const inHome = (name: string) => join(gateway.file, '..', name);

test('says whose access changes, from plain and gzip logs, and what it did not replay', async () => {
  const other = '{"level":30,"time":"2026-12-01T00:00:00.000Z","name":"gateway","pid":1,"msg":"gateway is ready"}';
  writeFileSync(inHome('a.log'), `${other}\n\n${before.slice(0, -1)}`);
  writeFileSync(
    inHome('b.log'),
    gzipSync(before.replace('"method":"GET"', '"method":7').replace('{"level":30', '{"lev')),
  );
  const { code, out, err } = await run(inHome('a.log'), inHome('b.log'), '--against', inHome('new.yaml'));
  expect([code, err]).toEqual([1, '']);
  const shown = out.replace(/[0-9a-f]{8}-\S+-[0-9a-f]{12}/g, (id) =>
    id === acme ? 'ACME' : id === globex ? 'GLOBEX' : 'ID',
  );
  expect(shown).toMatch(/^163 same, 44 changed, 16 unknown\n\n/);
  for (const line of [
    'unnamed callers of route maybe would lose access (token_missing): 2 requests\n  ID ID',
    '1 caller of route orders would lose access (insufficient_role): role agent, tenant GLOBEX, 2 requests\n  ID ID',
    '1 caller of route gone would lose access (no_route): role admin, tenant ACME, 2 requests',
    '1 caller of route socket would lose access (upgrade_not_allowed): role agent, tenant GLOBEX, 2 requests',
    '1 caller of route legal would gain access (was claim_not_allowed): role auditor, tenant ACME, 2 requests',
    '1 caller of route moved would be served as anonymous instead of user: role auditor, tenant ACME, 2 requests',
    '1 caller of route gone would be refused with no_route instead of client_not_allowed: 2 requests',
    'unnamed callers of no route cannot be decided, because the log lacks the token, which the gateway did not read: 14 requests\n  ID ID ID …',
    '1 caller of route export cannot be decided, because the log lacks the scope orders.write: role admin, tenant ACME, 2 requests',
  ])
    expect(shown).toContain(`\n${line}`);
  expect(shown.split('\n\n').at(-1)).toBe(`Not replayed: limits, a token's validity, proofs and bodies.
  refused before the rules, and again while the reason holds: token_malformed 18
  other lines: 2
  broken lines: 1 (${inHome('b.log')}:1)`);
});

test('exits with 0 against the file that decided, and with 2 if nothing can be compared', async () => {
  writeFileSync(inHome('a.log'), before);
  writeFileSync(inHome('old.yaml'), gateway.yaml);
  expect(await run(inHome('a.log'), '--against', inHome('old.yaml'))).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^110 same, 0 changed, 0 unknown\n/),
  });
  // Nothing changed, but not every decision is known.
  writeFileSync(inHome('scope.yaml'), gateway.yaml.replace('scopes: [orders.read]', 'scopes: [orders.read, x]'));
  expect(await run(inHome('a.log'), '--against', inHome('scope.yaml'))).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^109 same, 0 changed, 1 unknown\n/),
  });
  writeFileSync(inHome('empty.log'), '');
  writeFileSync(inHome('cut.gz'), gzipSync(before).subarray(0, 900));
  writeFileSync(inHome('bad.yaml'), 'version: 2');
  for (const [log, file, problem] of [
    ['empty.log', 'old.yaml', /no decision of a gateway/],
    ['cut.gz', 'old.yaml', /cut.gz: cannot be read \(Z_BUF_ERROR\)$/],
    ['none.log', 'old.yaml', /none.log: cannot be read \(ENOENT\)$/],
    ['a.log', 'bad.yaml', /bad.yaml:1:10: version: must be 1/],
  ] as const) {
    const found = await run(inHome(log), '--against', inHome(file));
    expect([log, file, found.code, found.err]).toEqual([log, file, 2, expect.stringMatching(problem)]);
  }
  expect((await run(inHome('a.log'))).err).toContain('LOG and --against FILE are required');
});

test('opens no file that the configuration names, and asks for variables that decisions depend on', async () => {
  writeFileSync(inHome('a.log'), before);
  const named = gateway.yaml
    .replace(/keys: "[^"]*"/, 'keys: /proc/1/none')
    .replace('[agent, admin]', `["\${ROLE}", admin]`);
  writeFileSync(inHome('named.yaml'), named);
  const refused = await run(inHome('a.log'), '--against', inHome('named.yaml'));
  expect([refused.code, refused.err]).toEqual([
    2,
    `${inHome('named.yaml')}: decisions depend on ROLE: set these variables`,
  ]);
  expect(await run(inHome('a.log'), '--against', inHome('named.yaml'), { ROLE: 'agent' })).toMatchObject({ code: 0 });
});

test('with --json, prints the same as one document', async () => {
  writeFileSync(inHome('a.log'), before);
  const { code, out } = await run(inHome('a.log'), '--against', inHome('new.yaml'), '--json');
  const document = JSON.parse(out);
  expect([code, document.same, document.changed, document.unknown]).toEqual([1, 82, 22, 8]);
  expect(document.groups).toContainEqual({
    access: 'lost',
    before: { route: 'orders', kind: 'user' },
    after: { route: 'orders', code: 'insufficient_role' },
    role: 'agent',
    tenant: globex,
    requests: 1,
    callers: 1,
    callers_exact: true,
    request_ids: [
      linesOf(before).find(({ path, tenant_id }) => path === '/orders/1' && tenant_id === globex)?.request_id,
    ],
  });
  expect(document.groups).toContainEqual(
    expect.objectContaining({ access: 'unknown', lacks: 'the scope orders.write', role: 'admin' }),
  );
  expect(document.not_replayed).toEqual({ refused_before_the_rules: { token_malformed: 9 }, without_decision: 0 });
  expect(document.lines).toEqual({ other: 0, broken: 0, first_broken: [] });
});

test('its log line has what the rules read, and neither a token nor another claim', () => {
  const line = before.split('\n').find((one) => one.includes('"path":"/legal"') && one.includes('admin')) ?? '';
  expect(JSON.parse(line).caller).toEqual({
    iss: 'http://issuer.test',
    role: 'admin',
    scope: ['orders.read'],
    claims: { department: ['legal', 'it'] },
    mapping: expect.stringMatching(/^(?:[\w-]{6}\.){3}[\w-]{6}$/),
  });
  expect(before).not.toMatch(/openid|eyJ|"amr"|"jti"/);
});
