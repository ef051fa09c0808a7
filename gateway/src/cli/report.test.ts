import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { exampleHead } from '../../test/kit/example-config.ts';
import { runCli } from './cli.ts';
import { entryOf, printReport, type Report } from './report.ts';

let directory = '';
let file = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-report-'));
  file = join(directory, 'gateway.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

const terminalOf = (out: string[], err: string[]) => ({
  out: (line: string) => void out.push(line),
  err: (line: string) => void err.push(line),
  paint: (_style: string, text: string) => text,
  isInteractive: false,
  env: {},
  nowMs: () => Date.parse('2027-01-15T08:00:00Z'),
});

async function run(...args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runCli(args, terminalOf(out, err));
  return { code, out: out.join('\n'), err: err.join('\n') };
}

function printed(format: 'json' | 'junit', report: Report) {
  const out: string[] = [];
  const code = printReport(terminalOf(out, []), 'check', format, report);
  return { code, out };
}

const routes = (roles: string) => `routes:
  - { name: me, path: /v1/users/me, methods: [GET], upstream: users-service, auth: required, allow: { roles: [${roles}] } }
`;
const mapped = exampleHead.replace('[ES256]', '[ES256]\n    claims: { role: { from: g, map: { a: agent } } }');

describe('check', () => {
  test('prints warnings to standard error with their places, and exits with 0', async () => {
    writeFileSync(file, mapped + routes('agent, admn'));
    await run('keys', 'create', '-c', file);
    expect(await run('check', file)).toEqual({
      code: 0,
      out: `good ${file}: 1 route, 1 upstream, 1 issuer, 0 tests`,
      err: `${file}:12:118: warning: routes[0].allow.roles[1]: "admn" is not a role that an issuer can give (there are: agent)`,
    });
  });

  test('with --json prints one document, for a good file and for a bad one', async () => {
    writeFileSync(file, mapped + routes('admn'));
    await run('keys', 'create', '-c', file);
    const good = await run('check', '--json', file);
    expect([good.code, good.err, JSON.parse(good.out)]).toEqual([
      0,
      '',
      {
        ok: true,
        problems: [],
        warnings: [
          {
            file,
            line: 12,
            column: 111,
            message: 'routes[0].allow.roles[0]: "admn" is not a role that an issuer can give (there are: agent)',
          },
        ],
      },
    ]);
    writeFileSync(file, `${exampleHead}routes: []\n`);
    const bad = await run('check', '--json', file);
    expect([bad.code, bad.err, JSON.parse(bad.out)]).toEqual([
      1,
      '',
      {
        ok: false,
        problems: [{ file, line: 10, column: 9, message: 'routes: must have at least 1 item' }],
        warnings: [],
      },
    ]);
  });

  test('with --json, reports a problem that belongs to no line of the file', async () => {
    writeFileSync(file, mapped + routes('agent'));
    const { code, out } = await run('check', '--json', file);
    const message = expect.stringContaining('cannot be read (ENOENT)');
    expect([code, JSON.parse(out).problems]).toEqual([1, [{ file: null, line: null, column: null, message }]]);
  });
});

const tests = (as: string) => `tests:
  - request: { method: GET, path: /v1/users/me, as: { ${as} } }
    expect: { allowed: true }
`;
const impossible = [
  [
    'a role that no map contains',
    'userId: u, role: admin, tenantId: acme',
    '"admin" is not a role that main gives to users (there are: agent)',
  ],
  [
    'a tenant that is not in the list',
    'userId: u, role: agent, tenantId: globex',
    '"globex" is not a tenant that main gives to users (there are: acme)',
  ],
  [
    'an OAuth client that is not in the list',
    'userId: u, role: agent, tenantId: acme, client: cli',
    '"cli" is not an OAuth client that main gives to users (there are: web)',
  ],
  [
    'a machine with a role, if machines have none',
    'client: web, role: agent',
    '"agent" is not a role that main gives to machines (there are: none)',
  ],
  [
    "a tenant without its issuer's prefix",
    'issuer: second, userId: u, role: agent, tenantId: acme',
    '"acme" is not a tenant that second gives to users (there are: b:…)',
  ],
  [
    "a user without the issuer's prefix",
    'issuer: third, userId: cGVyc29u, role: agent, tenantId: t',
    '"cGVyc29u" lacks the issuer\'s userPrefix "c:"',
  ],
  [
    'a user id that is not encoded',
    'issuer: third, userId: "c:a.b", role: agent, tenantId: t',
    '"c:a.b" is not base64url, in which this issuer encodes user ids',
  ],
  [
    'a user with the id of the OAuth client',
    'issuer: fourth, userId: web, role: agent, tenantId: d, client: web',
    '"web" is also the OAuth client, so the token belongs to a machine',
  ],
  [
    'a claim that the issuer refuses',
    'issuer: fourth, userId: u, role: agent, tenantId: d, claims: { acr: ["0"] }',
    "claims: do not meet the issuer's `require` or its token type",
  ],
  [
    'an OAuth client that is not an id',
    'userId: u, role: agent, tenantId: acme, client: "https://web"',
    '"https://web" is not an OAuth client that main gives to users (there are: web)',
  ],
  [
    'a machine whose client is not an id',
    'issuer: fourth, client: "https://web"',
    '"https://web" is not an id, so the gateway refuses such a token',
  ],
] as const;

describe('test', () => {
  const main = `name: main\n    clients: [web]\n    tenants: [acme]\n    machines: { tenantId: tenant }\n    claims: { role: { from: g, map: { a: agent } } }`;
  const second =
    '  - { name: second, issuer: https://b.test, jwks: https://b.test/k, audience: x, roles: [agent], tenantPrefix: "b:" }\n';
  const third =
    '  - { name: third, issuer: https://c.test, jwks: https://c.test/k, audience: x, roles: [agent], tenants: [t], userPrefix: "c:", subjectEncoding: base64url }\n';
  const fourth =
    '  - { name: fourth, issuer: "https://d.test/{t}", template: { t: [d, x] }, jwks: https://d.test/k, audience: x, roles: [agent], claims: { userId: sub, tenantId: { fromIssuer: t } }, require: { acr: ["1", "2"] }, machines: {} }\n';
  const whole = exampleHead
    .replace('[ES256]', `[ES256]\n    ${main}`)
    .replace('identity:', `${second}${third}${fourth}identity:`)
    .concat(routes('agent'));

  test.each(impossible)('refuses %s in either file', async (_what, as, message) => {
    writeFileSync(file, whole + tests(as));
    const own = await run('test', file);
    expect([own.code, own.err]).toEqual([1, '']);
    expect(own.out.split('\n').slice(0, 2)).toEqual([
      expect.stringMatching(/^FAIL GET .*yaml:21:5$/),
      `       ${message}`,
    ]);
    const more = join(directory, 'more.tests.yaml');
    writeFileSync(file, whole);
    writeFileSync(more, tests(as));
    const { code, out } = await run('test', '--json', file, more);
    expect([code, JSON.parse(out).tests]).toEqual([
      1,
      [
        {
          file: more,
          line: 2,
          column: 5,
          message,
          name: expect.stringContaining('GET /v1/users/me as '),
          passed: false,
        },
      ],
    ]);
  });

  test.each([
    ['no OAuth client', 'userId: u, role: agent, tenantId: acme'],
    ['a role from the second issuer', 'issuer: second, userId: u, role: agent, tenantId: "b:acme"'],
    ['a user with the prefix and an encoded id', 'issuer: third, userId: "c:cGVyc29u", role: agent, tenantId: t'],
    [
      'a user of a template issuer with an accepted claim',
      'issuer: "https://d.test/x", userId: u, role: agent, tenantId: x, client: web, claims: { acr: ["2"] }',
    ],
  ])('accepts %s', async (_what, as) => {
    writeFileSync(file, whole + tests(as));
    expect(await run('test', file)).toMatchObject({ code: 0 });
  });

  test.each([
    [
      'client',
      'allow: { clients: [{ iss: "http://127.0.0.1:8080", id: web }] }',
      'userId: u, role: agent, tenantId: acme',
      'main',
    ],
    ['tenantId', 'path: "/v1/:t/me", allow: { tenant: ":t", clients: any }', 'client: web', 'main'],
  ])('requires the %s of a caller if the route reads it', async (key, route, as, name) => {
    const path = route.includes('path:') ? '/v1/acme/me' : '/v1/users/me';
    const own = routes('agent')
      .replace(/path: \S+,/, route.includes('path:') ? '' : 'path: /v1/users/me,')
      .replace(/allow: .* }$/m, `${route} }`);
    const text = whole.replace(routes('agent'), own) + tests(as).replace('/v1/users/me', path);
    writeFileSync(file, text);
    const message = `${key}: is required: the route reads it, and every token of ${name} has one`;
    expect((await run('test', file)).out.split('\n')[1]).toBe(`       ${message}`);
    writeFileSync(file, text.replace(`${as} }`, `${as}, ${key}: ${key === 'client' ? 'web' : 'acme'} }`));
    expect(await run('test', file)).toMatchObject({ code: 0 });
  });

  test('refuses a caller of an issuer that no template allows', async () => {
    writeFileSync(file, whole + tests('issuer: "https://x.test/d", userId: u, role: agent, tenantId: d'));
    const { code, out } = await run('test', file);
    expect([code, out.split('\n')[1]]).toEqual([
      1,
      '       no issuer in the configuration gives tokens to this caller',
    ]);
  });

  test('refuses a caller with a token if there are no issuers', async () => {
    const open =
      exampleHead.replace(/issuers:\n(?: .*\n)+/, '') + routes('agent').replace(/auth: .*/, 'auth: public }');
    writeFileSync(file, open + tests('userId: u, role: agent, tenantId: acme'));
    const { code, out } = await run('test', file);
    expect([code, out.split('\n')[1]]).toEqual([
      1,
      '       no issuer in the configuration gives tokens to this caller',
    ]);
  });

  test('tests a machine of an issuer that accepts none, because the gateway must refuse it', async () => {
    const refused = tests('client: web, role: robot').replace('true', 'false, code: token_machine_refused');
    writeFileSync(file, mapped + routes('agent') + refused);
    expect(await run('test', file)).toMatchObject({ code: 0 });
  });

  test('with --junit, writes a test case for each test', async () => {
    const failing = `  - request: { method: GET, path: "/v1/<&>" }\n    expect: { allowed: true }\n`;
    writeFileSync(file, whole + tests('userId: u, role: agent, tenantId: acme') + failing);
    const { code, out } = await run('test', '--junit', file);
    expect(code).toBe(1);
    expect(out.split('\n')).toEqual([
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<testsuites><testsuite name="countersign test" tests="2" failures="1">',
      `<testcase classname="${file}" name="GET /v1/users/me as agent u of acme" file="${file}" line="21"/>`,
      expect.stringMatching(
        /^<testcase classname=".*" name="GET \/v1\/&lt;&amp;&gt; as anonymous" .* line="23"><failure message="expected allowed: true; got allowed: false \(400 .*\)">.*:23:5: expected .*<\/failure><\/testcase>$/,
      ),
      '</testsuite></testsuites>',
    ]);
  });

  test('with --json, reports the problems in the files', async () => {
    writeFileSync(file, 'version: 2\n');
    const { code, out, err } = await run('test', '--json', file);
    expect([code, err, JSON.parse(out)]).toMatchObject([1, '', { ok: false, tests: [], problems: expect.any(Array) }]);
    expect(JSON.parse(out).problems).toContainEqual({ file, line: 1, column: 10, message: 'version: must be 1' });
  });
});

describe('texts that could disguise or control a terminal', () => {
  const hostile = '\u001b[31m|`<b>@all\u202e=1';
  const shown = '\\u001b[31m|`<b>@all\\u202e=1';
  const whole = exampleHead + routes('agent').replace('roles: [agent]', String.raw`claims: { "a\e[31mb": ["\u202e"] }`);
  const expected = String.raw`tests:
  - request: { method: GET, path: "/v1/\e[31m|`.concat(
    '`<b>@all',
    String.raw`\u202e=1" }
    expect: { allowed: true, path: "/\e]0;\u202e" }
`,
  );

  test.each([
    ['check', '--routes'],
    ['test'],
    ['test', '--json'],
    ['test', '--junit'],
    ['explain', 'GET', `/v1/${hostile}`],
    ['explain', 'GET', `/v1/${hostile}`, '--json'],
    ['explain', 'GET', '/v1/users/me', '--role', 'agent', '--claim', `a: ${hostile}`],
  ])('are shown as text by %s %s', async (command, ...args) => {
    writeFileSync(file, whole + expected);
    await run('keys', 'create', '-c', file);
    const { out, err } = await run(command, ...args, '-c', file);
    expect(out).toContain(
      args.includes('--junit') ? '\\u001b[31m|`&lt;b&gt;@all\\u202e' : out.includes('@all') ? shown : '\\u001b[31mb',
    );
    expect(out + err).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
    if (args.includes('--json'))
      expect(JSON.stringify(JSON.parse(out))).toContain(JSON.stringify(hostile).slice(1, -1));
  });
});

describe('JUnit', () => {
  const at = 'gateway.yaml:1:2: ';

  test.each<[string, Report, string, number]>([
    ['nothing', { problems: [], warnings: [] }, '<testcase classname="countersign" name="no problems"/>', 0],
    [
      'a problem without a line',
      { problems: [entryOf('no "keys"')] },
      '<testcase classname="countersign" name="no &quot;keys&quot;"><failure message="no &quot;keys&quot;">no &quot;keys&quot;</failure></testcase>',
      1,
    ],
    [
      'a warning, as a passing case',
      { problems: [], warnings: [entryOf(`${at}warning: x`)] },
      '<testcase classname="gateway.yaml" name="x" file="gateway.yaml" line="1"><system-out>gateway.yaml:1:2: x</system-out></testcase>',
      0,
    ],
    [
      'characters that XML does not allow',
      { problems: [entryOf(`${at}]]>\u0000\u001b\uffff`)] },
      '<testcase classname="gateway.yaml" name="]]&gt;\\u0000\\u001b\ufffd" file="gateway.yaml" line="1"><failure message="]]&gt;\\u0000\\u001b\ufffd">gateway.yaml:1:2: ]]&gt;\\u0000\\u001b\ufffd</failure></testcase>',
      1,
    ],
  ])('writes %s as a test case', (_what, report, line, code) => {
    const found = printed('junit', report);
    expect([found.code, found.out[0]?.split('\n')[2]]).toEqual([code, line]);
  });
});
