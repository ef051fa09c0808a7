import { execFileSync } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { eventually, type RecordedRequest, rawRequest, type StartedProcess } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type GatewayProcess, gatewayProcess, loadOn } from './gateway-process.ts';
import { parseAnswer } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const workers = 3;

describe(`a gateway with ${workers} workers`, () => {
  let place: GatewayProcess;
  let primary: StartedProcess;
  // The service waits for this before it answers at `/slow`.
  let slow: Promise<void>;
  let goOn: () => void;
  beforeAll(async () => {
    // The load lasts longer than the drain delay, even on a busy machine.
    const answer = async ({ target }: RecordedRequest, res: ServerResponse) => {
      if (target.endsWith('/slow')) await slow;
      res.end('{}');
    };
    place = await gatewayProcess({ upstream: { answer }, env: { DRAIN_DELAY_MS: '6000' } });
    primary = await place.start('--workers', String(workers));
  });
  afterAll(() => place.close());

  const pids = () =>
    execFileSync('ps', ['-o', 'pid=', '--ppid', String(primary.pid)])
      .toString()
      .trim()
      .split(/\s+/)
      .map(Number);
  /** Sends a request over a new connection. */
  const ask = async (path: string, token?: string) => {
    const headers = { connection: 'close', ...(token !== undefined && { authorization: `Bearer ${token}` }) };
    const { statusCode, body } = await request(`${place.url}${path}`, { headers });
    const text = await body.text();
    return statusCode === 200 ? 200 : (JSON.parse(text).code as string);
  };
  const logged = () =>
    primary
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  const metric = async (name: string) => {
    const text = await (await fetch(`${place.adminUrl}/metrics`)).text();
    return [...text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (.*)$`, 'gm'))].map(([, labels, value]) => ({
      labels,
      value: Number(value),
    }));
  };
  const allServe = () =>
    eventually(async () => expect(await metric('countersign_workers')).toMatchObject([{ value: workers }]), 30_000);

  test('distributes connections among them, and serves none in the primary process', async () => {
    const token = await place.issuer.accessToken();
    for (let count = 0; count < 4 * workers; count += 1) expect(await ask('/v1/things/1', token)).toBe(200);
    await eventually(() => {
      const servedBy = logged().filter(({ msg, route }) => msg === 'request' && route === 'things');
      expect([...new Set(servedBy.map(({ pid }) => pid))].sort()).toEqual(pids().sort());
    });
  });

  test('refuses a revoked token in every worker', async () => {
    const token = await place.issuer.accessToken({ sid: 's-1' });
    for (let count = 0; count < workers; count += 1) expect(await ask('/v1/things/1', token)).toBe(200);
    place.issuerServer.revoke(feedItem('session', { sid: 's-1' }));
    await eventually(async () => {
      for (let count = 0; count < 2 * workers; count += 1)
        expect(await ask('/v1/things/1', token)).toBe('token_revoked');
    });
  });

  test('sums their metrics, and serves what any of them reports', async () => {
    const before = await metric('countersign_request_duration_seconds_count\\{route="open",status="200"\\}');
    for (let count = 0; count < 7; count += 1) await ask('/v1/open/1');
    expect(before).toEqual([]);
    await eventually(async () => {
      const counted = await metric('countersign_request_duration_seconds_count');
      expect(counted.filter(({ labels }) => labels?.includes('route="open"'))).toMatchObject([{ value: 7 }]);
    });
    expect(await metric('countersign_config_info')).toMatchObject([{ value: workers }]);
    for (const path of ['/config', '/routes', '/upstreams', '/.well-known/jwks.json', '/healthz', '/readyz']) {
      const answer = await fetch(place.adminUrl + path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.headers.get('content-type')).toMatch(/json/);
    }
    expect((await fetch(`${place.adminUrl}/metrics.json`)).status).toBe(404);
    const broken = parseAnswer(await rawRequest(Number(new URL(place.adminUrl).port), 'NONSENSE\r\n\r\n'));
    expect(broken).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test('adds up all of them in the console, and shows each alone', async () => {
    const token = await place.issuer.accessToken();
    for (let count = 0; count < 4 * workers; count += 1) expect(await ask('/v1/things/1', token)).toBe(200);
    const read = async (path: string) => JSON.parse(await (await fetch(place.adminUrl + path)).text());
    const { processes } = await read('/api/workers');
    expect(processes.map(({ worker }: { worker: number }) => worker)).toEqual([1, 2, 3]);
    const requestsOf = async (query: string) => (await read(`/api/routes/things${query}`)).route.requests;
    const each = await Promise.all(['?worker=1', '?worker=2', '?worker=3'].map(requestsOf));
    expect(await requestsOf('')).toBe(each.reduce((sum, count) => sum + count, 0));
    expect(Math.min(...each)).toBeGreaterThan(0);
    expect((await fetch(`${place.adminUrl}/api/routes?worker=4`)).status).toBe(404);
    const unknown = await fetch(`${place.adminUrl}/console/routes?worker=4`);
    expect([unknown.status, unknown.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
    expect(await unknown.text()).toMatch(/Worker 4 is not serving\.[\s\S]*$/);
    expect((await fetch(`${place.adminUrl}/console/requests?outcome=odd`)).status).toBe(422);
    expect((await fetch(`${place.adminUrl}/api/requests?usr=user-1`)).status).toBe(422);
    // `:name` of the path begins with this name of the query.
    expect((await fetch(`${place.adminUrl}/console/routes/things?n=open`)).status).toBe(200);
    const { requests } = await read('/api/requests');
    const after = await read(`/api/requests?since=${requests[3].at}&until=${requests[0].at}`);
    expect(after.requests.length).toBeGreaterThan(0);
    expect(after.requests.length).toBeLessThan(requests.length);
    const text = await (await fetch(`${place.adminUrl}/console/routes?worker=2`)).text();
    const [, main = ''] = text.split('<main');
    const links = [...main.matchAll(/href="([^"]*)"/g)].map(([, to]) => to ?? '');
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((to) => !/[?;]worker=2(#|$)/.test(to))).toEqual([]);
    expect(main).toContain('role="search"><input type="hidden" name="worker" value="2">');
    expect(await (await fetch(place.adminUrl)).text()).toContain('<option value="3"');
    const body = new URLSearchParams({ method: 'GET', path: '/v1/things/1', role: 'agent' });
    const explained = await fetch(`${place.adminUrl}/console/explain`, { method: 'POST', body });
    expect([explained.status, (await explained.text()).includes('x-user-role')]).toEqual([200, true]);
  });

  test('applies a new configuration in all of them on SIGHUP, and no bad one', async () => {
    const hash = async () => (await metric('countersign_config_info')).map(({ labels, value }) => `${labels} ${value}`);
    const [before = ''] = await hash();
    place.write(place.yaml.replace('/v1/open/**', '/v1/opened/**'));
    process.kill(primary.pid, 'SIGHUP');
    await eventually(async () => {
      const [now, ...others] = await hash();
      expect(others).toEqual([]);
      expect(now).toMatch(new RegExp(`^hash="[0-9a-f]{64}" ${workers}$`));
      expect(now).not.toBe(before);
    });
    for (let count = 0; count < workers; count += 1) expect(await ask('/v1/opened/1')).toBe(200);
    // Limits without redis are valid for one process, but not for several.
    place.write(
      place.yaml.replace('auth: public }', 'auth: public, limits: [{ requests: 1, per: 1m, by: address }] }'),
    );
    process.kill(primary.pid, 'SIGHUP');
    await eventually(() => expect(primary.output()).toContain('\\"redis\\" is required with 3 workers'));
    expect(await metric('countersign_config_last_reload_successful')).toMatchObject([{ value: 0 }]);
    expect(await ask('/v1/opened/1')).toBe(200);
    place.write(place.yaml);
    await eventually(async () => expect(await hash()).toEqual([before]));
  });

  test('keeps serving while it restarts a killed worker', async () => {
    const [victim = 0] = pids();
    process.kill(victim, 'SIGKILL');
    await eventually(async () => expect(pids()).not.toContain(victim));
    for (let count = 0; count < 2 * workers; count += 1) expect(await ask('/v1/open/1')).toBe(200);
    await eventually(() => expect(pids()).toHaveLength(workers));
    // The new worker is starting, and a SIGHUP before its handler is set would end it.
    process.kill(primary.pid, 'SIGHUP');
    await allServe();
    expect(await metric('countersign_worker_restarts_total')).toMatchObject([{ value: 1 }]);
    expect((await fetch(`${place.adminUrl}/readyz`)).status).toBe(200);
  });

  test('drains all of them on SIGTERM, and no request fails', async () => {
    const token = await place.issuer.accessToken();
    const load = loadOn(place.url, { path: '/v1/things/1', perSecond: 200, token });
    await eventually(() => expect(load.outcomes['200']).toBeGreaterThan(200));
    const ended = primary.stop();
    await eventually(async () => expect((await fetch(`${place.adminUrl}/readyz`)).status).toBe(503));
    await load.stop();
    expect(Object.keys(load.outcomes)).toEqual(['200']);
    expect(await ended).toBe(0);
    expect(logged().filter(({ msg }) => msg === 'stopped')).toHaveLength(workers + 1);
  });

  test('finishes requests and exits when the primary process is killed', async () => {
    slow = new Promise((resolve) => {
      goOn = resolve;
    });
    primary = await place.start('--workers', '2');
    const orphans = pids();
    expect(orphans).toHaveLength(2);
    const answers = Promise.all(Array.from({ length: 4 }, () => ask('/v1/open/slow')));
    await eventually(() => expect(place.upstream.underWay()).toBe(4));
    process.kill(primary.pid, 'SIGKILL');
    await eventually(() => expect(logged().filter(({ msg }) => msg === 'draining')).toHaveLength(2), 30_000);
    goOn();
    expect(await answers).toEqual([200, 200, 200, 200]);
    await eventually(() => {
      for (const pid of orphans) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    }, 30_000);
    expect(logged().filter(({ msg }) => msg === 'stopped')).toHaveLength(2);
  });
});
