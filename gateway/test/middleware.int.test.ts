import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVerifier, memoryReplay, staticGatewayKeys } from '@countersign/identity';
import {
  type CapturingLogger,
  capturingLogger,
  eventually,
  mintIssuer,
  type RecordingUpstream,
  rawRequest,
  recordingUpstream,
  type TestIssuer,
} from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import express, { type NextFunction, type Request, type Response } from 'express';
import request from 'supertest';
import { countersignGateway, type GatewayMiddleware, loadConfig } from '../src/index.ts';
import { createKey } from '../src/keys/key-files.ts';
import { type IssuerServer, issuerServer } from './issuer-server.ts';

describe('countersignGateway in another Express app', () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-middleware-'));
  let issuer: TestIssuer;
  let auth: IssuerServer;
  let upstream: RecordingUpstream;
  let gateway: GatewayMiddleware;
  let log: CapturingLogger;
  let server: Server;
  let port = 0;
  let token = '';
  let file = '';

  beforeAll(async () => {
    createKey('ed25519', join(home, 'keys'), Math.floor(Date.now() / 1000) - 60);
    issuer = await mintIssuer();
    auth = await issuerServer(issuer);
    upstream = await recordingUpstream({
      upgrade: (_request, socket) =>
        void socket.end(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello',
        ),
      answer: ({ target }, res) =>
        void (target === '/v1/things/unanswered' ? undefined : res.end(`answer to ${target}`)),
    });
    token = await issuer.accessToken();
    file = join(home, 'gateway.yaml');
    writeFileSync(
      file,
      `version: 1
listen: { public: "127.0.0.1:0", admin: "127.0.0.1:0", internal: "127.0.0.1:0" }
issuers:
  - issuer: "${issuer.issuer}"
    audience: complaints-api
    jwks: "${auth.url}/jwks.json"
    algorithms: [ES256]
identity: { keys: ./keys }
upstreams:
  things: { targets: ["${upstream.url}"] }
routes:
  - { name: things, path: "/v1/things/**", methods: [GET, POST], upstream: things, auth: required, body: { mode: digest, maxBytes: 1KiB } }
  - { name: stream, path: /v1/stream, methods: [POST], upstream: things, auth: public, body: { mode: stream } }
  - { name: mounted, path: "/mounted/**", methods: [GET], upstream: things, auth: public }
  - { name: socket, path: /v1/socket, methods: [GET], upstream: things, auth: required, websocket: true }
`,
    );
    log = capturingLogger();
    gateway = countersignGateway(loadConfig(file, {}), { logger: log.logger });
    const app = express();
    app.get('/before', (_req, res) => void res.send('own route before'));
    app.use('/parsed', express.json());
    app.use('/mounted', gateway);
    app.use('/parsed', gateway);
    app.use(gateway);
    app.use(express.json());
    app.all('/after', (req, res) => void res.json({ url: req.url, body: req.body as unknown }));
    app.use(
      (error: Error, _req: Request, res: Response, _next: NextFunction) => void res.status(500).send(error.message),
    );
    server = createServer(app).on('upgrade', gateway.upgrade);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    await eventually(async () => expect((await gateway.health.ready()).ok).toBe(true));
  });
  afterAll(async () => {
    server.close();
    await gateway.close();
    await upstream.close();
    await auth.close();
    rmSync(home, { recursive: true });
  });

  const bearer = () => `Bearer ${token}`;
  const arrivedSince = (before: number) => upstream.requests.slice(before);

  test('signs and forwards a request, and logs it', async () => {
    const sent = JSON.stringify({ title: 'a' });
    const { status, text, headers } = await request(server)
      .post('/v1/things/1?a=b')
      .set({ authorization: bearer(), 'x-user-id': 'root', 'content-type': 'application/json' })
      .send(sent);
    expect([status, text]).toEqual([200, 'answer to /v1/things/1?a=b']);
    const { method, target, rawHeaders, body } = upstream.last();
    expect(body.toString()).toBe(sent);
    const verifier = createVerifier({
      audience: 'things',
      keys: staticGatewayKeys(gateway.publicKeys() as { keys: Record<string, unknown>[] }),
      replay: memoryReplay({ nowMs: () => Date.now() - 60_000 }),
    });
    await expect(verifier.verify({ method, target, rawHeaders, body })).resolves.toMatchObject({
      kind: 'user',
      userId: '01890a5d-ac96-774b-bcce-b302099a8057',
      requestId: headers['x-request-id'],
    });
    await eventually(() =>
      expect(log.lines()).toContainEqual(expect.objectContaining({ route: 'things', status: 200 })),
    );
    expect(await gateway.metrics.metrics()).toContain(
      'countersign_request_duration_seconds_count{route="things",status="200"}',
    );
  });

  test.each([
    ['without a token', '/v1/things/1', {}, 401, 'token_missing'],
    ['with a forged token', '/v1/things/1', { authorization: 'Bearer a.b.c' }, 401, 'token_malformed'],
    ['by a method of no route', '/v1/things/1', { method: 'DELETE' }, 405, 'method_not_allowed'],
    ['with a path that is not canonical', '/v1/things/%2e%2e/admin', {}, 400, 'invalid_target'],
    [
      'with a body that is too long',
      '/v1/things/1',
      { method: 'POST', body: 'a'.repeat(2048) },
      413,
      'payload_too_large',
    ],
  ])(
    'refuses a request %s, and nothing arrives',
    async (_name, path, { method = 'GET', body = '', ...headers }: Readonly<Record<string, string>>, status, code) => {
      const before = upstream.requests.length;
      const authorization = code === 'token_missing' ? {} : { authorization: bearer() };
      const fields = {
        host: 'a',
        ...authorization,
        ...headers,
        'content-length': String(body.length),
        connection: 'close',
      };
      const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
      const answer = await rawRequest(port, `${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`);
      expect([answer.split(' ')[1], /"code":"([a-z_]+)"/.exec(answer)?.[1]]).toEqual([String(status), code]);
      expect(arrivedSince(before)).toEqual([]);
    },
  );

  test('leaves what matches no route to the app, body included', async () => {
    const before = upstream.requests.length;
    expect((await request(server).get('/before')).text).toBe('own route before');
    expect((await request(server).post('/after?a').send({ a: 1 })).body).toEqual({ url: '/after?a', body: { a: 1 } });
    expect((await request(server).get('/nothing')).status).toBe(404);
    expect(arrivedSince(before)).toEqual([]);
    expect(log.lines().filter(({ path }) => path === '/after')).toEqual([]);
  });

  test('reads the whole target where it is mounted below a path', async () => {
    expect((await request(server).get('/mounted/a?b=c')).text).toBe('answer to /mounted/a?b=c');
    expect(upstream.last().target).toBe('/mounted/a?b=c');
  });

  test('says so when a body parser came first, and nothing arrives', async () => {
    const before = upstream.requests.length;
    const { status, text } = await request(server).post('/parsed/a').send({ a: 1 });
    expect([status, text]).toEqual([500, expect.stringMatching(/^countersignGateway must come before body parsers/)]);
    expect((await request(server).get('/parsed/a')).status).toBe(404);
    expect(arrivedSince(before)).toEqual([]);
  });

  test('answers 100-continue once, and forwards the body that follows', async () => {
    const head =
      'POST /v1/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n';
    const answer = await rawRequest(port, `${head}body`);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200']);
    expect(upstream.last().body.toString()).toBe('body');
  });

  const socketHead = (more: string) =>
    `GET /v1/socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

  test('carries a WebSocket, and refuses one without a token', async () => {
    const before = upstream.requests.length;
    expect(await rawRequest(port, socketHead(''))).toMatch(/^HTTP\/1\.1 401 (?:.|\s)*"code":"token_missing"/);
    expect(arrivedSince(before)).toEqual([]);
    expect(await rawRequest(port, socketHead(`Authorization: ${bearer()}\r\n`))).toMatch(/^HTTP\/1\.1 101 /);
    expect(upstream.last().headers).toMatchObject({ 'x-identity': 'user', upgrade: 'websocket' });
  });

  test('applies a changed file, and keeps the last valid configuration', async () => {
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, `${text}  - { name: new, path: /v1/new, methods: [GET], upstream: things, auth: public }\n`);
    expect((await request(server).get('/v1/new')).status).toBe(404);
    expect((await gateway.reload()).refused).toBeUndefined();
    expect((await request(server).get('/v1/new')).text).toBe('answer to /v1/new');
    writeFileSync(file, 'version: 2\n');
    expect((await gateway.reload()).refused?.problems).not.toEqual([]);
    expect((await request(server).get('/v1/new')).text).toBe('answer to /v1/new');
  });

  test('cancels the request to the service when the client disconnects', async () => {
    const before = upstream.requests.length;
    const client = connect(port, '127.0.0.1');
    client.write(`GET /v1/things/unanswered HTTP/1.1\r\nHost: a\r\nAuthorization: ${bearer()}\r\n\r\n`);
    await eventually(() => expect(arrivedSince(before)).toHaveLength(1));
    client.destroy();
    await eventually(() => expect(upstream.underWay()).toBe(0));
    await eventually(() =>
      expect(log.lines()).toContainEqual(expect.objectContaining({ path: '/v1/things/unanswered', aborted: true })),
    );
  });
});
