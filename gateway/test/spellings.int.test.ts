import { contractHeaders, foldHeaderName, isIdentityHeader } from '@countersign/identity';
import { eventually, rawRequest } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';
import { callingServices, sendCall, signCall } from './nested-caller.ts';

/** Spellings that a service might read as the name: other separators, other case, a suffix. */
function spellingsOf(name: string): readonly string[] {
  const words = name.split('-');
  const capitals = words.map((word) => word.replace(/^./, (letter) => letter.toUpperCase()));
  const joined = ['-', '_', '.', '~', '!', '|', '^', '`', "'", '*', '+', '#', '$', '%', '&'].map((sign) =>
    words.join(sign),
  );
  const mixed = words.reduce((text, word, at) => `${text}${at % 2 === 0 ? '-' : '_'}${word}`);
  const whole = [
    capitals.join('-'),
    capitals.join('_'),
    name.toUpperCase(),
    name.toUpperCase().replaceAll('-', '_'),
    mixed,
  ];
  return [...new Set([...joined, ...whole])];
}

const others = [
  'x-user-email',
  'x-userinfo',
  'x-tenant',
  'x-tenant-name',
  'x-service',
  'x-identity-kind',
  'x-forwarded-user',
];
const others2 = ['x-forwarded-groups', 'x-original-uri', 'x-rewrite-url', 'x-middleware-subrequest', 'x-remote-user'];
/** Also in the answer to an upgrade. */
const others4 = ['x-countersign-status', 'X_Countersign_Code', 'x-user-id', 'Remote_User', 'x-jwt-assertion'];
const others3 = [
  'client-cert',
  'client-cert-chain',
  'x-client-cert',
  'x-client-cert-fingerprint',
  'ssl-client-verify',
  'ssl-client-cert',
  'x-ssl-client-s-dn',
  'x-arr-clientcert',
  'x-auth-request-user',
  'x-auth-request-email',
  'x-ms-client-principal',
  'x-ms-client-principal-id',
  'x-amzn-oidc-identity',
  'x-amzn-oidc-data',
  'x-goog-iap-jwt-assertion',
  'x-goog-authenticated-user-email',
  'cf-connecting-ip',
  'cf-access-authenticated-user-email',
  'cf-access-jwt-assertion',
  'impersonate-user',
  'impersonate-extra-scopes',
  'remote-groups',
  'x-remote-extra-scopes',
  'x-webauth-user',
  'x-consumer-id',
  'x-credential-username',
  'x-authenticated-user',
  'x-authentik-email',
  'x-pomerium-jwt-assertion',
  'tailscale-user-name',
  'oidc-claim-email',
  'sm-user',
  'iv-user',
  'x-ssl-cert',
  'x-tls-client-cert',
  'x-jwt-assertion',
  'x-countersign-target',
];
const every = [...contractHeaders, ...others, ...others2, ...others3].flatMap(spellingsOf);
/** As many spellings as fit into one request together with its own headers. */
const packets = Array.from({ length: Math.ceil(every.length / 80) }, (_, at) => every.slice(at * 80, at * 80 + 80));
const linesOf = (names: readonly string[]) => names.map((name) => `${name}: evil\r\n`).join('');

describe('an identity header of a client, in any spelling', () => {
  const services = callingServices();
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    const cors: readonly [string, string] = ['trustedProxies: []', 'cors: { origins: ["https://app.example.test"] }'];
    gateway = await gatewayUnderTest({
      edits: [...services.edits, cors],
      upstream: {
        upgrade: (_request, socket) =>
          void socket.end(
            `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${linesOf(others4)}\r\n`,
          ),
      },
    });
    token = await gateway.issuer.accessToken();
  });
  afterAll(async () => {
    await gateway.close();
    services.remove();
  });

  /** Expects each contract header at most once, in its own spelling, and without any value from the client. */
  function expectOnlyGatewayIdentity(identity: string): void {
    const { rawHeaders, headers } = gateway.upstream.last();
    expect(headers['x-identity']).toBe(identity);
    expect(JSON.stringify(rawHeaders)).not.toContain('evil');
    const names = rawHeaders.filter((_, at) => at % 2 === 0);
    for (const contract of contractHeaders) {
      const arrived = names.filter((name) => foldHeaderName(name) === contract);
      expect(arrived.length <= 1 ? [] : arrived).toEqual([]);
      expect(arrived.filter((name) => name !== contract)).toEqual([]);
    }
  }
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

  test.each([
    ['a public route', 'GET /v1/open/1', false, 'Connection: close\r\n', 'anonymous'],
    ['a route that needs a token', 'GET /v1/things/1', true, 'Connection: close\r\n', 'user'],
    ['an optional route without one', 'GET /v1/maybe', false, 'Connection: close\r\n', 'anonymous'],
    ['an optional route with one', 'GET /v1/maybe', true, 'Connection: close\r\n', 'user'],
    ['a route that is rewritten', 'GET /v2/things/1', true, 'Connection: close\r\n', 'user'],
    ['a route with a limit', 'GET /v1/limited-user', true, 'Connection: close\r\n', 'user'],
    ['a WebSocket', 'GET /v1/socket', true, upgrade, 'user'],
  ])('never reaches a service on %s', async (_name, line, isBearer, more, identity) => {
    for (const names of packets) {
      const fresh = await gateway.issuer.accessToken({ user_id: `u-${Math.random()}`, sub: 's' });
      const bearer = isBearer ? `Authorization: Bearer ${line.includes('limited') ? fresh : token}\r\n` : '';
      const before = gateway.upstream.requests.length;
      const answer = await rawRequest(
        gateway.port,
        `${line} HTTP/1.1\r\nHost: gateway.test\r\n${bearer}${linesOf(names)}${more}\r\n`,
      );
      expect(answer).not.toContain('evil');
      expect(gateway.upstream.requests.length).toBe(before + 1);
      expectOnlyGatewayIdentity(identity);
    }
  });

  test('never reaches a service through the internal listener', async () => {
    const call = async (names: readonly string[]) => {
      const spoofed = names.map((name) => [name, 'evil'] as const);
      return sendCall(gateway, {}, [...spoofed, ...signCall(services.keyOf('things'), Date.now(), {})]);
    };
    // The replay memory refuses calls from before the second in which it started.
    await eventually(async () => expect((await call([])).status).toBe(200));
    for (const name of ['x-user-id', 'x-service-id', 'x-forwarded-user'].flatMap(spellingsOf)) {
      const before = gateway.upstream.requests.length;
      const { status, code } = await call([name]);
      // The gateway refuses a service's call with a misspelled identity header instead of removing the header.
      const isRefused = isIdentityHeader(foldHeaderName(name)) && name.toLowerCase() !== foldHeaderName(name);
      expect([name, status, code]).toEqual([
        name,
        ...(isRefused ? [401, 'caller_signature_refused'] : [200, undefined]),
      ]);
      expect(gateway.upstream.requests.length).toBe(before + (isRefused ? 0 : 1));
      if (!isRefused) expectOnlyGatewayIdentity('service');
    }
  });

  test.each([
    [
      'a preflight',
      'OPTIONS /v1/things/1',
      'Origin: https://app.example.test\r\nAccess-Control-Request-Method: GET\r\n',
      204,
    ],
    ['a request without a token', 'GET /v1/things/1', '', 401],
    ['a WebSocket without a token', 'GET /v1/socket', upgrade, 401],
    ['a caller without the role', 'GET /v1/admin', 'BEARER', 403],
  ])('gives no access to %s', async (_name, line, more, expected) => {
    const before = gateway.upstream.requests.length;
    for (const names of packets) {
      const lines = more.replace('BEARER', `Authorization: Bearer ${token}\r\n`);
      const close = more === upgrade ? '' : 'Connection: close\r\n';
      const text = `${line} HTTP/1.1\r\nHost: gateway.test\r\n${lines}${linesOf(names)}${close}\r\n`;
      const answer = parseAnswer(await rawRequest(gateway.port, text));
      expect(answer.status).toBe(expected);
      expect(answer.text).not.toContain('evil');
    }
    expect(gateway.upstream.requests.length).toBe(before);
  });

  test.each(contractHeaders)(
    'a Connection header that names %s, in any spelling, removes no header that the gateway sets',
    async (name) => {
      const named = spellingsOf(name).filter((spelling) => !/['|`^]/.test(spelling));
      await rawRequest(
        gateway.port,
        `GET /v1/things/1 HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n${name}: evil\r\nConnection: close, ${named.join(', ')}\r\n\r\n`,
      );
      expectOnlyGatewayIdentity('user');
      for (const written of ['x-request-id', 'x-identity', 'x-user-id', 'x-user-role', 'x-tenant-id', 'signature']) {
        expect([written, gateway.upstream.last().count(written)]).toEqual([written, 1]);
      }
    },
  );

  test('does not arrive from trailers, announced or not, with a buffered or streamed body', async () => {
    for (const path of ['/v1/things', '/v1/upload']) {
      for (const announced of ['', `Trailer: ${contractHeaders.join(', ')}\r\n`]) {
        const before = gateway.upstream.requests.length;
        const head = `POST ${path} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n${announced}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
        await rawRequest(gateway.port, `${head}3\r\nabc\r\n0\r\n${linesOf(contractHeaders)}\r\n`);
        await eventually(() => expect(gateway.upstream.requests.length).toBe(before + 1));
        expectOnlyGatewayIdentity('user');
        expect(gateway.upstream.last().body.toString()).toBe('abc');
        expect(gateway.upstream.last().headers).not.toHaveProperty('trailer');
      }
    }
  });
});
