import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { introspectionServer } from '../../test/kit/introspection-server.ts';
import { keycloak } from '../../test/providers/keycloak.ts';
import { timed } from '../../test/providers/shape.ts';
import { providers } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { runCli } from './cli.ts';

let directory = '';
let signer: TestIssuer;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-token-'));
  signer = await mintIssuer({ alg: 'RS256' });
  writeFileSync(join(directory, 'keys.json'), JSON.stringify(signer.jwks));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function run(...args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runCli(args, {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    paint: (_style, text) => text,
    isInteractive: false,
    env: { SECRET: 'of-the-client' },
    nowMs: Date.now,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const file = () => join(directory, 'gateway.yaml');
const write = (...issuers: readonly string[]) =>
  writeFileSync(
    file(),
    `version: 1
issuers:
${issuers.join('\n')}
identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] } }
routes: [{ name: a, path: /a, methods: [GET], upstream: api, auth: required, allow: { roles: [agent] } }]
`,
  );
const keycloakIssuer = (yaml = keycloak.yaml) => `  - jwks: ./keys.json${yaml}`;

async function tokenFile(claims: object = {}, header: object = {}): Promise<string> {
  const whole = timed({ ...keycloak.claims, ...claims }, Math.floor(Date.now() / 1000));
  const path = join(directory, 'token');
  writeFileSync(path, `${await signer.sign(whole, { typ: 'JWT', ...header })}\n`);
  return path;
}

const told = (path: string, ...more: readonly string[]) => run('token', path, '-c', file(), ...more);
const signatureIn = (path: string) => readFileSync(path, 'utf8').trim().split('.')[2] ?? '';

describe('countersign token', () => {
  test('shows the identity that the service would receive', async () => {
    write(keycloakIssuer());
    const { code, out } = await told(await tokenFile());
    expect(out).toContain(
      `https://sso.example.test/realms/acme (keycloak): accepted\n  x-user-id ${keycloak.gives.userId}\n  x-user-role agent\n  x-tenant-id acme`,
    );
    expect(code).toBe(0);
  });

  test('shows all problems at once: what was expected, what was found, and what to change', async () => {
    write(keycloakIssuer(keycloak.yaml.replace('[realm_access, roles]', 'realm_access.roles')));
    const path = await tokenFile({ aud: 'other', azp: 'spa', exp: 5, sub: undefined, typ: 'ID' }, { kid: 'gone' });
    const { code, out } = await told(path);
    expect(code).toBe(1);
    const problems = out.split('\n').filter((line) => /^ {2}\S/.test(line));
    expect(problems).toEqual([
      '  header kid  (token_key_unknown)',
      '  typ  (token_type_refused)',
      '  aud  (token_audience_refused)',
      '  azp  (token_client_refused)',
      '  sub  (token_claims_invalid)',
      '  exp  (token_expired)',
      '  realm_access.roles  (role_missing)',
    ]);
    expect(out).toContain('expected  one of "account", "orders-api"\n    found     "other"\n');
    expect(out).toContain('change    the dot is read as part of the name: write the path as [realm_access, roles]');
    expect(out).toContain('in Keycloak, add an Audience mapper');
  });

  test.each([
    ['accepted', {}, {}],
    ['refused', { aud: 'other' }, {}],
    ['of an unknown issuer', { iss: 'https://other.test' }, {}],
    ['with a bad header', {}, { crit: ['b64'], b64: true }],
  ])('never shows the signature of a token %s', async (_how, claims, header) => {
    write(keycloakIssuer());
    const path = await tokenFile(claims, header);
    for (const more of [[], ['--json'], ['--offline']]) {
      const { out, err } = await told(path, ...more);
      expect(out.length).toBeGreaterThan(100);
      expect(out + err).not.toContain(signatureIn(path).slice(0, 20));
    }
  });

  test("reports on each issuer, with the token's own issuer first", async () => {
    const other =
      '  - { issuer: https://sso.example.test/realms/acme/, jwks: ./keys.json, audience: x, tenants: [b], roles: [r] }';
    write(other, keycloakIssuer());
    const { out } = await told(await tokenFile());
    const titles = out.split('\n').filter((line) => line.startsWith('https://'));
    expect(titles).toEqual([
      'https://sso.example.test/realms/acme (keycloak): accepted',
      expect.stringMatching(/^https:\/\/sso\.example\.test\/realms\/acme\/: refused, \d problems$/),
    ]);
    expect(out).toContain('only the trailing slash differs, and it matters');
  });

  test('reports an invalid signature, unless --offline is set', async () => {
    write(keycloakIssuer());
    const path = await tokenFile();
    const [head = '', payload = '', signature = ''] = readFileSync(path, 'utf8').trim().split('.');
    writeFileSync(path, `${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`);
    expect((await told(path)).out).toContain('signature  (token_signature_invalid)');
    expect((await told(path, '--offline')).out).toContain('accepted, if its signature is valid');
  });

  test('says why it cannot fetch the keys', async () => {
    const [port] = await freePorts(1);
    const issuer = `http://127.0.0.1:${port}/realms/acme`;
    write(`  - { provider: keycloak, issuer: "${issuer}", audience: x }`);
    const { out } = await told(await tokenFile({ iss: issuer }));
    expect(out).toMatch(/keys {2}\(issuer_keys_unavailable\)\n {4}expected {2}.*\n {4}found {5}network: ECONNREFUSED/);
  });

  test.each([
    ['a header value', (token: string) => `Authorization: Bearer ${token}\n`],
    ['a token endpoint response', (token: string) => JSON.stringify({ access_token: token, token_type: 'Bearer' })],
    ['text in quotes', (token: string) => `"${token}"`],
  ])('reads %s', async (_what, as) => {
    write(keycloakIssuer());
    const path = await tokenFile();
    writeFileSync(path, as(readFileSync(path, 'utf8').trim()));
    expect((await told(path)).code).toBe(0);
  });

  test.each([
    ['opaque', 'ya29.a0AfH6SMBx'.replace('.', '')],
    ['encrypted', 'a.b.c.d.e'],
    ['cut', 'eyJhbGciOiJSUzI1NiJ9.eyJ'],
  ])('says that it cannot read %s', async (_what, text) => {
    write(keycloakIssuer());
    writeFileSync(join(directory, 'token'), text);
    const { code, out } = await told(join(directory, 'token'));
    expect(code).toBe(1);
    expect(out).toMatch(/^refused it is (?:not a JWT|encrypted)/);
  });

  test.each(['eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln', 'Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'])(
    'does not print a token given instead of a file: %s',
    async (argument) => {
      write(keycloakIssuer());
      const { code, err } = await told(argument);
      expect(code).toBe(2);
      expect(err).not.toContain('eyJhbGci');
    },
  );

  test('explains a request that carries a token', async () => {
    write(keycloakIssuer());
    const explained = async (claims: object) =>
      run('explain', 'GET', '/a', '--token', await tokenFile(claims), '-c', file());
    const { code, out } = await explained({});
    expect(code).toBe(0);
    expect(out).toContain(`GET /a as agent ${keycloak.gives.userId} of acme`);
    expect(out).toContain('x-user-role: agent');
    const refused = await explained({ aud: 'other' });
    expect(refused.code).toBe(1);
    expect(refused.out).toContain('aud  (token_audience_refused)');
    expect((await run('explain', 'GET', '/a', '--token', 'x', '--role', 'admin', '-c', file())).code).toBe(2);
  });
});

describe('countersign init', () => {
  const made = (...args: readonly string[]) => run('init', '--dir', directory, ...args);
  const upstream = ['--upstream', 'http://127.0.0.1:3000'];

  test.each([...providers, undefined])('writes a file for %s that check accepts', async (provider) => {
    const issuer = ['--issuer', 'https://sso.example.test/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0'];
    const named = provider === undefined ? [] : ['--provider', provider];
    const { code, out, err } = await made(...named, ...issuer, ...upstream, '--audience', 'orders-api');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('countersign check');
    expect(await run('check', file())).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(file(), 'utf8').split('\n').length).toBeLessThan(40);
    expect(existsSync(join(directory, 'gateway.schema.json'))).toBe(true);
    const [key = ''] = readdirSync(join(directory, 'gateway-keys'));
    expect(statSync(join(directory, 'gateway-keys', key)).mode & 0o777).toBe(0o600);
  });

  test('avoids the ports of the issuer and the service', async () => {
    await made(
      '--provider',
      'keycloak',
      '--issuer',
      'http://localhost:8080/realms/acme',
      '--upstream',
      'http://localhost:9090',
    );
    const yaml = readFileSync(file(), 'utf8');
    expect(yaml).toContain('public: "127.0.0.1:8000"');
    expect(yaml).toContain('admin: "127.0.0.1:9190"');
    expect((await run('check', file())).code).toBe(0);
  });

  test('creates the directory', async () => {
    const folder = join(directory, 'new', 'folder');
    const { code } = await run('init', '--dir', folder, '--issuer', 'https://a.test', ...upstream, '--audience', 'a');
    expect(code).toBe(0);
    expect((await run('check', join(folder, 'gateway.yaml'))).code).toBe(0);
  });

  test('never overwrites a file', async () => {
    writeFileSync(file(), 'mine');
    const { code, err } = await made('--issuer', 'https://a.test', ...upstream);
    expect([code, readFileSync(file(), 'utf8')]).toEqual([1, 'mine']);
    expect(err).toContain('already exists');
  });

  test.each([
    ['no issuer', upstream],
    ['no service', ['--issuer', 'https://a.test']],
    ['a service with a path', ['--issuer', 'https://a.test', '--upstream', 'http://127.0.0.1:3000/api']],
    ['an unknown provider', ['--provider', 'okto', '--issuer', 'https://a.test', ...upstream]],
    ['an argument', ['gateway.yaml', '--issuer', 'https://a.test', ...upstream]],
  ])('exits with 2 for %s', async (_what, args) => {
    expect((await made(...args)).code).toBe(2);
    expect(readdirSync(directory)).toEqual(['keys.json']);
  });

  const plainHttp = 'plain http leaves this machine: use https, or add --insecure-transport if the network is trusted';

  test.each([
    ['--upstream', ['--issuer', 'https://a.test', '--upstream', 'http://orders.default.svc:8080'], plainHttp],
    ['--issuer', ['--issuer', 'http://10.0.0.1/realm', ...upstream], plainHttp],
    ['--issuer', ['--issuer', 'realm', ...upstream], 'must be an http or https URL of at most 512'],
    ['--audience', ['--issuer', 'https://a.test', ...upstream, '--audience', ''], 'must be a text'],
  ])('writes no file that check would refuse, and names the option %s, not a line', async (option, args, problem) => {
    const { code, err } = await made(...args);
    expect([code, err]).toEqual([1, expect.stringMatching(new RegExp(`^${option}: .*\nnothing was written$`))]);
    expect(err).toContain(problem);
    expect(readdirSync(directory)).toEqual(['keys.json']);
  });

  test('allows plain http to another machine with --insecure-transport', async () => {
    const service = ['--upstream', 'http://orders.default.svc:8080', '--insecure-transport'];
    expect((await made('--issuer', 'https://a.test', ...service)).code).toBe(0);
    expect(readFileSync(file(), 'utf8')).toContain('\ninsecureTransport: true #');
    expect((await run('check', file())).code).toBe(0);
  });

  test('with --in-cluster, allows plain http, listens on all addresses and reads keys from a Secret', async () => {
    const service = ['--upstream', 'http://orders.default.svc:8080', '--in-cluster'];
    const { code, out } = await made('--issuer', 'https://a.test', ...service);
    const kubectl = out.split('\n').filter((line) => line.startsWith('  kubectl'));
    expect([code, kubectl]).toEqual([0, expect.arrayContaining(['  kubectl -n countersign apply -k .'])]);
    const page = readFileSync(new URL('../../../docs/operations/kubernetes.md', import.meta.url), 'utf8');
    for (const line of kubectl) expect(page).toContain(`\n  ${line}\n`);
    const config = loadConfig(file(), {});
    expect(config).toMatchObject({
      listen: Object.fromEntries(
        ['public', 'admin', 'internal'].map((name, at) => [name, { host: '0.0.0.0', port: [8080, 9090, 8090][at] }]),
      ),
      insecureTransport: true,
      identity: { keysDir: '/etc/gateway-keys', keyFiles: 'group' },
    });
    const names = readdirSync(join(directory, 'gateway-keys')).map((name) => name.replace(/^[\w-]{43}/, ''));
    expect(names.sort()).toEqual(['.gitignore', '.jwk.json', '.x25519.json']);
    expect(config.upstreams.get('api')?.identity.algorithm).toBe('agreed');
  });

  test.each([
    ['auth0', 'https://acme.eu.auth0.com', 'https://acme.eu.auth0.com/'],
    ['auth0', 'https://acme.eu.auth0.com/', 'https://acme.eu.auth0.com/'],
    ['auth0', 'https://login.acme.example', 'https://login.acme.example/'],
    [undefined, 'https://acme.eu.auth0.com', 'https://acme.eu.auth0.com/'],
    ['keycloak', 'https://sso.acme.example/realms/a', 'https://sso.acme.example/realms/a'],
  ])('writes the issuer of %s exactly as in its tokens: %s', async (provider, issuer, written) => {
    const named = provider === undefined ? [] : ['--provider', provider];
    expect((await made(...named, '--issuer', issuer, ...upstream)).code).toBe(0);
    expect(readFileSync(file(), 'utf8')).toContain(`issuer: "${written}" # exactly as in iss\n`);
  });

  test('keeps the keys out of git', async () => {
    await made('--issuer', 'https://a.test', ...upstream);
    const git = (...args: readonly string[]) => execFileSync('git', args, { cwd: directory, encoding: 'utf8' });
    git('init', '--quiet');
    git('add', '.');
    expect(git('ls-files').trim().split('\n')).toEqual(['gateway.schema.json', 'gateway.yaml', 'keys.json']);
  });
});

test.each(['--version', '-v'])('countersign %s shows the version', async (flag) => {
  expect(await run(flag)).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+/) });
});

describe('an opaque token', () => {
  const text = 'an-opaque-token';
  const claims = 'claims: { userId: sub, role: { constant: agent }, tenantId: { constant: acme } }';

  async function asked(answer: Parameters<Awaited<ReturnType<typeof introspectionServer>>['answerWith']>[0]) {
    const server = await introspectionServer();
    server.answerWith(answer);
    const settings = `{ url: "${server.url}", clientId: gateway, clientSecret: "\${SECRET}" }`;
    write(`  - { issuer: https://a.test, audience: x, ${claims}, introspection: ${settings} }`);
    const path = join(directory, 'token');
    writeFileSync(path, `Bearer ${text}\n`);
    const [online, offline] = [await told(path), await told(path, '--offline')];
    const explained = await run('explain', 'GET', '/a', '-c', file(), '--token', path);
    await server.close();
    expect(online.out + offline.out + explained.out).not.toContain(text);
    expect(server.calls.map(({ token }) => token)).toEqual([text, text]);
    return { online, offline, explained };
  }

  test('is described by its issuer, with the identity that the service would read', async () => {
    const nowSec = Math.floor(Date.now() / 1000);
    const answer = { active: true, token_type: 'Bearer', aud: 'x', sub: 'ann', iat: nowSec, exp: nowSec + 900 };
    const { online, offline, explained } = await asked(answer);
    expect(online.out).toContain('https://a.test: accepted\n  x-user-id ann\n  x-user-role agent\n  x-tenant-id acme');
    expect(online.code).toBe(0);
    expect(offline.out).toContain('refused it is not a JWT but an opaque token');
    expect(explained.out).toContain('GET /a as agent ann of acme');
  });

  test('gets everything that is wrong with the answer', async () => {
    const { online, explained } = await asked({ active: true, aud: 'y', sub: 'ann', exp: 1 });
    for (const code of ['token_type_refused', 'token_audience_refused', 'token_expired']) {
      expect(online.out).toContain(code);
    }
    expect([online.code, explained.code]).toEqual([1, 1]);
  });

  test('that is not active has one problem', async () => {
    const { online } = await asked({ active: false });
    expect(online.out).toContain('https://a.test: refused, 1 problem\n  active  (token_inactive)');
  });

  test('cannot be described while the endpoint fails', async () => {
    const { online } = await asked((_request, response) => void response.writeHead(500).end());
    expect(online.out).toContain(
      'refused it is opaque, and the introspection endpoint of https://a.test cannot be used: the endpoint responded with 500',
    );
    expect(online.code).toBe(1);
  });
});
