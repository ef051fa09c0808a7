import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { acme, type GatewayUnderTest, gatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';
import { thingsAt } from '../../../gateway/test/kit/raw-service.ts';
import type { ServiceProcess } from '../../stacks/service-process.ts';
import { attacks, notExempt } from './attacks.ts';
import { serverNames, startPythonService } from './python-service.ts';
import { type Relayed, type TamperingRelay, tamperingRelay } from './tampering-relay.ts';

const user = { user_id: '01890a5d-ac96-774b-bcce-b302099a8057', role: 'agent', tenant_id: acme };
const json = { 'content-type': 'application/json' };
const sha256 = (bytes: string) => createHash('sha256').update(bytes).digest('hex');

/**
 * A WSGI server joins header lines, folds their names or drops them, so the verifier sees another request: it may be
 * refused for another reason, or be the one that the gateway signed.
 */
const unseenByWsgi = ['header_duplicated', 'header_alias', 'header_malformed'];

/**
 * Headers that could make a server or a framework route the request otherwise, or read another body. Nothing signs
 * them, so a service refuses the request or ignores them.
 */
const unsignedHeaders: readonly Relayed['lines'][number][] = [
  ['SCRIPT_NAME', '/v1'],
  ['Script-Name', '/v1'],
  ['PATH_INFO', '/v1/admin'],
  ['REQUEST_URI', '/v1/admin'],
  ['RAW_URI', '/v1/admin'],
  ['X-Original-URL', '/v1/admin'],
  ['X-Rewrite-URL', '/v1/admin'],
  ['X-Forwarded-Prefix', '/admin'],
  ['X-Forwarded-Path', '/v1/admin'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['X-Method-Override', 'DELETE'],
  ['Content_Length', '100'],
  ['Transfer_Encoding', 'chunked'],
  ['Content_Type', 'text/plain'],
];

/** A service's key, with which it signs its own calls. */
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const serviceKey = { ...privateKey.export({ format: 'jwk' }), kid: 'things-1' };
const home = mkdtempSync(join(tmpdir(), 'countersign-python-'));
const keysFile = join(home, 'things.jwks.json');
const lookup =
  '{ name: lookup, path: "/internal/lookup/:id", methods: [POST], upstream: things, auth: service, callers: [things] }';

const edits = (settings = '') =>
  [
    thingsAt([relay.url], settings),
    ['\nroutes:', `\nservices: { things: { keys: "${keysFile}" } }\nroutes:\n  - ${lookup}`],
  ] as const;

let gateway: GatewayUnderTest;
let relay: TamperingRelay;
let token: string;
const services = new Map<string, ServiceProcess>();

beforeAll(async () => {
  const { kid } = serviceKey;
  writeFileSync(keysFile, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' }] }));
  relay = await tamperingRelay();
  gateway = await gatewayUnderTest({ edits: edits() });
  token = await gateway.issuer.accessToken({ sid: 's-1' });
  const internal = `http://127.0.0.1:${gateway.running.ports.internal}`;
  const env = {
    GATEWAY_KEYS_URL: `${internal}/.well-known/jwks.json`,
    INTERNAL_URL: internal,
    SERVICE_KEY: JSON.stringify(serviceKey),
  };
  await Promise.all(serverNames.map(async (name) => services.set(name, await startPythonService(name, env))));
});
afterEach(() => relay.tamper(undefined));
afterAll(async () => {
  for (const service of services.values()) await service.stop();
  await gateway?.close();
  await relay?.close();
  rmSync(home, { recursive: true });
});

const get = () => gateway.ask('/v1/things/1?a=b', { token });
const post = () =>
  gateway.ask('/v1/things/1', { token, method: 'POST', headers: json, body: Buffer.from('{"amount":100}') });
const bare = (method: string, target: string, ...lines: Relayed['lines']): Relayed => ({
  method,
  target,
  lines: [['host', 'a'], ['connection', 'close'], ...lines],
  body: Buffer.alloc(0),
});

/** Has the gateway send a request, and returns it. Its nonce is still unused. */
async function capture(send: () => Promise<unknown>): Promise<Relayed> {
  let captured: Relayed | undefined;
  relay.tamper((request) => {
    captured = request;
    return { ...request, target: '//' };
  });
  await send();
  relay.tamper(undefined);
  if (captured === undefined) throw new Error('the gateway sent nothing');
  return captured;
}

describe.each(serverNames)('%s', (name) => {
  let service: ServiceProcess;
  const isWsgi = name.endsWith('gunicorn');
  beforeAll(() => {
    service = services.get(name) as ServiceProcess;
    relay.sendTo(service.port);
  });

  test.each<[string, string, 'GET' | 'POST', string?]>([
    ['a GET', '/v1/things/1', 'GET'],
    ['an encoded path and query', '/v1/things/a%20b?q=%C3%A9&x[]=1&y=a+b', 'GET'],
    ['a trailing slash', '/v1/things/', 'GET'],
    ['a POST with a body', '/v1/things/1?a=b', 'POST', '{"a":1}'],
    ['a POST without a body', '/v1/things/1', 'POST'],
    ['a body of 60 kB', '/v1/things/1', 'POST', `"${'x'.repeat(60_000)}"`],
    ['a stream', '/v1/upload', 'POST', 'streamed '.repeat(20_000)],
  ])('accepts %s that came through the gateway', async (_name, path, method, body = '') => {
    const options = { token, method, ...(body !== '' && { body: Buffer.from(body), headers: json }) };
    const { status, body: answer } = await gateway.ask(path, options);
    expect(status).toBe(200);
    expect(JSON.parse(answer.toString())).toMatchObject({
      caller: { kind: 'user', ...user, context: { ip: '127.0.0.1', sid: 's-1' } },
      method,
      body: sha256(body),
    });
  });

  test('sees the identity that the gateway signed, whatever a client sends', async () => {
    const names = [
      'x-user-id',
      'x-user-role',
      'x-tenant-id',
      'x-identity',
      'x-identity-context',
      'x_user_id',
      'signature',
    ];
    const headers = Object.fromEntries(names.map((header) => [header, 'evil']));
    const own = await gateway.ask('/v1/things/1', { token, headers });
    expect(JSON.parse(own.body.toString()).caller).toMatchObject({ kind: 'user', ...user });
    const open = await gateway.ask('/v1/open/1', { headers });
    expect(JSON.parse(open.body.toString()).caller).toMatchObject({ kind: 'anonymous' });
  });

  test('refuses every changed request before a handler', async () => {
    let expected = await service.handled();
    const wrong: string[] = [];
    for (const { name: attack, edit, reason, post: isPost = false } of attacks) {
      relay.tamper(edit);
      const asked = await (isPost ? post() : get());
      const { status, headers } = relay.seen.at(-1)?.answer ?? {};
      const given = headers?.get('x-identity-refused');
      const isUnseen = isWsgi && unseenByWsgi.includes(reason);
      if (isUnseen && status === 200) {
        expect(JSON.parse(asked.body.toString())).toMatchObject({ caller: user, target: '/v1/things/1?a=b' });
        expected += 1;
        continue;
      }
      // A server itself refuses bytes that are not HTTP.
      const isRefused = (status === 401 && (given === reason || isUnseen)) || status === 400 || status === 431;
      if (asked.status < 400 || !isRefused) wrong.push(`${attack}: ${status} ${given}`);
    }
    expect(wrong).toEqual([]);
    expect(await service.handled()).toBe(expected);
  });

  test('accepts a captured request once', async () => {
    const captured = await capture(post);
    expect((await relay.deliver(captured)).status).toBe(200);
    const again = await relay.deliver(captured);
    expect([again.status, again.headers.get('x-identity-refused')]).toEqual([401, 'replayed']);
  });

  test.each(unsignedHeaders)('is not misled by %s: %s', async (...line) => {
    const captured = await capture(post);
    const { status, body } = await relay.deliver({ ...captured, lines: [...captured.lines, line] });
    if (status === 400 || status === 401) return;
    const asSigned = { method: 'POST', target: '/v1/things/1', body: sha256('{"amount":100}') };
    expect([status, JSON.parse(body)]).toEqual([200, expect.objectContaining(asSigned)]);
  });

  test('needs an identity on every path but the exempt ones, whose handlers see no identity header', async () => {
    const before = await service.handled();
    for (const [method, target] of notExempt) {
      const { status } = await relay.deliver(bare(method, target));
      expect([method, target, status]).toEqual([method, target, 401]);
    }
    const moved = await relay.deliver(bare('GET', '/.well-known/v1', ['SCRIPT_NAME', '/.well-known']));
    expect(moved.status).not.toBe(200);
    expect(await service.handled()).toBe(before);
    const lines = ['x-identity', 'x-user-id', 'X_User_Id', 'x-request-id'].map((header) => [header, 'root'] as const);
    const { status, body } = await relay.deliver(bare('GET', '/metrics', ...lines, ['accept', 'a/b']));
    expect(status).toBe(200);
    expect(body).toContain('a/b');
    expect(body).not.toMatch(/root|x-identity|x-request-id/i);
  });
});

describe('FastAPI', () => {
  let service: ServiceProcess;
  beforeAll(() => {
    service = services.get('FastAPI on uvicorn') as ServiceProcess;
    relay.sendTo(service.port);
  });

  test('verifies a WebSocket before its handshake ends', async () => {
    // The relay answers for the service, so the gateway's upgrade ends here, and its request is delivered below.
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    const captured = await capture(() =>
      gateway.raw(`GET /v1/socket HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n${upgrade}${key}\r\n`),
    );
    const lines = [...captured.lines.filter(([name]) => name !== 'connection'), ['connection', 'Upgrade'] as const];
    const before = await service.handled();
    const deliver = (change: (line: Relayed['lines'][number]) => readonly Relayed['lines'][number][]) =>
      relay.deliver({ ...captured, lines: lines.flatMap(change) });
    for (const [change, reason] of [
      [(line) => (line[0] === 'signature' ? [] : [line]), 'signature_missing'],
      [(line) => [line[0] === 'sec-websocket-key' ? [line[0], `${'A'.repeat(22)}==`] : line], 'signature_invalid'],
      [(line) => [line[0] === 'x-user-role' ? [line[0], 'admin'] : line], 'signature_invalid'],
    ] satisfies [Parameters<typeof deliver>[0], string][]) {
      const { status, headers } = await deliver(change);
      expect([status, headers.get('x-identity-refused')]).toEqual([401, reason]);
    }
    expect(await service.handled()).toBe(before);
    const { status, body } = await deliver((line) => [line]);
    expect(status).toBe(101);
    expect(body).toContain(user.user_id);
    expect(await service.handled()).toBe(before + 1);
  });

  test('signs a call to another service, which sees the user and the calling service', async () => {
    await gateway.reload(edits('txnToken: true'));
    const { status, body } = await gateway.ask('/v1/things/nested', { token });
    expect(status).toBe(200);
    expect(JSON.parse(body.toString())).toEqual([
      200,
      expect.objectContaining({
        caller: expect.objectContaining({ kind: 'service', service_id: 'things', user }),
        method: 'POST',
        target: '/internal/lookup/7?a=b',
        body: sha256('{"a":1}'),
      }),
    ]);
  });
});
