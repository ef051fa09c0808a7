import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mintIssuer, type TestIssuer, testAuthority } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../src/cli/cli.ts';
import type { Header } from '../src/explain/dry-run.ts';
import { dpopClient } from './dpop-client.ts';
import { dpopGateway, origin } from './dpop-gateway.ts';
import { acme, edited, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-explain-token-'));
const entra = '72f988bf-86f1-41af-91ab-2d7cd011db47';
const thumbprint = createHash('sha256').update('a certificate or key').digest('base64url');

let gateway: GatewayUnderTest;
let other: TestIssuer;
let template: TestIssuer;
beforeAll(async () => {
  other = await mintIssuer({ issuer: 'https://b.test/r' });
  template = await mintIssuer({ issuer: `https://e.test/${entra}/v2.0` });
  writeFileSync(join(home, 'b.json'), JSON.stringify(other.jwks));
  writeFileSync(join(home, 'e.json'), JSON.stringify(template.jwks));
  const names = 'audience: complaints-api, algorithms: [ES256], roles: [agent]';
  const claims = 'claims: { tenantId: { fromIssuer: tid } }';
  const more = `  - { issuer: "https://b.test/r", jwks: "${home}/b.json", ${names}, tenants: [globex] }
  - { issuer: "https://e.test/{tid}/v2.0", jwks: "${home}/e.json", ${names}, tenants: [${entra}], template: { tid: any }, ${claims} }
`;
  ({ gateway } = await dpopGateway({
    edits: [
      ['audience: complaints-api', `audience: complaints-api\n    tenants: ["${acme}"]\n    roles: [agent]`],
      ['identity: { keys', `${more}identity: { keys`],
    ],
  }));
});
afterAll(async () => {
  await gateway.close();
  rmSync(home, { recursive: true });
});

type Args = (tokenFile: string) => readonly string[];

async function run(token: string, args: Args, { file, hmacSecret } = gateway) {
  const out: string[] = [];
  const path = join(home, 'token');
  writeFileSync(path, token);
  const code = await runCli([...args(path), '-c', file], {
    out: (line) => void out.push(line),
    err: (line) => void out.push(line),
    paint: (_style, text) => text,
    isInteractive: false,
    env: { HASHED_SECRET: hmacSecret },
    nowMs: Date.now,
  });
  return { code, out: out.join('\n') };
}

const explained: Args = (path) => ['explain', 'GET', '/v1/things/1', '--token', path, '--json'];

async function shownContext(token: string, from = gateway): Promise<string | undefined> {
  const { out } = await run(token, explained, from);
  const { sends } = JSON.parse(out) as { sends: { headers: readonly Header[] } };
  return sends.headers.find(([name]) => name.toLowerCase() === 'x-identity-context')?.[1];
}

/** What the service got, with the address that explain shows for every client (RFC 5737). */
const sentContext = () =>
  String(gateway.upstream.last().headers['x-identity-context']).replace('ip="127.0.0.1"', 'ip="192.0.2.1"');

const bare = { tenant_id: 'globex', sid: undefined, auth_time: undefined, amr: undefined };

describe('countersign explain --token shows the context that the gateway sends', () => {
  test.each<[string, () => Promise<string>, string]>([
    [
      'for the second of two issuers',
      () => other.accessToken({ tenant_id: 'globex', sid: 's-1', auth_time: 1_700_000_000, amr: ['pwd', 'otp'] }),
      'iss="https://b.test/r"',
    ],
    ['without sid, auth_time and amr', () => other.accessToken(bare), 'iss="https://b.test/r"'],
    [
      'for a template of any tenant',
      () => template.accessToken({ tenant_id: undefined, tid: entra }),
      `iss="https://e.test/${entra}/v2.0"`,
    ],
  ])('%s', async (_what, signed, iss) => {
    const token = await signed();
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    expect(sentContext()).toContain(iss);
    expect(await shownContext(token)).toBe(sentContext());
  });

  test('for a token that is bound to a key', async () => {
    const client = dpopClient();
    const token = await other.accessToken({ tenant_id: 'globex', cnf: { jkt: client.thumbprint } });
    const proof = client.proof({ url: `${origin}/v1/things/1`, token });
    const headers = { authorization: `DPoP ${token}`, dpop: proof };
    expect((await gateway.ask('/v1/things/1', { headers })).status).toBe(200);
    expect(sentContext()).toContain(`jkt="${client.thumbprint}"`);
    expect(await shownContext(token)).toBe(sentContext());
  });
});

test.each<[string, Record<string, unknown>]>([
  ['accepted', { tenant_id: 'globex' }],
  ['refused', { tenant_id: 'globex', aud: 'other' }],
])('explain --json and the API have one answer for a token that is %s', async (_how, claims) => {
  const token = await other.accessToken(claims);
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ method: 'GET', path: '/v1/things/1', token });
  const admin = `http://127.0.0.1:${gateway.running.ports.admin}/api/explain`;
  const answer = await (await fetch(admin, { method: 'POST', headers, body })).text();
  const { out } = await run(token, explained);
  const timeless = (text: string) => JSON.parse(text.replace(/;created=\d+;expires=\d+;/g, ';'));
  expect(timeless(out)).toEqual(timeless(answer));
});

describe('a token with a binding that the listener cannot check', () => {
  let plain: GatewayUnderTest;
  beforeAll(async () => {
    plain = await gatewayUnderTest({ edits: [[`publicOrigins: ["${origin}"]`, 'publicOrigins: []']] });
  });
  afterAll(() => plain.close());

  test.each([
    ['a key', { jkt: thumbprint }, 'token_proof_missing', 'set publicOrigins'],
    ['a certificate', { 'x5t#S256': thumbprint }, 'token_certificate_unsupported', 'set listen.tls.clients'],
  ])('is refused by serve, token and explain: %s', async (_what, cnf, code, fix) => {
    const token = await plain.issuer.accessToken({ cnf });
    expect(await plain.ask('/v1/things/1', { token })).toMatchObject({ status: 401, code });
    expect(plain.upstream.requests).toEqual([]);
    for (const args of [(path: string) => ['token', path], explained]) {
      const told = await run(token, args, plain);
      expect(told.code).toBe(1);
      expect(told.out).toContain(code);
      expect(told.out).toContain(fix);
    }
  });

  test('is accepted once listen.tls.clients is set, and the context has no key', async () => {
    const authority = testAuthority();
    const { cert, key } = authority.issue(['gateway.test']);
    for (const [name, text] of Object.entries({ cert, key, ca: authority.ca })) writeFileSync(join(home, name), text);
    const tls = `tls: { cert: "${home}/cert", key: "${home}/key", clients: { ca: "${home}/ca" } }`;
    const file = join(home, 'tls.yaml');
    writeFileSync(file, edited(plain.yaml, [['listen: {', `listen: { ${tls},`]]));
    const token = await plain.issuer.accessToken({ cnf: { 'x5t#S256': thumbprint } });
    const listening = { ...plain, file };
    expect((await run(token, (path) => ['token', path], listening)).code).toBe(0);
    expect(await shownContext(token, listening)).toMatch(/^ip="192\.0\.2\.1", iss=.*, amr=\("pwd"\), client="web"$/);
  });
});

test("countersign token --json shows the claims, and not the issuer's configuration", async () => {
  const { code, out } = await run(await other.accessToken(bare), (path) => ['token', path, '--json']);
  expect(code).toBe(0);
  expect(Object.keys(JSON.parse(out))).toEqual(['unreadable', 'header', 'claims', 'issuers']);
  expect(out).not.toContain('maxTokenLifetimeSec');
});
