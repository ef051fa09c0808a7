// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how gateway.yaml writes variables
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { type DiffReport, diffReport } from '../diff/report-schema.ts';
import { runCli } from './cli.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-diff-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function run(...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    paint: (_style: unknown, text: string) => text,
    isInteractive: false,
    env: {},
    nowMs: () => Date.parse('2027-01-15T08:00:00Z'),
  };
  const code = await runCli(args, terminal);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const base = `version: 1
issuers:
  - issuer: https://idp.example.test
    audience: orders
    jwks: https://idp.example.test/jwks.json
    roles: [admin, agent]
    introspection: { url: https://idp.example.test/introspect, clientId: gateway, clientSecret: "\${CLIENT_SECRET}" }
identity: { keys: ./keys }
upstreams:
  orders:
    targets: ["https://orders.internal.test"]
    identity: { algorithm: hmac-sha256, secretFile: orders.secret }
    tls: { ca: ca.pem }
routes:
  - name: orders
    path: /v1/orders/:id
    methods: [GET]
    upstream: orders
    auth: required
    allow: { roles: [admin], scopes: [orders.read, orders.list], claims: { department: [legal, hr] } }
    rewrite: { prefix: { from: /v1, to: / } }
    limits: [{ requests: 600, per: 1m, by: user }]
`;

function files(text: string, before = base) {
  const paths = [join(directory, 'old.yaml'), join(directory, 'new.yaml')] as const;
  writeFileSync(paths[0], before);
  writeFileSync(paths[1], text);
  return paths;
}

async function reportOf(text: string, before = base): Promise<DiffReport> {
  const { out } = await run('diff', ...files(text, before), '--json');
  return diffReport.parse(JSON.parse(out));
}

describe('countersign diff', () => {
  test('exits with 0 for two spellings of one policy', async () => {
    const other = base
      .replace('[admin, agent]', '[agent, admin]')
      .replace('[orders.read, orders.list]', '[orders.list, orders.read]')
      .replace('per: 1m', 'per: 60s')
      .replace(
        /(.*)(routes:\n {2}- name: orders\n {4}path: \/v1)(\/orders\/:id)/s,
        '$1$2\n    name: orders\n    routes: []$3',
      );
    expect((await run('diff', ...files(base))).code).toBe(0);
    const grouped = base.replace(
      /routes:\n[\s\S]*/,
      `routes:
  - path: /v1
    upstream: orders
    auth: required
    rewrite: { prefix: { from: /v1, to: / } }
    routes:
      - name: orders
        path: /orders/:id
        methods: [GET]
        allow: { roles: [admin], scopes: [orders.list, orders.read], claims: { department: [hr, legal] } }
        limits: [{ requests: 600, per: 60s, by: user }]
`,
    );
    expect(other).not.toBe(base);
    expect(await run('diff', ...files(grouped))).toMatchObject({
      code: 0,
      out: expect.stringContaining('decide alike'),
    });
  });

  test('exits with 0 for a default that is written out, and another name of a parameter', async () => {
    const other = base
      .replace('[GET]', '[GET, HEAD]')
      .replace('orders/:id', 'orders/:order')
      .replace('    audience', '    algorithms: [RS256, ES256, EdDSA]\n    audience');
    expect(other).not.toBe(base);
    expect((await run('diff', ...files(other))).out).toContain('decide alike');
  });

  test('the order of a role mapping decides about a token with two of its values', async () => {
    const mapped = (map: string) =>
      base.replace('    roles: [admin, agent]', `    claims: { role: { from: groups, map: { ${map} } } }`);
    const [a, b] = ['"g-admin": admin', '"g-agent": agent'];
    const { access } = await reportOf(mapped(`${b}, ${a}`), mapped(`${a}, ${b}`));
    const narrower = access.find(({ effect }) => effect === 'narrower');
    expect(JSON.parse(narrower?.witness.payload ?? '{}').groups.toSorted()).toEqual(['g-admin', 'g-agent']);
  });

  test('an issuer less is not wider', async () => {
    const one = base.replace('    roles:', '    tenants: [acme]\n    roles:');
    const other = `  - issuer: https://old.test
    audience: orders
    jwks: https://old.test/jwks.json
    claims: { tenantId: { constant: old } }
    roles: [agent]
`;
    const two = one.replace('identity:', `${other}identity:`);
    const { code, out } = await run('diff', ...files(one, two), '--fail-on', 'wider');
    expect([code, out]).toEqual([0, expect.not.stringContaining('Wider')]);
  });

  test('names only the actor that gains', async () => {
    const actors = (names: string) => base.replace('scopes:', `actors: [${names}], scopes:`);
    const [one, two] = ['bot', 'helper'];
    const { out } = await run('diff', ...files(actors(`${one}, ${two}`), actors(one)));
    expect(out).toContain('actor is helper;');
  });

  test.each([
    ['a scope', 'orders.list]', 'orders.write]'],
    ['a scope less', ', orders.list', ''],
    ['a claim value', 'legal, hr', 'legal'],
    ["an issuer's roles", 'roles: [admin, agent]', 'roles: [admin]'],
    ['a role that no token can have', 'roles: [admin], scopes', 'roles: [admin, ghost], scopes'],
    ['a rewrite', 'to: / }', 'to: /v2 }'],
    ['a body mode', '    limits', '    body: { mode: none }\n    limits'],
    ['a body size', '    limits', '    body: { maxBytes: 2MiB }\n    limits'],
    ['a TLS file', 'ca: ca.pem', 'ca: other.pem'],
    ['a secret file', 'orders.secret', 'other.secret'],
    ['a secret variable', 'CLIENT_SECRET', 'OTHER_SECRET'],
    ['a target', 'orders.internal', 'other.internal'],
    ['the comparison of paths', 'tls: {', 'paths: exact\n    tls: {'],
    ['an audience', 'audience: orders', 'audience: [orders, other]'],
    ['the key source', 'test/jwks', 'test/other'],
    ['a trusted proxy', 'version: 1', 'version: 1\ntrustedProxies: [10.0.0.0/8]'],
    ['a limit', '600', '601'],
    ['a cookie', '    limits', '    forward: { cookies: [session] }\n    limits'],
  ])('never says that files are the same that differ in %s', async (_name, from, to) => {
    expect(base).toContain(from);
    expect((await reportOf(base.replace(from, to))).same).toBe(false);
    expect((await reportOf(base, base.replace(from, to))).same).toBe(false);
    expect((await run('diff', ...files(base.replace(from, to)))).code).toBe(1);
  });

  test('says who gains, where, and by which request, and that this is wider', async () => {
    const wider = files(base.replace('roles: [admin], scopes', 'roles: [admin, agent], scopes'));
    const { code, out } = await run('diff', ...wider, '--fail-on', 'wider');
    expect(code).toBe(1);
    expect(out).toContain('Wider: who gains\n  GET HEAD /v1/orders/*\n');
    expect(out).toContain('users of https://idp.example.test: ');
    expect(out).toContain('(such as role: agent, ');
    expect(out).toContain(
      'before refused by route orders (403 insufficient_role); after allowed by route orders as user',
    );
    const [, path = '', payload = ''] = /countersign explain GET (\S+) --payload '([^']+)'/.exec(out) ?? [];
    const [before, after] = await Promise.all(
      wider.map(async (file) => {
        const readable = file.replace('.yaml', '-readable.yaml');
        const text = base.replace('CLIENT_SECRET}', 'CLIENT_SECRET:-}');
        writeFileSync(readable, text.replace(/ {4}(introspection|identity|tls): .*\n/g, ''));
        if (file.endsWith('new.yaml')) {
          const now = text.replace('roles: [admin], scopes', 'roles: [admin, agent], scopes');
          writeFileSync(readable, now.replace(/ {4}(introspection|identity|tls): .*\n/g, ''));
        }
        return run('explain', 'GET', path, '--payload', payload, '-c', readable);
      }),
    );
    expect(before?.out).toContain('403 insufficient_role');
    expect(after?.out).toContain('from the upstream');
  });

  test('--fail-on wider passes what is only narrower', async () => {
    const narrower = files(base.replace('legal, hr', 'legal'));
    expect((await run('diff', ...narrower, '--fail-on', 'wider')).code).toBe(0);
    expect((await run('diff', ...narrower)).code).toBe(1);
  });

  test('finds the path that a new route closes because its upstream would read another path', async () => {
    const before = base.replace(
      /routes:\n[\s\S]*/,
      `routes:
  - name: api
    path: /api/:name
    methods: [GET]
    upstream: orders
    auth: required
    rewrite: { prefix: { from: /api, to: / } }
`,
    );
    const status = '  - { name: status, path: /status, methods: [GET], upstream: orders, auth: public }\n';
    const { access } = await reportOf(before + status, before);
    const narrower = access.filter(({ effect }) => effect === 'narrower');
    expect(narrower.flatMap(({ paths }) => paths.map(({ path }) => path))).toEqual(['/api/status']);
    expect(narrower[0]?.after).toEqual({ route: null, code: 'invalid_target', caller: null });
  });

  test('compares the tenants of a template that takes any value, each by its issuer', async () => {
    const open = base
      .replace(
        'test\n',
        'test/{tid}\n    template: { tid: any }\n    tenants: [acme]\n    claims: { tenantId: { fromIssuer: tid } }\n',
      )
      .replace(/ {4}introspection: .*\n/, '');
    const { access } = await reportOf(open.replace('roles: [admin], scopes', 'roles: [admin, agent], scopes'), open);
    const wider = access.filter(({ effect }) => effect === 'wider');
    expect(wider.map(({ caller }) => caller.issuer)).toEqual(['https://idp.example.test/acme']);
  });

  test('shares one entry for routes with the same change', async () => {
    const other = base
      .slice(base.indexOf('  - name: orders'))
      .replaceAll('orders/:id', 'lists/:id')
      .replace('name: orders', 'name: lists');
    const two = base + other;
    const { out } = await run(
      'diff',
      ...files(two.replaceAll('roles: [admin], scopes', 'roles: [admin, agent], scopes'), two),
    );
    expect(out).toContain('GET HEAD /v1/orders/*, /v1/lists/*\n');
    expect(out).toContain('after allowed by routes orders, lists as user\n      one of them: countersign explain GET');
    expect(out).toContain('still refused: users of https://idp.example.test\n');
  });

  test('leaves out values that another condition excludes', async () => {
    const { out } = await run('diff', ...files(base.replace('legal, hr', 'legal, hr, sales')));
    expect(out).toContain('role is admin; claim department is sales and is none of legal, hr');
  });

  test('a list of what is trusted is narrower only if nothing was added', async () => {
    const audience = (list: string) => base.replace('audience: orders', `audience: [${list}]`);
    const effectOf = async (to: string) =>
      (await reportOf(audience(to), audience('orders, one'))).settings.map(({ effect }) => effect);
    expect(await effectOf('orders')).toEqual(['narrower']);
    expect(await effectOf('orders, two')).toEqual(['wider']);
    expect(await effectOf('one, orders')).toEqual([]);
  });

  test('exits with 2 for a file that cannot be read or is refused, and for a wrong command line', async () => {
    const [old] = files(base);
    expect(await run('diff', old, join(directory, 'absent.yaml'))).toMatchObject({ code: 2, out: '' });
    expect((await run('diff', ...files(base.replace('auth: required', 'auth: maybe')))).err).toContain(
      'routes[0].auth',
    );
    for (const args of [[old], [old, old, old], [old, old, '--fail-on', 'any'], [old, old, '--json', '--markdown']])
      expect((await run('diff', ...args)).code).toBe(2);
  });

  test('counts what it cannot compare as wider, and says why', async () => {
    const machines = (when: string) =>
      base.replace('roles: [admin, agent]', `roles: [admin, agent]\n    machines: { when: { gty: ${when} } }`);
    const { access, wider } = await reportOf(machines('machine'), machines('client'));
    expect(wider).toBe(true);
    expect(access.filter(({ effect }) => effect === 'unknown').map(({ why }) => why)).toContain(
      'machines.when differs',
    );
  });

  test('opens no file that a configuration names, and reads no variable', async () => {
    for (const name of ['orders.secret', 'ca.pem', 'keys']) execFileSync('mkfifo', [join(directory, name)]);
    const { notCompared } = await reportOf(base.replace('orders.secret', '/etc/shadow'));
    expect(notCompared.files).toEqual(['./keys', '/etc/shadow', 'ca.pem', 'orders.secret']);
    expect(notCompared.variables).toEqual(['CLIENT_SECRET']);
  });

  test('shows hostile names as text in Markdown and on a terminal', async () => {
    const hostile = JSON.stringify('|<img src=x> [a](http://b) @admin #1 \u001b[31m \u202e `x`').replace(
      '\u202e',
      '\\u202e',
    );
    const text = base.replace('legal, hr', `legal, ${hostile}`);
    const markdown = (await run('diff', ...files(text), '--markdown')).out;
    const withoutOurs = markdown.replaceAll(/<\/?(?:code|br)>/g, '').replaceAll(/&#\d+;/g, '');
    expect(withoutOurs).not.toMatch(/[<>|@`[\]]|\p{Cc}(?<!\n)|\p{Cf}/u);
    const plain = (await run('diff', ...files(text))).out;
    expect(plain).toContain(String.raw`\u001b[31m \u202e`);
    expect(plain.replaceAll('\n', '')).not.toMatch(/\p{Cc}|\p{Cf}/u);
  });

  test('never shows a secret', async () => {
    const other = base.replace('"${CLIENT_SECRET}"', '"${CLIENT_SECRET}${MORE}"');
    const { settings } = await reportOf(other);
    expect(settings.map(({ key }) => key)).toEqual(['issuers[https://idp.example.test].introspection.clientSecret']);
    expect(JSON.stringify(settings)).not.toMatch(/client-secret|more/);
  });

  test('prints the schema of its JSON', async () => {
    expect(JSON.parse((await run('schema', 'diff')).out)).toEqual(z.toJSONSchema(diffReport));
    expect((await run('schema', 'other')).code).toBe(2);
  });

  test('compares 30 scopes, 40 roles and 20 claims of 50 values at once', async () => {
    const list = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
    const allow = (roles: number, scopes: number, values: number) =>
      JSON.stringify({
        roles: list('r', roles),
        scopes: list('s', scopes),
        claims: Object.fromEntries(list('c', 20).map((claim) => [claim, list(claim, values)])),
      });
    const policy = (text: string) => base.replace(/ {4}roles: .*\n/, '').replace(/allow: .*/, `allow: ${text}`);
    const startedMs = performance.now();
    const { access } = await reportOf(policy(allow(40, 30, 50)), policy(allow(39, 29, 49)));
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(access.filter(({ effect }) => effect === 'wider').length).toBeGreaterThan(0);
    expect(access.filter(({ effect }) => effect === 'narrower').length).toBeGreaterThan(0);
  });
});
