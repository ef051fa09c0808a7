import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import {
  AppError,
  addToLog,
  commonErrors,
  createHealth,
  createMetrics,
  createRouter,
  type Health,
  jsonBody,
  requestIdOf,
} from '@countersign/process-kit';
import { type CapturingLogger, capturingLogger, rawRequest } from '@countersign/testing';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Express, RequestHandler } from 'express';
import supertest from 'supertest';
import { z } from 'zod';
import { createServiceApp } from '../src/index.ts';

const errors = {
  ...commonErrors,
  teapot: { status: 418, fault: 'caller', title: 'Short and stout.', retryAfterSec: 7 },
} as const;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const passAll: RequestHandler = (_req, _res, next) => next();

let log: CapturingLogger;
let health: Health;
let app: Express;
let usable: string | undefined;

beforeEach(() => {
  log = capturingLogger();
  usable = undefined;
  health = createHealth({ store: () => usable });
  const routes = createRouter();
  routes.get('/teapot', () => {
    throw new AppError('teapot', { detail: { why: 'internal reason' }, headers: { 'x-lid': 'on' } });
  });
  routes.get('/crash', async () => {
    throw new Error('SELECT secret FROM table');
  });
  routes.post('/echo', (req, res) => {
    addToLog(res, { kind: 'echo' });
    res.json({ got: z.strictObject({ name: z.string().max(5) }).parse(req.body), id: requestIdOf(res) });
  });
  routes.post('/json', (req, res) => void res.json({ got: jsonBody(req) ?? 'nothing' }));
  routes.get('/item/:id', (req, res) => void res.json({ id: req.params.id }));
  app = createServiceApp({ logger: log.logger, health, metrics: createMetrics(), errors, identity: passAll, routes });
});

describe('responds with a problem, a code and a request id to', () => {
  test.each([
    ['an application error', 'GET', '/teapot', undefined, 418, 'teapot'],
    ['an unexpected error', 'GET', '/crash', undefined, 500, 'internal_error'],
    ['an unknown path', 'GET', '/nothing', undefined, 404, 'not_found'],
    ['a path in upper case', 'GET', '/TEAPOT', undefined, 404, 'not_found'],
    ['malformed JSON', 'POST', '/echo', '{"name":', 400, 'invalid_request'],
    [
      'a body that is too large',
      'POST',
      '/echo',
      JSON.stringify({ name: 'x'.repeat(200_000) }),
      413,
      'payload_too_large',
    ],
    ['invalid fields', 'POST', '/echo', '{"name":"too long","role":"admin"}', 422, 'validation_failed'],
    ['malformed percent-encoding in a parameter', 'GET', '/item/%zz', undefined, 400, 'invalid_request'],
  ])('%s', async (_what, method, path, body, status, code) => {
    const request =
      method === 'GET'
        ? supertest(app).get(path)
        : supertest(app).post(path).set('content-type', 'application/json').send(body);
    const response = await request;
    expect(response.status).toBe(status);
    expect(response.headers['content-type']).toBe('application/problem+json');
    expect(response.body).toMatchObject({ code, status, instance: path, type: `urn:countersign:error:${code}` });
    expect(response.body.request_id).toMatch(uuid);
    expect(response.headers['x-request-id']).toBe(response.body.request_id);
    const lines = log.lines().filter((line) => line.msg === 'request');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ request_id: response.body.request_id, status, code, path });
  });
});

test('logs an internal error in full, and shows the client no detail', async () => {
  const response = await supertest(app).get('/crash');
  expect(response.text).not.toMatch(/SELECT|Error|\.ts/);
  expect(log.text()).toContain('SELECT secret FROM table');
});

test('sends an error’s headers and Retry-After, and only logs its detail', async () => {
  const response = await supertest(app).get('/teapot');
  expect(response.headers).toMatchObject({ 'retry-after': '7', 'x-lid': 'on' });
  expect(response.text).not.toContain('internal reason');
  expect(log.text()).toContain('internal reason');
});

test('reports invalid fields by their names in the request', async () => {
  const response = await supertest(app).post('/echo').send({ name: 'too long' });
  expect(response.body.errors).toEqual([{ path: 'name', message: expect.any(String) }]);
});

test('reports each unknown field', async () => {
  const response = await supertest(app).post('/echo').send({ name: 'ok', role: 'admin', tenant_id: 't' });
  expect(response.status).toBe(422);
  expect(response.body.errors.map(({ path }: { path: string }) => path)).toEqual(['role', 'tenant_id']);
});

test.each([
  ['application/json', '{"a":1}', 200, { got: { a: 1 } }],
  ['application/json; charset=utf-8', '[]', 200, { got: [] }],
  ['application/json', '', 200, { got: 'nothing' }],
  ['text/plain', '', 200, { got: 'nothing' }],
  ['text/plain', '{"a":1}', 415, { code: 'unsupported_media_type' }],
  ['application/x-www-form-urlencoded', 'a=1', 415, { code: 'unsupported_media_type' }],
])('a body of type %s with the text %j gets %d', async (type, sent, status, answer) => {
  const response = await supertest(app).post('/json').set('content-type', type).send(sent);
  expect(response.status).toBe(status);
  expect(response.body).toMatchObject(answer);
});

// A lenient decoder replaces these bytes with U+FFFD, or decodes them in the charset that the client names.
test.each([
  ['a Latin-1 letter', 'application/json', Buffer.from('{"a":"gr\xfcn"}', 'latin1')],
  ['another Latin-1 letter', 'application/json; charset=utf-8', Buffer.from('{"a":"gr\xe9n"}', 'latin1')],
  ['a truncated character', 'application/json', Buffer.from([0x22, 0xe2, 0x82, 0x22])],
  ['a surrogate', 'application/json', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ['an overlong form of /', 'application/json', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
  ['another charset', 'application/json; charset=utf-16le', Buffer.from('{"a":1}', 'utf16le')],
  ['UTF-7', 'application/json; charset=utf-7', Buffer.from('+AHsAIgBhACIAOgAxAH0-')],
])('a body with %s gets 400', async (_what, type, sent) => {
  const response = await supertest(app)
    .post('/json')
    .set('content-type', type)
    .serialize((body) => body)
    .send(sent);
  expect([response.status, response.body.code]).toEqual([400, 'invalid_request']);
});

test('accepts a body in any script unchanged', async () => {
  const name = 'grün 🦊 \ufffd';
  const response = await supertest(app).post('/json').send({ name });
  expect(response.body).toEqual({ got: { name } });
});

test('logs one line per request, without the query, with the fields that the handler added', async () => {
  await supertest(app).post('/echo?token=canary').send({ name: 'ok' });
  const lines = log.lines().filter((line) => line.msg === 'request');
  expect(lines).toEqual([expect.objectContaining({ method: 'POST', path: '/echo', status: 200, kind: 'echo' })]);
  expect(log.text()).not.toContain('canary');
});

test('uses the request id of a verified identity', async () => {
  const id = '01890a5d-ac96-774b-bcce-b302099a8057';
  const response = await supertest(app).post('/echo').set('x-request-id', id).send({ name: 'ok' });
  expect(response.body.id).toBe(id);
});

test('stays alive while not ready, and is not ready while draining', async () => {
  usable = 'the store is away';
  expect((await supertest(app).get('/readyz')).status).toBe(503);
  expect((await supertest(app).get('/healthz')).status).toBe(200);
  usable = undefined;
  expect((await supertest(app).get('/readyz')).body).toEqual({ status: 'ready', checks: { store: 'ok' } });
  health.drain();
  expect((await supertest(app).get('/readyz')).status).toBe(503);
});

test('labels request metrics with the route pattern instead of the path', async () => {
  await supertest(app).get('/item/42');
  const { text } = await supertest(app).get('/metrics');
  expect(text).toContain('route="/item/:id"');
  expect(text).not.toContain('/item/42');
});

test('does not handle a request whose client disconnects while its identity is checked', async () => {
  const handled: string[] = [];
  const checked = Promise.withResolvers<void>();
  const routes = createRouter();
  routes.post('/write/:id', (req, res) => {
    handled.push(req.params.id);
    res.end();
  });
  // The check lasts until the end of the connection has arrived, as a check that waits for Redis may.
  const identity: RequestHandler = (req, _res, next) => {
    if (req.url.endsWith('/2')) return next();
    req.socket.once('end', () => {
      next();
      checked.resolve();
    });
  };
  const parts = { logger: log.logger, health, metrics: createMetrics(), errors };
  const server = createServer(createServiceApp({ ...parts, identity, routes })).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  client.end('POST /write/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n');
  await checked.promise;
  expect(await rawRequest(port, 'POST /write/2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')).toMatch(/ 200 /);
  expect(handled).toEqual(['2']);
  server.close();
});

test('handles an unsupported upgrade as a plain request', async () => {
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answer = await rawRequest(
    (server.address() as AddressInfo).port,
    'GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n',
  );
  expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  server.closeAllConnections();
  server.close();
});
