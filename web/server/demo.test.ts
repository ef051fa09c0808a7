import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { commonErrors, createHealth, createLogger, createMetrics } from '@countersign/process-kit';
import { createServiceApp } from '@countersign/service-kit';
import { type RecordingUpstream, recordingUpstream } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import request from 'supertest';
import { demoErrors, demoProblems, demoRoutes } from './demo.ts';

const repository = resolve(import.meta.dirname, '../..');
const seedFile = resolve(repository, 'infra/run/demo-tenants.json');
const origins = ['http://127.0.0.1:8080', 'http://localhost:8080'];
const [origin = ''] = origins;

let service: RecordingUpstream;
let nowMs: number;
beforeEach(async () => {
  nowMs = 5_000;
  service = await recordingUpstream({
    answer: (_req, res) => {
      res.writeHead(401, { 'content-type': 'application/problem+json' }).end('{"code":"identity_refused"}');
    },
  });
});
afterEach(() => service.close());

const serving = (echoUrl = service.url) =>
  request(
    createServiceApp({
      logger: createLogger('web', 'silent'),
      health: createHealth({}),
      metrics: createMetrics(),
      errors: { ...commonErrors, ...demoErrors },
      identity: (_req, _res, next) => next(),
      routes: demoRoutes({
        seedFile,
        origins,
        echoPort: Number(new URL(echoUrl).port),
        consoleUrl: 'http://127.0.0.1:9091',
        mailsUrl: 'http://127.0.0.1:8084/mails',
        nowMs: () => nowMs,
      }),
    }),
  );

describe('the demonstration starts only on a machine of its own', () => {
  const loopback = '127.0.0.1';
  test.each<[name: string, NODE_ENV: string | undefined, host: string, origins: string[], problem: string | undefined]>(
    [
      ['on loopback', undefined, loopback, origins, undefined],
      ['on localhost', 'development', 'localhost', ['http://localhost:1'], undefined],
      ['on IPv6', 'test', '::1', ['http://[::1]:8080'], undefined],
      ['in production', 'production', loopback, origins, 'production'],
      ['on every address', undefined, '0.0.0.0', origins, 'HOST is 0.0.0.0'],
      ['on every IPv6 address', undefined, '::', origins, 'HOST is ::'],
      ['on a private address', undefined, '192.168.1.2', origins, 'HOST is 192.168.1.2'],
      ['on a name', undefined, 'web', origins, 'HOST is web'],
      ['for a public origin', undefined, loopback, [origin, 'https://a.test'], 'WEB_PUBLIC_ORIGINS has https://a.test'],
      ['for a name like localhost', undefined, loopback, ['http://localhost.a.test'], 'has http://localhost.a.test'],
    ],
  )('%s', (_name, environment, host, public_, problem) => {
    const problems = demoProblems(environment, host, public_);
    expect(problems).toEqual(problem === undefined ? [] : [expect.stringContaining(problem)]);
    for (const line of problems) expect(line).toMatch(/^WEB_DEMO: .*\. Set WEB_DEMO=0$/);
  });

  test('the process names every problem, and opens no port', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--conditions=source', resolve(import.meta.dirname, 'main.ts')],
      {
        env: {
          NODE_ENV: 'production',
          WEB_DEMO: '1',
          WEB_PORT: '0',
          HOST: '0.0.0.0',
          WEB_PUBLIC_ORIGINS: 'https://a.test',
        },
        encoding: 'utf8',
      },
    );
    expect([status, stdout]).toEqual([1, '']);
    for (const problem of ['in production', 'HOST is 0.0.0.0', 'https://a.test']) expect(stderr).toContain(problem);
  });
});

describe('the page at /', () => {
  test('names the accounts that can log in, their password, and the ways on', async () => {
    const { status, text, headers } = await serving().get('/');
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([
      200,
      'text/html; charset=utf-8',
      'no-cache',
    ]);
    expect(text).toContain('correct horse battery staple');
    expect(text.match(/name="account"/g)).toHaveLength(6);
    expect(text).toContain('admin@globex.test <span class="muted">admin at Globex</span>');
    expect(text).not.toContain('maria.huber@acme.test');
    expect(text).not.toContain('{{');
    expect([...text.matchAll(/<a href="([^"]+)"/g)].map(([, href]) => href)).toEqual([
      '/app/',
      'http://127.0.0.1:9091',
      'http://127.0.0.1:8084/mails',
      '/docs',
      '/app/demo/tour.txt',
    ]);
  });

  test('has a policy that allows its own files alone, and no inline script or style', async () => {
    const { text, headers } = await serving().get('/');
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(text).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:/i);
    const files = [...text.matchAll(/(?:src|href)="(\/app\/demo\/[^"]+)"/g)].map(([, url = '']) => url);
    const types = await Promise.all(
      files.map(async (url) => (await serving().get(url).expect(200)).headers['content-type']?.split(';')[0]),
    );
    expect(new Set(types)).toEqual(new Set(['text/css', 'image/svg+xml', 'text/javascript', 'text/plain']));
  });

  test.each(['app.example.com', '192.168.1.2:8080', 'localhost.example.com', 'a b'])(
    'is not shown where the gateway is reached as %s',
    async (host) => {
      expect((await serving().get('/').set('x-forwarded-host', host)).status).toBe(404);
    },
  );

  test.each(['127.0.0.1:9999', 'localhost:8080', '[::1]:8080'])('is shown at %s', async (host) => {
    expect((await serving().get('/').set('x-forwarded-host', host)).status).toBe(200);
  });
});

describe('the forged request', () => {
  test.each(origins)('has a constant target, method and headers, whatever the page at %s sends', async (from) => {
    const { status, body, headers } = await serving()
      .post('/demo/forgery?target=http://a.test&x=1')
      .set({ origin: from, 'x-user-id': 'mine', cookie: 'a=b', authorization: 'Bearer t', signature: 's' })
      .send({ target: 'http://a.test', method: 'DELETE', headers: { 'x-user-id': 'mine' } });
    expect([status, body, headers['cache-control']]).toEqual([
      200,
      { status: 401, refusal: { code: 'identity_refused' } },
      'no-store',
    ]);
    expect(service.requests).toHaveLength(1);
    const arrived = service.last();
    expect([arrived.method, arrived.target]).toEqual(['GET', '/demo/echo']);
    expect(arrived.headers).toMatchObject({ 'x-user-id': 'the-boss', 'x-user-role': 'admin', 'x-tenant-id': 'acme' });
    for (const name of ['cookie', 'authorization', 'signature', 'origin'])
      expect(arrived.headers[name]).toBeUndefined();
  });

  test.each([
    undefined,
    'null',
    '',
    'https://127.0.0.1:8080',
    'http://127.0.0.1:8081',
    'http://127.0.0.1',
    'http://127.0.0.1:8080/',
    'http://127.0.0.1:80800',
    'HTTP://127.0.0.1:8080',
    'http://localhost:8080.a.test',
    'http://127.0.0.1:8080, http://127.0.0.1:8080',
    'http://a.test',
  ])('is refused with Origin %s, and does not use up the second', async (from) => {
    const web = serving();
    const asked = web.post('/demo/forgery').set({ 'sec-fetch-site': 'same-origin', referer: `${origin}/` });
    const { status, body } = await (from === undefined ? asked : asked.set('origin', from));
    expect([status, body.code, service.requests.length]).toEqual([403, 'cross_site_refused', 0]);
    expect((await web.post('/demo/forgery').set('origin', origin)).status).toBe(200);
  });

  test.each(['get', 'put', 'patch', 'delete'] as const)('is refused with %s', async (method) => {
    const { status, body, headers } = await serving()[method]('/demo/forgery').set('origin', origin);
    expect([status, body.code, headers.allow, service.requests.length]).toEqual([405, 'method_not_allowed', 'POST', 0]);
  });

  test('is sent once a second at most', async () => {
    const web = serving();
    const forge = async () => {
      const { status, body, headers } = await web.post('/demo/forgery').set('origin', origin);
      return [status, body.code, headers['retry-after'], service.requests.length];
    };
    expect(await forge()).toEqual([200, undefined, undefined, 1]);
    nowMs += 999;
    expect(await forge()).toEqual([429, 'rate_limited', '1', 1]);
    nowMs += 1;
    expect(await forge()).toEqual([200, undefined, undefined, 2]);
  });

  test('is 503 if the service does not run', async () => {
    const gone = await recordingUpstream();
    await gone.close();
    const { status, body } = await serving(gone.url).post('/demo/forgery').set('origin', origin);
    expect([status, body.code]).toEqual([503, 'unavailable']);
  });

  test('is 503 if something else answers with a redirect', async () => {
    const other = await recordingUpstream({ answer: (_req, res) => void res.writeHead(302, { location: '/' }).end() });
    const { status } = await serving(other.url).post('/demo/forgery').set('origin', origin);
    expect([status, other.requests.length]).toEqual([503, 1]);
    await other.close();
  });
});
