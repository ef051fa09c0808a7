import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mintIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from './cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'countersign-identity-token-'));
const file = join(directory, 'gateway.yaml');
afterAll(() => rmSync(directory, { recursive: true }));

let nowMs = Date.now();
async function run(...args: readonly string[]) {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const rest = { paint: (_style: string, text: string) => text, isInteractive: false, env: {}, nowMs: () => nowMs };
  const code = await runCli(args, { out: write, err: write, ...rest });
  return { code, out: lines.join('\n') };
}

const forms = {
  plain: '{}',
  orders: '{ token: { claims: [department] } }',
  single: '{ algorithm: agreed, headers: false, token: { header: authorization, bind: none, lifetime: 5m } }',
};

beforeAll(async () => {
  const signer = await mintIssuer();
  writeFileSync(join(directory, 'keys.json'), JSON.stringify(signer.jwks));
  writeFileSync(
    file,
    `version: 1
issuers: [{ issuer: "https://sso.example.test", audience: a, jwks: ./keys.json, algorithms: [ES256] }]
identity: { keys: ./gateway-keys, issuer: "http://127.0.0.1:8090" }
upstreams:
${Object.entries(forms)
  .map(([name, form]) => `  ${name}: { targets: ["http://127.0.0.1:9000"], identity: ${form} }`)
  .join('\n')}
routes:
${Object.keys(forms)
  .map((name) => `  - { name: ${name}, path: "/${name}/**", methods: [GET], upstream: ${name}, auth: optional }`)
  .join('\n')}
tests:
  - { request: { method: GET, path: /orders/1, as: { userId: u, role: agent, tenantId: t } }, expect: { allowed: true, upstream: orders } }
  - { request: { method: GET, path: /orders/1 }, expect: { allowed: true } }
  - { request: { method: GET, path: /single/1, as: { userId: u, role: agent, tenantId: t } }, expect: { allowed: true, path: /single/1 } }
  - { request: { method: GET, path: /single/1 }, expect: { allowed: false, status: 403, code: identity_form_unsupported } }
`,
  );
  expect(await run('keys', 'create', '-c', file)).toEqual({
    code: 0,
    out: expect.stringContaining('signs identity tokens'),
  });
});

describe('identity tokens on the command line', () => {
  test('check prints a line for each upstream with a token, and no warning', async () => {
    const { code, out } = await run('check', file);
    expect([code, out.split('\n').slice(1)]).toEqual([
      0,
      [
        '  orders: identity token in countersign-token for user, 30 s: bound to the request, and replayable unless the service checks req',
        '  single: identity token in authorization for user, 300 s: not bound, so anyone who copies it is the caller at this service for 300 s; without signed headers, so without agreed keys and remembered nonces',
      ],
    ]);
  });

  test('test decides such requests as the gateway does', async () => {
    expect(await run('test', file)).toMatchObject({ code: 0, out: expect.stringContaining('4 passed, 0 failed') });
  });

  const explained = async (path: string, ...more: readonly string[]) =>
    (await run('explain', 'GET', path, '-c', file, ...more)).out;

  test('explain shows the claims of the token, and what a copy of it can do', async () => {
    const bound = await explained('/orders/1?a=b', '--role', 'agent', '--claim', 'department: sales');
    expect(bound).toContain('replayable unless the service checks req');
    const [, shown = ''] = /countersign-token: JWT (.*)/.exec(bound) ?? [];
    expect(JSON.parse(shown)).toMatchObject({
      iss: 'http://127.0.0.1:8090/orders',
      aud: 'orders',
      sub: 'example-user',
      role: 'agent',
      department: ['sales'],
      jti: 'NONCE',
      req: { m: 'GET', t: '/orders/1?a=b' },
    });
    const unbound = await explained('/single/1', '--role', 'agent');
    expect(unbound).toContain('anyone who copies it is the caller at this service for 300 s');
    expect(unbound).toMatch(/authorization: Bearer JWT \{"iss":"http:\/\/127\.0\.0\.1:8090\/single"/);
    expect(unbound).not.toMatch(/signature|agreed on/);
  });

  test('explain says which callers get no token, and why one is refused', async () => {
    const anonymous = await explained('/orders/1', '-H', 'Countersign_Token: x');
    expect(anonymous).toContain('no identity token: it is for user, and the caller is anonymous');
    expect(anonymous).toMatch(/drops +Countersign_Token {2}\(removed: only the gateway may set it\)/);
    expect(anonymous).not.toContain('JWT {');
    expect(await explained('/single/1')).toContain(
      '403 identity_form_unsupported  (single receives identity tokens alone, for user; the caller is anonymous)',
    );
    expect(await explained('/plain/1')).not.toContain('identity token');
  });

  test('token recognizes an identity token of this gateway, and shows its claims without the signature', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'ES256', typ: 'JWT', kid: 'k' })}.${part({ iss: 'http://127.0.0.1:8090/orders', aud: 'orders' })}.c2lnbmF0dXJl`;
    writeFileSync(join(directory, 'token'), `Bearer ${text}\n`);
    const { code, out } = await run('token', join(directory, 'token'), '-c', file);
    expect([code, out.split('\n')]).toEqual([
      1,
      [
        'refused issued by this gateway for orders: an identity token, never an access token',
        'header   {"alg":"ES256","typ":"JWT","kid":"k"}',
        'claims   {"iss":"http://127.0.0.1:8090/orders","aud":"orders"}',
      ],
    ]);
    const answer = await run('explain', 'GET', '/orders/1', '--token', join(directory, 'token'), '-c', file, '--json');
    expect(JSON.parse(answer.out)).toMatchObject({ outcome: { status: 401, code: 'token_issuer_unknown' } });
    expect(out + answer.out).not.toContain('c2lnbmF0dXJl');
  });
});

test('conformance --form token reports each fault, and how many replays a service refuses', async () => {
  // Reads the token's claims, and verifies nothing.
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(request.headers['x-token'] === undefined ? 401 : 200).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`;
  const args = ['--audience', 'orders', '--form', 'token', '--header', 'X-Token', '--keys', '127.0.0.1:0'];
  const { code, out } = await run('conformance', url, ...args);
  server.closeAllConnections();
  server.close();
  expect(code).toBe(1);
  expect(out).toMatch(
    /^The key set for orders is at http:\/\/127\.0\.0\.1:\d+\/\.well-known\/identity-token-jwks\.json\n/,
  );
  expect(out).toMatch(/FAULT "another service's token" was accepted, but must be refused \(\S+identity-token\.md\)/);
  expect(out).toContain(
    'check of req: refused 0 of 4 tokens that were for another request\n16 requests, 11 faults, 4 notes',
  );
});

test('keys creates, rotates and retires ES256 keys beside the others', async () => {
  const keysDir = join(directory, 'more-keys');
  const keys = (...args: readonly string[]) => run('keys', ...args, '--dir', keysDir);
  const listed = async () => (await keys('list')).out.split('\n').filter((line) => line.includes('es256'));
  expect((await keys('create', '--algorithm', 'ed25519')).code).toBe(0);
  expect((await keys('create', '--algorithm', 'ES256')).out).toContain('signs identity tokens from now on');
  expect(await keys('create', '--algorithm', 'ES256')).toMatchObject({ code: 1 });
  expect((await keys('create', '--algorithm', 'RS256')).out).toContain('known: ed25519, x25519, ES256');
  const printed = await keys('rotate', '--to-stdout');
  expect([printed.code, printed.out.match(/^ {2}\S+\.es256\.json: /gm)?.length]).toEqual([0, 2]);
  expect((await keys('rotate')).out).toMatch(/published now, signs identity tokens from/);
  const [first = ''] = await listed();
  expect((await keys('retire', first.slice(0, 43), '--now')).out).toContain(
    'the only key that may sign identity tokens',
  );
  nowMs += 3_600_000;
  expect((await keys('retire', first.slice(0, 43), '--now')).code).toBe(0);
  expect(await listed()).toEqual([expect.stringContaining('es256')]);
});
