import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { dirname, join } from 'node:path';
import { freePorts } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readTokenKeys } from '../../../gateway/src/keys/key-files.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';
import type { ServiceProcess } from '../../stacks/service-process.ts';
import { type Relayed, type TamperingRelay, tamperingRelay } from '../verifiers/tampering-relay.ts';
import { isInstalled, libraries, page, startWith } from './libraries.ts';

const user = '01890a5d-ac96-774b-bcce-b302099a8057';
const socketKey = 'dGhlIHNhbXBsZSBub25jZQ==';
const nowSec = () => Math.floor(Date.now() / 1000);

type Claims = Record<string, unknown>;
const partOf = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claimsOf = (token: string): Claims => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

function signed(claims: Claims, kid: string, key: KeyObject): string {
  const text = `${partOf({ alg: 'ES256', typ: 'JWT', kid })}.${partOf(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** Starts a gateway whose issuer of tokens is the address of its internal listener, as the page says. */
async function startGateway(relay: TamperingRelay) {
  const [internal = 0] = await freePorts(1);
  const route = (name: string) =>
    `\n  - { name: ${name}, path: "/${name}/**", methods: [GET, POST], upstream: ${name}, auth: required, allow: { clients: any } }`;
  const gateway = await gatewayUnderTest({
    hasTokenKey: true,
    edits: [
      ['internal: "127.0.0.1:0"', `internal: "127.0.0.1:${internal}"`],
      ['lifetime: 30s }', `lifetime: 30s, issuer: "http://127.0.0.1:${internal}" }`],
      ['    algorithms: [ES256]\n', '    algorithms: [ES256]\n    machines: { role: role, tenantId: tenant_id }\n'],
    ],
    upstreams: () =>
      `  orders: { targets: ["${relay.url}"], identity: { token: { callers: [user, client], lifetime: 60s } } }
  billing: { targets: ["${relay.url}"], identity: { token: {} } }`,
    routes: `${route('orders')}${route('billing')}
  - { name: socket, path: /socket, methods: [GET], upstream: orders, auth: required, websocket: true }
  - { name: stream, path: /stream, methods: [POST], upstream: orders, auth: required, body: { mode: stream } }
  - { name: open, path: /open, methods: [GET], upstream: orders, auth: public }`,
  });
  const [key] = readTokenKeys(join(dirname(gateway.file), 'keys'));
  if (key === undefined) throw new Error('the gateway has no key for tokens');
  return { gateway, internal, key };
}

let relay: TamperingRelay;
let ours: Awaited<ReturnType<typeof startGateway>>;
let other: typeof ours;
beforeAll(async () => {
  relay = await tamperingRelay();
  [ours, other] = await Promise.all([startGateway(relay), startGateway(relay)]);
});
afterAll(async () => {
  await ours.gateway.close();
  await other.gateway.close();
  await relay.close();
});

test('the discovery document leads a library to the key set', async () => {
  const issuer = `http://127.0.0.1:${ours.internal}/orders`;
  const found = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<string, string>;
  expect(found).toMatchObject({ issuer, id_token_signing_alg_values_supported: ['ES256'] });
  expect(await (await fetch(found.jwks_uri ?? '')).json()).toEqual({ keys: [ours.key.publicJwk] });
});

describe.each(libraries)('the program of docs/identity-token.md for %s', (library) => {
  const testInstalled = isInstalled(library) ? test : test.skip;
  let service: ServiceProcess;
  let access: string;
  let get: Relayed;
  let post: Relayed;
  let socket: Relayed;
  let stream: Relayed;
  beforeAll(async () => {
    if (!isInstalled(library)) return;
    service = await startWith(library, ours.internal);
    relay.sendTo(service.port);
    access = await ours.gateway.issuer.accessToken();
    get = await through(() => ask('/orders/1?a=b'));
    post = await through(() => ask('/orders/1', '{"amount":100}'));
    stream = await through(() => ask('/stream', '{"amount":100}'));
    const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${socketKey}`;
    const authorization = `Authorization: Bearer ${access}`;
    const handshake = `GET /socket HTTP/1.1\r\n<host>\r\n${authorization}\r\n${upgrade}\r\n\r\n`;
    socket = await through(() => ours.gateway.raw(handshake));
  });
  afterAll(async () => {
    if (isInstalled(library)) await service.stop();
  });

  const ask = (path: string, body?: string, gateway: GatewayUnderTest = ours.gateway, token = access) =>
    gateway.ask(path, {
      token,
      ...(body !== undefined && {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(body),
      }),
    });

  /** What the gateway sends to the service. */
  async function through(send: () => Promise<unknown>): Promise<Relayed> {
    const before = relay.seen.length;
    await send();
    expect(relay.seen).toHaveLength(before + 1);
    return (relay.seen.at(-1) as (typeof relay.seen)[number]).request;
  }
  const tokenOf = ({ lines }: Relayed) => lines.find(([name]) => name === 'countersign-token')?.[1] ?? '';
  const withHeader = (request: Relayed, name: string, value: string): Relayed => ({
    ...request,
    lines: [...without(request, name).lines, [name, value]],
  });
  const without = (request: Relayed, ...names: string[]): Relayed => ({
    ...request,
    lines: request.lines.filter(([one]) => !names.includes(one.toLowerCase())),
  });
  const withBody = (request: Relayed, text: string): Relayed => ({
    ...withHeader(request, 'content-length', String(text.length)),
    body: Buffer.from(text),
  });
  const mine = (changes: Claims): string => {
    const all = { ...claimsOf(tokenOf(get)), ...changes };
    return signed(all, ours.key.kid, ours.key.privateKey);
  };
  const statusOf = async (request: Relayed) => {
    const { status, body } = await relay.deliver(request);
    return status === 200 ? body.replace(/^[\da-f]+\r\n|\r\n0\r\n\r\n$/g, '') : status;
  };

  testInstalled('reads claims that the page lists', () => {
    const [, section = ''] = /^## Claims\n([\s\S]*?)^## /m.exec(page) ?? [];
    const cells = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => cell.split(', '));
    const names = [get, post, stream, socket].flatMap((request) => Object.keys(claimsOf(tokenOf(request))));
    expect(names.filter((name) => !cells.includes(`\`${name}\``))).toEqual([]);
  });

  testInstalled('accepts the requests that the gateway sends', async () => {
    for (const request of [get, post, stream, socket]) expect(await statusOf(request)).toBe(user);
    expect(await statusOf(withHeader(get, 'countersign-token', mine({})))).toBe(user);
    expect((await ask('/orders/1?a=b')).status).toBe(200);
  });

  const tokens: readonly (readonly [name: string, token: () => string | Promise<string>])[] = [
    ["another upstream's", async () => tokenOf(await through(() => ask('/billing/1')))],
    ['another audience with our issuer', () => mine({ aud: 'billing' })],
    ['another issuer with our audience', () => mine({ iss: `http://127.0.0.1:${ours.internal}/billing` })],
    ["the gateway's own issuer without an upstream", () => mine({ iss: `http://127.0.0.1:${ours.internal}` })],
    ['no audience', () => mine({ aud: undefined })],
    ['no issuer', () => mine({ iss: undefined })],
    ['an expired', () => mine({ iat: nowSec() - 60, nbf: nowSec() - 60, exp: nowSec() - 30 })],
    ['no expiry', () => mine({ exp: undefined })],
    ['not yet valid', () => mine({ iat: nowSec() + 60, nbf: nowSec() + 60, exp: nowSec() + 90 })],
    [
      'an altered',
      () => {
        const [head = '', , signature = ''] = tokenOf(get).split('.');
        return `${head}.${partOf({ ...claimsOf(tokenOf(get)), user_id: 'the-boss' })}.${signature}`;
      },
    ],
    ['without its signature', () => tokenOf(get).replace(/[^.]+$/, '')],
    ['alg none', () => `${partOf({ alg: 'none', typ: 'JWT', kid: ours.key.kid })}.${tokenOf(get).split('.')[1]}.`],
    ['alg none without a kid', () => `${partOf({ alg: 'none', typ: 'JWT' })}.${tokenOf(get).split('.')[1]}.`],
    ...(['pem', 'jwk', 'der'] as const).map(
      (form) =>
        [
          `HS256 with the public key as ${form}`,
          () => {
            const key = createPublicKey(ours.key.privateKey);
            const secret =
              form === 'jwk'
                ? JSON.stringify(ours.key.publicJwk)
                : key.export(form === 'pem' ? { format: 'pem', type: 'spki' } : { format: 'der', type: 'spki' });
            const text = `${partOf({ alg: 'HS256', typ: 'JWT', kid: ours.key.kid })}.${tokenOf(get).split('.')[1]}`;
            return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
          },
        ] as const,
    ),
    ['an unknown kid', () => signed(claimsOf(tokenOf(get)), 'unknown', foreign())],
    ['a foreign key under our kid', () => signed(claimsOf(tokenOf(get)), ours.key.kid, foreign())],
    [
      "another gateway's",
      async () => {
        const token = await other.gateway.issuer.accessToken();
        return tokenOf(await through(() => ask('/orders/1?a=b', undefined, other.gateway, token)));
      },
    ],
    ["the client's access token", () => access],
    [
      'a logout token',
      () => {
        const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
        const claims = { iss: ours.gateway.issuer.issuer, aud: 'orders', sub: user, iat: nowSec(), exp: nowSec() + 60 };
        return ours.gateway.issuer.sign({ ...claims, jti: 'l-1', sid: 's-1', events }, { typ: 'logout+jwt' });
      },
    ],
    ['none at all', () => ''],
    ['no JWT', () => 'the-boss'],
  ];
  const foreign = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

  testInstalled.each(tokens)('refuses a token: %s', async (_name, token) => {
    expect(await statusOf(withHeader(get, 'countersign-token', await token()))).toBe(401);
  });

  testInstalled('refuses a client, and an anonymous caller whatever header it sends', async () => {
    const client = await ours.gateway.issuer.accessToken({
      sub: 'ci',
      client_id: 'ci',
      user_id: undefined,
      sid: undefined,
    });
    const machine = await through(() => ask('/orders/1', undefined, ours.gateway, client));
    expect(claimsOf(tokenOf(machine))).toMatchObject({ caller: 'client', sub: 'client:ci' });
    expect(await statusOf(machine)).toBe(401);
    const headers = { 'countersign-token': tokenOf(get) };
    const anonymous = await through(() => ours.gateway.ask('/open', { headers }));
    expect([tokenOf(anonymous), await statusOf(anonymous)]).toEqual(['', 401]);
  });

  testInstalled.each([
    ['another path', () => ({ ...get, target: '/orders/2?a=b' })],
    ['another query', () => ({ ...get, target: '/orders/1?a=c' })],
    ['no query', () => ({ ...get, target: '/orders/1' })],
    ['another spelling of the path', () => ({ ...get, target: '/orders/%31?a=b' })],
    ['another method', () => ({ ...get, method: 'DELETE' })],
    ['another method, with a body', () => ({ ...post, method: 'PUT' })],
    ['another body', () => withBody(post, '{"amount":999}')],
    ['no body', () => withBody(post, '')],
    ['a body on a GET', () => withBody(get, '{"amount":100}')],
    ['another path, of a stream', () => ({ ...stream, target: '/stream/2' })],
    ['a body, of a stream', () => ({ ...post, target: '/stream' })],
    ['another media type', () => withHeader(post, 'content-type', 'application/x-www-form-urlencoded')],
    ['no media type', () => without(post, 'content-type')],
    ['a WebSocket', () => withHeader(withHeader(get, 'upgrade', 'websocket'), 'sec-websocket-key', socketKey)],
    ['another WebSocket', () => withHeader(socket, 'sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA==')],
    ['another protocol', () => withHeader(socket, 'upgrade', 'h2c')],
    ['no WebSocket', () => without(socket, 'upgrade', 'sec-websocket-key')],
  ])('refuses a token on %s', async (_name, moved) => {
    expect(await statusOf(moved())).toBe(401);
  });

  testInstalled.each([
    ['without req', { req: undefined }],
    ['with an empty req', { req: {} }],
    ['with a req of another type', { req: 'GET /orders/1?a=b' }],
    ['with a further member in req', { req: { m: 'GET', t: '/orders/1?a=b', x: '1' } }],
  ])('refuses a token %s', async (_name, changes) => {
    expect(await statusOf(withHeader(get, 'countersign-token', mine(changes)))).toBe(401);
  });

  testInstalled('is behind a gateway that takes no identity token for an access token', async () => {
    const before = relay.seen.length;
    expect(await ask('/orders/1', undefined, ours.gateway, tokenOf(get))).toMatchObject({ status: 401 });
    expect(relay.seen).toHaveLength(before);
  });

  testInstalled('still accepts the unchanged requests, so each refusal had its reason', async () => {
    for (const request of [get, post, stream, socket]) expect(await statusOf(request)).toBe(user);
  });
});
