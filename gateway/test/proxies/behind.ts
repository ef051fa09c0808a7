import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePorts, isInstalled, type SpanReceiver, spanReceiver } from '@countersign/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type ProxyOptions, type ProxyUnderTest, proxyUnderTest } from './proxy-under-test.ts';

/** Without a length, a route that accepts no body must be a GET. */
const routesFor = (showsLength: boolean) => `
  - { name: things, path: "/v1/things/**", methods: [GET${showsLength ? ', DELETE' : ''}], upstream: things, auth: required, body: { mode: none } }
  - { name: admin, path: /v1/admin, methods: [GET], upstream: things, auth: required, allow: { roles: [admin] } }
  - { name: open, path: "/v1/open/**", methods: [GET], upstream: things, auth: public, forward: { cookies: [__Host-rt] } }
  - { name: upload, path: /v1/upload, methods: [POST], upstream: things, auth: required, body: { mode: stream, unsigned: accept }, longLived: accept }
  - { name: socket, path: /v1/socket, methods: [GET], upstream: things, auth: required, websocket: true, longLived: accept }
  - { name: limited, path: /v1/limited, methods: [GET], upstream: things, auth: public, limits: [{ requests: 2, per: 1m, by: address }] }
  - { name: moved, path: "/v2/things/**", methods: [GET], upstream: things, auth: required, rewrite: { prefix: { from: /v2, to: /v1 } } }
`;

/** Traces every request, even one with the trusted address of the proxy. */
const traced = [
  ['version: 1', 'version: 1\ntelemetry: { traces: { sampling: 1 } }'],
  ['trustedProxies: []', 'trustedProxies: ["127.0.0.1/32"]\ncors: { origins: ["https://app.example.test"] }'],
] as const;
const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceHeaders = `Traceparent: 00-${traceId}-b7ad6b7169203331-01\r\nTracestate: a=1\r\nBaggage: a=1\r\n`;

/** Headers that only the gateway or a proxy may set, in the answer of a service. */
const answerNames = [
  'X-User-Id',
  'Remote-Groups',
  'X-Remote-Group',
  'X-WEBAUTH-USER',
  'X-Consumer-Username',
  'X-Credential-Identifier',
  'X-Authenticated-Userid',
  'X-Authentik-Username',
  'X-Pomerium-Jwt-Assertion',
  'Tailscale-User-Login',
  'SM-User',
  'iv-user',
  'X-SSL-Cert',
  'X-TLS-Client-Cert',
  'X-JWT-Assertion',
  'X-Countersign-Target',
  'X-Countersign-Status',
  'X-Countersign-Code',
  'X-Countersign-Upgrade',
];

export type Behind = Readonly<{
  proxy: 'nginx' | 'caddy' | 'haproxy';
  start: ProxyOptions['start'];
  /** Whether the proxy reports the length of a body that it does not send. */
  showsLength: boolean;
  /** Whether the proxy can show a client certificate to the gateway. */
  showsCertificate: boolean;
  /** Whether the proxy removes identity headers in every spelling, so that the gateway need not refuse any. */
  removesAliases: boolean;
  /** Enables the proxy's own cache for every response. Undefined if the proxy has none. */
  cache?: Readonly<{ file: string; edits: readonly (readonly [string, string])[] }>;
  /** What the client gets while the gateway is stopped: the status, and the code of the problem document. */
  withoutGateway: readonly [status: number, code: string | undefined];
  /** Whether rate limit headers reach the client with a successful response. */
  passesLimits: boolean;
}>;

/** Guarantees that must hold behind every real proxy that `countersign integrate` configures. */
export function describeBehind({ proxy: name, start, showsLength, removesAliases, passesLimits }: Behind): void {
  (isInstalled(name) ? describe : describe.skip)(`behind a real ${name}, configured by integrate`, () => {
    let proxy: ProxyUnderTest;
    let seen = 0;
    let collector: SpanReceiver;
    beforeAll(async () => {
      collector = await spanReceiver();
      proxy = await proxyUnderTest({
        proxy: name,
        routes: routesFor(showsLength),
        env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
        edits: [['version: 1', 'version: 1\ntelemetry: { traces: { sampling: 1 } }']],
        upstream: {
          answer(request, response) {
            if (request.target === '/v1/things/refused')
              response.setHeader('x-identity-refused', 'nonce_replayed').writeHead(401);
            if (request.target === '/v1/things/401') response.setHeader('www-authenticate', 'Own').writeHead(401);
            if (request.target === '/v1/things/redirect') response.setHeader('x-accel-redirect', '/countersign-decide');
            if (request.target === '/v1/things/identity')
              for (const name of answerNames) response.setHeader(name, 'intruder');
            response.end('{"ok":true}');
          },
          upgrade: (_request, socket) =>
            void socket.end(
              'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
            ),
        },
        start,
      });
    });
    afterAll(async () => {
      await proxy.close();
      await collector.close();
    });
    beforeEach(() => {
      seen = proxy.gateway.upstream.requests.length;
    });
    const arrived = () => proxy.gateway.upstream.requests.slice(seen);

    test.each(['/v1/things/1', '/v1/things/1?a=b&x=%20', '/v1/things/a%20b', '/v2/things/7?q=1', '/v1/things/'])(
      '%s arrives with an identity that the service verifies',
      async (path) => {
        const { status } = await proxy.get(path);
        expect(status).toBe(200);
        const [request] = arrived();
        if (request === undefined) throw new Error('nothing arrived');
        expect(request.headers.authorization).toBeUndefined();
        await expect(proxy.verify(request)).resolves.toMatchObject({ kind: 'user', context: { ip: '127.0.0.1' } });
      },
    );

    test.each([
      ['no token', 'GET /v1/things/1', '', 401, 'token_missing'],
      ['another role', 'GET /v1/admin', '<token>\r\n', 403, 'insufficient_role'],
      ['no route', 'GET /nowhere', '<token>\r\n', 404, 'no_route'],
      ['another method', 'PUT /v1/things/1', '<token>\r\n', 405, 'method_not_allowed'],
      ['a dot segment', 'GET /v1/things/../admin', '<token>\r\n', 400, 'invalid_target'],
      ['an encoded dot segment', 'GET /v1/things/%2e%2e/admin', '<token>\r\n', 400, 'invalid_target'],
      ['two slashes', 'GET /v1//things/1', '<token>\r\n', 400, 'invalid_target'],
      ['an encoded slash', 'GET /v1/things%2f1', '<token>\r\n', 400, 'invalid_target'],
      ...(showsLength
        ? [
            [
              'a body where none is allowed',
              'DELETE /v1/things/1',
              '<token>\r\nContent-Length: 1\r\n',
              400,
              'body_not_allowed',
            ] as const,
          ]
        : []),
      ...(removesAliases
        ? []
        : [
            [
              'an unknown identity header',
              'GET /v1/things/1',
              '<token>\r\nX-User-Email: intruder\r\n',
              400,
              'decision_call_invalid',
            ] as const,
          ]),
    ])('%s is refused with its status and code, and nothing arrives', async (_, line, headers, status, code) => {
      const text = `${line} HTTP/1.1\r\n<host>\r\n${headers}<close>\r\n\r\n${headers.includes('Content-Length') ? 'x' : ''}`;
      const answer = await proxy.raw(text);
      expect([answer.status, answer.code, arrived().length]).toEqual([status, code, 0]);
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
      expect(answer.headers.allow === undefined).toBe(status !== 405);
      expect(answer.text.match(/www-authenticate/gi)?.length ?? 0).toBe(
        status === 401 ? 1 : code === 'insufficient_role' ? 1 : 0,
      );
    });

    test.each([
      'X-User-Id: intruder',
      'x-user-role: admin',
      'X_User_Id: intruder',
      'X.User.Id: intruder',
      'X!User-Id: intruder',
      'X-Tenant-Id: intruder',
      'X-Identity: user',
      'X-Service-Id: intruder',
      'X-Client-Id: intruder',
      'Signature: intruder',
      'Signature-Input: intruder',
      'Txn-Token: intruder',
      'Content-Digest: intruder',
      'X-Request-Id: intruder',
      'X-Forwarded-For: 203.0.113.9',
      'X-Forwarded-Host: intruder',
      'X-Real-IP: intruder',
      'Forwarded: for=intruder',
      'X-Forwarded-Client-Cert: intruder',
      'X.Forwarded.For: intruder',
      'X_Forwarded_Host: intruder',
      'X_Real_IP: intruder',
      'SSL_CLIENT_CERT: intruder',
      'X_Auth_Request_User: intruder',
      'Remote-Groups: intruder',
      'Remote_Email: intruder',
      'X-Remote-Group: intruder',
      'X-Remote-Extra-Scopes: intruder',
      'X-WEBAUTH-USER: intruder',
      'X-Consumer-Username: intruder',
      'X-Credential-Identifier: intruder',
      'X-Authenticated-Userid: intruder',
      'X-Authentik-Username: intruder',
      'X-Pomerium-Claim-Anything: intruder',
      'Tailscale-User-Login: intruder',
      'OIDC_CLAIM_sub: intruder',
      'OIDC-Claim-Sub: intruder',
      'SM_USER: intruder',
      'iv-user: intruder',
      'X-SSL-Cert: intruder',
      'X-TLS-Client-Cert: intruder',
      'X-JWT-Assertion: intruder',
      'X-Countersign-Anything: intruder',
      'X-Original-Anything: intruder',
      'Traceparent: intruder',
      'Tracestate: intruder=1',
      'Baggage: intruder=1',
      'X-Forwarded-Anything: intruder',
      'X-Countersign-Target: /v1/open/intruder',
      'X-Countersign-Address: 203.0.113.9',
      'X-Countersign-Proxy-Secret: intruder',
      'Connection: x-user-id, signature, x-countersign-target',
    ])("a client's %s never reaches a service, on public and protected routes", async (line) => {
      for (const path of ['/v1/things/1', '/v1/open/1']) {
        await proxy.get(path, `<token>\r\n${line}\r\n`);
      }
      const texts = arrived().map(({ rawHeaders }) => JSON.stringify(rawHeaders));
      expect(texts.filter((text) => /intruder|203\.0\.113\.9/.test(text))).toEqual([]);
      for (const request of arrived()) await expect(proxy.verify(request)).resolves.toBeDefined();
    });

    test('only the exact paths of the metadata pass the decision by', async () => {
      for (const path of ['/.well-known/oauth-protected-resourceX', '/.well-known/oauth-protected-resource%2fx']) {
        const { status } = await proxy.get(path, '<token>\r\nX-Forwarded-For: 203.0.113.9\r\n');
        expect([path, status >= 400, arrived().length]).toEqual([path, true, 0]);
      }
    });

    test("the service's trace continues the gateway's, and a client's is only linked", async () => {
      await proxy.get('/v1/things/1', `<token>\r\n${traceHeaders}`);
      const parent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(arrived()[0]?.headers.traceparent ?? '');
      const own = await eventually(() => {
        const spans = collector.spans().filter((span) => span.traceId === parent?.[1]);
        expect(spans).toHaveLength(1);
        return spans;
      });
      expect(own).toMatchObject([{ kind: 'server', spanId: parent?.[2], links: [{ traceId }] }]);
    });

    test('an upgrade that was not decided does not reach the service', async () => {
      await proxy.raw('GET /v1/open/1 HTTP/1.1\r\n<host>\r\nConnection: Upgrade\r\nUpgrade: foo\r\n<close>\r\n\r\n');
      expect(arrived().map(({ headers }) => headers.upgrade)).toEqual([undefined]);
    });

    test('the decision location is not reachable', async () => {
      const { status } = await proxy.get('/countersign-decide');
      expect([status, arrived().length]).toEqual([404, 0]);
    });

    test('limits reach the client, and one request counts once', async () => {
      const answers = [];
      for (let at = 0; at < 3; at += 1) answers.push(await proxy.get('/v1/limited', ''));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
      expect(/r=1/.test(answers[0]?.headers.ratelimit ?? '')).toBe(passesLimits);
      expect(answers[2]?.headers['retry-after']).toMatch(/^\d+$/);
    });

    test('a service that refuses the signature is a 502, and its own 401 stays one', async () => {
      expect(await proxy.get('/v1/things/refused')).toMatchObject({ status: 502, code: 'identity_refused' });
      const own = await proxy.get('/v1/things/401');
      expect([own.status, own.headers['www-authenticate']]).toEqual([401, 'Own']);
    });

    test('a service can neither name another location nor answer with identity headers', async () => {
      expect(await proxy.get('/v1/things/redirect')).toMatchObject({ status: 200, body: '{"ok":true}' });
      const { status, text } = await proxy.get('/v1/things/identity');
      expect(status).toBe(200);
      expect(text).not.toContain('intruder');
    });

    test('a streamed body arrives, unsigned', async () => {
      const { status } = await proxy.raw(
        'POST /v1/upload HTTP/1.1\r\n<host>\r\n<token>\r\nContent-Length: 5\r\n<close>\r\n\r\nhello',
      );
      expect([status, arrived()[0]?.body.toString()]).toEqual([200, 'hello']);
    });

    test('the refresh cookie is forwarded only if the route allows it', async () => {
      for (const path of ['/v1/open/1', '/v1/things/1'])
        await proxy.get(path, '<token>\r\nCookie: a=1; __Host-rt=2\r\n');
      expect(arrived().map(({ headers }) => headers.cookie)).toEqual(['a=1; __Host-rt=2', 'a=1']);
    });

    test('--probe finds nothing wrong, and says what it tried', async () => {
      const origin = `http://127.0.0.1:${proxy.port}`;
      const conf = join(proxy.directory, 'nginx.conf');
      const { code, output } = await proxy.integrate('--probe', origin, ...(name === 'nginx' ? ['--conf', conf] : []));
      const good = `good ${origin} asks the gateway: tried 7 routes`;
      expect([code, output]).toEqual([
        0,
        name === 'nginx'
          ? `${good} and 3 locations of ${conf}, with Host: gateway.test`
          : `${good}, with Host: gateway.test\nnot tried: paths that only the configuration of ${name} names`,
      ]);
    });

    test.each(['127.0.0.1', 'localhost'])('--probe of a closed port at %s is a message', async (host) => {
      const [port] = await freePorts(1);
      const origin = `http://${host}:${port}`;
      expect(await proxy.integrate('--probe', origin)).toEqual({
        code: 1,
        output: `countersign integrate: no answer from ${origin}: ECONNREFUSED`,
      });
    });

    test.each(['127.0.0.1', 'http://127.0.0.1:99999', 'http://a b', 'http://127.0.0.1/x', 'ftp://127.0.0.1'])(
      '--probe of %s is a wrong command line',
      async (origin) => {
        const { code, output } = await proxy.integrate('--probe', origin);
        expect([code, output]).toEqual([2, expect.stringContaining('--probe needs an origin')]);
      },
    );

    test('writing a file again does not change it', async () => {
      const read = () =>
        readdirSync(proxy.directory).map((file) => [
          file,
          statSync(join(proxy.directory, file)).isFile() ? readFileSync(join(proxy.directory, file), 'utf8') : '',
        ]);
      const before = read();
      await proxy.integrate('--listen', `127.0.0.1:${proxy.port}`, '--out', proxy.directory);
      expect(read()).toEqual(before);
    });

    test('a WebSocket is signed and upgraded', async () => {
      const { status } = await proxy.raw(
        'GET /v1/socket HTTP/1.1\r\n<host>\r\n<token>\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
      expect(status).toBe(101);
      expect(arrived()[0]?.headers['signature-input']).toContain('"sec-websocket-key"');
    });
  });
}

/** A client's trace headers, in the two cases in which nothing of the gateway's replaces them. */
export function describeUntraced({ proxy: name, start, showsLength }: Behind): void {
  (isInstalled(name) ? describe : describe.skip)(`a client's trace behind a real ${name}`, () => {
    const routes = routesFor(showsLength);

    test('does not reach the service while traces are off', async () => {
      const proxy = await proxyUnderTest({ proxy: name, routes, start });
      await proxy.get('/v1/things/1', `<token>\r\n${traceHeaders}`);
      const { headers } = proxy.gateway.upstream.last();
      for (const header of ['traceparent', 'tracestate', 'baggage']) expect(headers).not.toHaveProperty(header);
      await proxy.close();
    });

    test('does not go on in a preflight request, even if the gateway trusts the proxy', async () => {
      const collector = await spanReceiver();
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
      const proxy = await proxyUnderTest({ proxy: name, routes, start, env, edits: traced });
      const preflight = 'Origin: https://app.example.test\r\nAccess-Control-Request-Method: GET\r\n';
      const { status } = await proxy.raw(
        `OPTIONS /v1/things/1 HTTP/1.1\r\n<host>\r\n${preflight}${traceHeaders}<close>\r\n\r\n`,
      );
      expect(status).toBe(204);
      await proxy.close();
      const spans = collector.spans().filter(({ attributes }) => attributes['http.request.method'] === 'OPTIONS');
      expect(spans).toMatchObject([{ parentSpanId: '', links: [] }]);
      expect(spans[0]?.traceId).not.toBe(traceId);
      await collector.close();
    });
  });
}

/** What the proxy answers while the gateway is stopped. */
export function describeStopped({ proxy: name, start, showsLength, withoutGateway }: Behind): void {
  (isInstalled(name) ? describe : describe.skip)(`a real ${name} without its gateway`, () => {
    let proxy: ProxyUnderTest;
    beforeAll(async () => {
      proxy = await proxyUnderTest({ proxy: name, routes: routesFor(showsLength), start });
      await proxy.stopGateway();
    });
    afterAll(() => proxy.close());

    test.each([
      ['a token', 'GET /v1/things/1', '<token>\r\n'],
      ['no token', 'GET /v1/things/1', ''],
      [
        'forged headers',
        'GET /v1/things/1',
        'X-User-Id: intruder\r\nSignature: intruder\r\nX-Identity-Audience: things\r\n',
      ],
      ['a public route', 'GET /v1/open/1', ''],
      ['a streamed body', 'POST /v1/upload', '<token>\r\nContent-Length: 0\r\n'],
      ['a preflight', 'OPTIONS /v1/things/1', 'Origin: https://a.test\r\nAccess-Control-Request-Method: GET\r\n'],
      ['metadata', 'GET /.well-known/oauth-protected-resource', ''],
      ['no route', 'GET /nowhere', ''],
    ])('%s gets what the page says, and nothing arrives', async (_, line, headers) => {
      const answer = await proxy.raw(`${line} HTTP/1.1\r\n<host>\r\n${headers}<close>\r\n\r\n`);
      expect([answer.status, answer.code]).toEqual(withoutGateway);
      expect(answer.text).not.toContain('<html>');
      if (withoutGateway[1] !== undefined) expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(proxy.gateway.upstream.requests).toEqual([]);
    });
  });
}
