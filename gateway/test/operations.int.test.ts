import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Answers } from '@countersign/console';
import { eventually, rawRequest } from '@countersign/testing';
import { describe, expect, test } from '@jest/globals';
import { errorTable } from '../src/errors.ts';
import { gatewayUnderTest, parseAnswer } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';
import { thingsAt } from './kit/raw-service.ts';

describe('a gateway in operation', () => {
  test('logs one line for each request, with every decision and no secret', async () => {
    const gateway = await gatewayUnderTest();
    const token = await gateway.issuer.accessToken();
    await gateway.ask('/v1/things/1?secret=query', { token, headers: { cookie: 'a=cookie-value' } });
    await gateway.ask('/v1/nothing');
    await gateway.raw('NONSENSE\r\n\r\n');
    await eventually(() => expect(gateway.log.lines().filter(({ msg }) => msg === 'request')).toHaveLength(3));
    const [good, lost, broken] = gateway.log.lines().filter(({ msg }) => msg === 'request');
    expect(good).toMatchObject({
      request_id: gateway.upstream.last().headers['x-request-id'],
      method: 'GET',
      path: '/v1/things/1',
      status: 200,
      route: 'things',
      rule: 'auth: required',
      upstream: 'things',
      identity: 'user',
      user_id: '01890a5d-ac96-774b-bcce-b302099a8057',
      ip: '127.0.0.1',
      duration_ms: expect.any(Number),
      decided_ms: expect.any(Number),
      upstream_ms: expect.any(Number),
    });
    expect(lost).toMatchObject({ status: 404, code: 'no_route', fault: 'caller' });
    expect(broken).toMatchObject({ status: 400, code: 'invalid_request' });
    const text = gateway.log.text();
    for (const secret of [token, 'secret=query', 'cookie-value', gateway.upstream.last().headers.signature ?? '']) {
      expect(text).not.toContain(secret);
    }
    await gateway.close();
  });

  test.each([
    ['without a token', '/v1/admin', undefined, 401, 'auth: required'],
    ['in the wrong role', '/v1/admin', 'agent', 403, 'allow.roles: admin'],
    ['in the right role', '/v1/admin', 'admin', 200, 'allow.roles: admin'],
    ['of another tenant', '/v1/tenants/elsewhere/settings', 'agent', 403, 'allow.tenant: :tenantId'],
    ['within a limit', '/v1/limited', undefined, 200, 'auth: public'],
    ['within its own limit', '/v1/limited-user', 'agent', 200, 'auth: required'],
    ['where there is no route', '/v1/nothing', undefined, 404, undefined],
  ])('logs the rule that decided: a caller %s', async (_name, path, role, status, rule) => {
    const gateway = await gatewayUnderTest();
    const token = role && (await gateway.issuer.accessToken({ role }));
    const answer = await gateway.ask(path, token === undefined ? {} : { token });
    expect(answer.status).toBe(status);
    await eventually(() => expect(gateway.log.lines()).toContainEqual(expect.objectContaining({ msg: 'request' })));
    expect(gateway.log.lines().find(({ msg }) => msg === 'request')?.rule).toBe(rule);
    await gateway.close();
  });

  test.each<[string, string, string, string | undefined]>([
    ['over its limit', '/v1/limited', 'rate_limited', 'limits: address'],
    ['whose service is down', '/v1/admin', 'upstream_unreachable', undefined],
    ['whose body is too large', '/v1/things/1', 'payload_too_large', undefined],
  ])('logs only the rule that decided: a caller %s', async (_name, path, code, rule) => {
    const gateway = await gatewayUnderTest({ edits: [thingsAt(['http://127.0.0.1:1'])] });
    const token = await gateway.issuer.accessToken({ role: 'admin' });
    const body = { method: 'POST', body: Buffer.alloc(65 * 1024) } as const;
    const ask = () => gateway.ask(path, { token, ...(code === 'payload_too_large' && body) });
    await eventually(async () => expect((await ask()).code).toBe(code));
    const refused = () => gateway.log.lines().find((line) => line.code === code);
    await eventually(() => expect(refused()).toBeDefined());
    expect(refused()?.rule).toBe(rule);
    const { requests } = (await (await gateway.admin(`/api/requests?code=${code}`)).json()) as Answers['/api/requests'];
    expect(requests[0]?.rule).toBe(rule ?? null);
    const page = await (await gateway.admin(`/console/requests/${requests[0]?.id}`)).text();
    expect(page.includes('Rule:')).toBe(rule !== undefined);
    await gateway.close();
  });

  test('logs a path with line breaks on one line', async () => {
    const gateway = await gatewayUnderTest();
    await gateway.raw('GET /v1/\x1b[31mred HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n');
    await gateway.raw('GET /v1/"},{"level":60 HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n');
    await eventually(() => expect(gateway.log.lines().filter(({ msg }) => msg === 'request')).toHaveLength(2));
    expect(gateway.log.text()).not.toContain('\x1b');
    await gateway.close();
  });

  test('counts requests, refusals by code, keys and revocations', async () => {
    const gateway = await gatewayUnderTest();
    await gateway.ask('/v1/things/1', { token: await gateway.issuer.accessToken() });
    await gateway.ask('/v1/things/1');
    await eventually(async () => {
      const metrics = await (await gateway.admin('/metrics')).text();
      expect(metrics).toMatch(/countersign_request_duration_seconds_count\{route="things",status="200"\} 1/);
      expect(metrics).toMatch(/countersign_refusals_total\{code="token_missing",fault="caller"\} 1/);
      expect(metrics).toMatch(/countersign_jwks_keys\{issuer="http:\/\/issuer.test"\} 1/);
      expect(metrics).toMatch(/countersign_jwks_fetches_total\{issuer="http:\/\/issuer.test"\} 1/);
      expect(metrics).toMatch(/countersign_revocations_staleness_seconds\{issuer="http:\/\/issuer.test"\} [\d.]+/);
      expect(metrics).toMatch(/countersign_token_cache_lookups_total\{result="miss"\} 1/);
      expect(metrics).toMatch(/countersign_revocations_max_staleness_seconds\{issuer="http:\/\/issuer.test"\} 30/);
      // Prometheus' rate() does not see the first refusal of a series that begins with it.
      expect(metrics).toMatch(/countersign_refusals_total\{code="identity_refused",fault="configuration"\} 0/);
      expect(metrics).toMatch(/countersign_signatures_total\{upstream="things",algorithm="agreed"\} 0/);
    });
    const page = readFileSync(join(import.meta.dirname, '../../docs/operations/metrics.md'), 'utf8');
    const types = (await (await gateway.admin('/metrics')).text()).matchAll(/^# TYPE (countersign_\S+) (\S+)/gm);
    const all = [...types].map(([, name = '', type]) => ({ name, type }));
    expect(all.filter(({ name }) => !page.includes(`| \`${name}\` |`))).toEqual([]);
    expect(all.filter(({ name, type }) => name.endsWith('_total') !== (type === 'counter'))).toEqual([]);
    await gateway.close();
  });

  test('labels metrics by what gateway.yaml and the error table name, never by what a request says', async () => {
    const gateway = await gatewayUnderTest();
    const { issuer } = gateway;
    const names = (kind: string) => [...gateway.yaml.matchAll(new RegExp(kind, 'gm'))].map(([, name]) => name);
    const allowed: Record<string, readonly unknown[]> = {
      route: [...names('{ name: ([\\w-]+),'), 'none'],
      upstream: [...names('^  (\\w+): \\{ targets'), 'none'],
      issuer: [issuer.issuer],
      code: Object.keys(errorTable),
      fault: Object.values(errorTable).map(({ fault }) => fault),
      status: ['200', '400', '401', '403', '404', '405', '421', '429'],
    };
    const askWith = async (mark: string) => {
      const claims = { user_id: mark, sub: mark, client_id: mark, sid: mark, jti: mark, tenant_id: mark };
      const token = await issuer.accessToken(claims);
      const headers = { 'x-request-id': mark, 'user-agent': mark, origin: `http://${mark}.test`, cookie: `${mark}=1` };
      const paths = ['things', 'open', 'tenants', 'maybe', 'admin', 'limited', 'limited-user', 'nothing', mark];
      for (const path of paths) await gateway.ask(`/v1/${path}/${mark}?a=${mark}`, { token, headers });
      for (const path of paths) await gateway.ask(`/v1/${path}?${mark}`, { token, headers, method: 'POST' });
      await gateway.ask(`/v1/things/${mark}`, { token: await issuer.accessToken({ iss: `https://${mark}.test` }) });
      await gateway.ask(`/v1/things/${mark}`, { token: `${mark}.${mark}.${mark}` });
      await gateway.raw(`GET /v1/things/${mark} HTTP/1.1\r\nHost: ${mark}.test\r\n<close>\r\n\r\n`);
      await gateway.raw(`GET /v1/%zz${mark} HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n`);
      const text = await (await gateway.admin('/metrics')).text();
      return text.split('\n').filter((line) => line.startsWith('countersign_'));
    };
    await askWith('first-mark');
    const lines = await askWith('other-mark');
    expect(lines.filter((line) => /-mark|\/v1/i.test(line))).toEqual([]);
    for (const [label, values] of Object.entries(allowed)) {
      const seen = new Set(lines.flatMap((line) => new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1] ?? []));
      expect(seen.size).toBeGreaterThan(0);
      expect([label, [...seen].filter((value) => !values.includes(value))]).toEqual([label, []]);
    }
    // More requests of the same kinds add no series.
    const seriesOf = (text: readonly string[]) => text.map((line) => line.replace(/ \S+$/, ''));
    expect(seriesOf(await askWith('third-mark'))).toEqual(seriesOf(lines));
    await gateway.close();
  });

  test("shows the state of each issuer's revocations", async () => {
    const gateway = await gatewayUnderTest();
    gateway.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => {
      const { issuers } = (await (await gateway.admin('/upstreams')).json()) as { issuers: unknown };
      const revocations = { ready: true, held: 1, staleness_ms: expect.any(Number), refused_before: null };
      expect(issuers).toEqual([{ issuer: 'http://issuer.test', revocations }]);
    });
    expect(await (await gateway.admin('/metrics')).text()).not.toMatch(/^countersign_revocations_refused_before/m);
    await gateway.close();
  });

  test('serves no admin path on the other listeners', async () => {
    const gateway = await gatewayUnderTest();
    const internal = `http://127.0.0.1:${gateway.running.ports.internal}`;
    const paths = ['/metrics', '/healthz', '/readyz', '/config', '/routes', '/upstreams'];
    for (const path of paths) expect((await fetch(internal + path)).status).toBe(404);
    for (const path of paths) {
      const { status } = await gateway.ask(path, { headers: { 'x-forwarded-for': '127.0.0.1' } });
      expect(status).toBe(404);
    }
    await gateway.close();
  });

  test.each([
    ['malformed bytes', 'NONSENSE\r\n\r\n', 400, 'invalid_request'],
    [
      'an endless head',
      `GET /healthz HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'invalid_host'],
    ['two Hosts', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n', 400, 'invalid_host'],
    [
      'an expectation',
      'GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n',
      417,
      'expectation_failed',
    ],
  ])('answers %s on the admin listener with a problem and a request id', async (_what, bytes, status, code) => {
    const gateway = await gatewayUnderTest();
    const answer = parseAnswer(await rawRequest(gateway.running.ports.admin, bytes));
    expect(answer).toMatchObject({ status, code });
    expect(JSON.parse(answer.body).request_id).toBe(answer.headers['x-request-id']);
    await gateway.close();
  });

  test('stops gracefully: readiness fails first, requests in progress finish, connections close', async () => {
    const waiting: ServerResponse[] = [];
    const gateway = await gatewayUnderTest({ upstream: { answer: (_request, res) => void waiting.push(res) } });
    const token = await gateway.issuer.accessToken();
    const inFlight = gateway.raw(`GET /v1/things/1 HTTP/1.1\r\n<host>\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    const idle = connect(gateway.port, '127.0.0.1');
    await once(idle, 'connect');
    await eventually(() => expect(waiting).toHaveLength(1));
    gateway.running.health.drain();
    expect((await gateway.admin('/readyz')).status).toBe(503);
    const closing = gateway.close();
    await eventually(() =>
      expect(fetch(`http://127.0.0.1:${gateway.port}/`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } }),
    );
    waiting[0]?.end('done');
    const { status, body, headers } = await inFlight;
    expect([status, body, headers.connection]).toEqual([200, 'done', 'close']);
    await closing;
    idle.destroy();
  });

  test('does not start on a port in use, and leaves nothing open', async () => {
    const gateway = await gatewayUnderTest();
    await expect(
      gatewayUnderTest({ edits: [['public: "127.0.0.1:0"', `public: "127.0.0.1:${gateway.port}"`]] }),
    ).rejects.toMatchObject({
      name: 'StartupError',
      message: expect.stringContaining('is already in use'),
    });
    await gateway.close();
  });
});
