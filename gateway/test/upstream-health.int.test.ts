import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Answers } from '@countersign/console';
import { eventually } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { rawService, thingsAt } from './kit/raw-service.ts';

const health = 'health: { path: /healthz, interval: 100ms, timeout: 500ms, unhealthyAfter: 2, healthyAfter: 2 }';

type Checked = {
  server: Server;
  url: string;
  requests: number;
  checks: number;
  status: number | 'hang';
  seen: string[];
};

/** A service whose health the test sets. */
async function checkedService(): Promise<Checked> {
  const server = createServer((request, response) => {
    if (request.url !== '/healthz') {
      checked.requests += 1;
      response.end('ok');
      return;
    }
    checked.checks += 1;
    checked.seen = request.rawHeaders;
    if (checked.status !== 'hang') response.writeHead(checked.status, { location: '/elsewhere' }).end();
  });
  const checked: Checked = { server, url: '', requests: 0, checks: 0, status: 200, seen: [] };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  checked.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return checked;
}

type Described = {
  upstreams: {
    name: string;
    breaker: unknown;
    pending: number;
    targets: {
      origin: string;
      healthy: boolean;
      checks: string;
      pending: number;
      last_error: { code: string } | null;
    }[];
  }[];
};

const described = async (gateway: GatewayUnderTest) => {
  const { upstreams } = (await (await gateway.admin('/upstreams')).json()) as Described;
  const things = upstreams.find(({ name }) => name === 'things');
  if (things === undefined) throw new Error('no upstream things');
  return things;
};

describe('health checks', () => {
  let good: Checked;
  let other: Checked;
  let gateway: GatewayUnderTest;
  let token: string;
  beforeAll(async () => {
    [good, other] = [await checkedService(), await checkedService()];
    gateway = await gatewayUnderTest({ edits: [thingsAt([good.url, other.url], health)] });
    token = await gateway.issuer.accessToken();
  });
  afterAll(async () => {
    await gateway.close();
    for (const { server } of [good, other]) {
      server.close();
      server.closeAllConnections();
    }
  });
  beforeEach(async () => {
    good.status = 200;
    other.status = 200;
    await eventually(async () =>
      expect((await described(gateway)).targets.map(({ checks }) => checks)).toEqual(['passing', 'passing']),
    );
    good.requests = 0;
    other.requests = 0;
  });

  const askMany = async (times: number) => {
    for (let count = 0; count < times; count += 1) {
      expect((await gateway.ask('/v1/things/1', { token })).status).toBe(200);
    }
  };
  const isOut = (healthy: boolean[]) =>
    eventually(async () => expect((await described(gateway)).targets.map((target) => target.healthy)).toEqual(healthy));

  test.each<[number | 'hang', string]>([
    [503, 'health check: status 503'],
    [500, 'health check: status 500'],
    [302, 'health check: status 302'],
    [404, 'health check: status 404'],
    ['hang', 'health check: no response in time'],
  ])('that answer %s remove a target, and good ones restore it', async (status, reason) => {
    other.status = status;
    await isOut([true, false]);
    expect((await described(gateway)).targets[1]?.last_error).toMatchObject({ code: reason });
    await askMany(4);
    expect([good.requests, other.requests]).toEqual([4, 0]);
    other.status = 200;
    await isOut([true, true]);
    await askMany(4);
    expect(other.requests).toBe(2);
  });

  test('that fail at all targets remove none: all are tried', async () => {
    good.status = 503;
    other.status = 503;
    await isOut([false, false]);
    await askMany(4);
    expect([good.requests, other.requests]).toEqual([2, 2]);
  });

  test('identify the gateway, and carry no user identity', () => {
    expect(good.seen.join('\n')).toContain('countersign-health');
    expect(good.seen.join('\n')).not.toMatch(/identity|signature|authorization/i);
  });

  test('keep their state over a reload that changes other things', async () => {
    other.status = 503;
    await isOut([true, false]);
    await gateway.reload([thingsAt([good.url, other.url], health), ['/v1/maybe', '/v1/perhaps']]);
    expect((await described(gateway)).targets.map(({ checks }) => checks)).toEqual(['passing', 'failing']);
  });

  test('are in the metrics, with the other target metrics', async () => {
    other.status = 503;
    await isOut([true, false]);
    const metrics = await (await gateway.admin('/metrics')).text();
    expect(metrics).toContain(`countersign_upstream_target_healthy{upstream="things",target="${good.url}"} 1`);
    expect(metrics).toContain(`countersign_upstream_target_healthy{upstream="things",target="${other.url}"} 0`);
    expect(metrics).toContain(`countersign_upstream_target_pending{upstream="things",target="${good.url}"} 0`);
    expect(metrics).toMatch(/countersign_upstream_target_failed_checks_total\{[^}]*\} [1-9]/);
  });

  test('end with the gateway, or with the upstream', async () => {
    await gateway.reload([thingsAt([good.url])]);
    const { checks } = good;
    await eventually(async () => expect((await described(gateway)).targets).toHaveLength(1));
    await askMany(20);
    expect(good.checks).toBeLessThanOrEqual(checks + 1);
    await gateway.reload([thingsAt([good.url, other.url], health)]);
  });
});

describe('without health checks, an upstream whose process is killed', () => {
  let reads = 0;
  const read = async (gateway: GatewayUnderTest) => {
    reads += 1;
    const { upstreams } = (await (await gateway.admin('/api/upstreams')).json()) as Answers['/api/upstreams'];
    const metrics = await (await gateway.admin('/metrics')).text();
    // A rendered page is reused for a second by its URL.
    const overview = await (await gateway.admin(`/?${'&'.repeat(reads)}`)).text();
    const [, gauge] = /^countersign_upstream_target_healthy\{upstream="things".*\} (.*)$/m.exec(metrics) ?? [];
    const things = upstreams.find(({ name }) => name === 'things');
    const { state } = things ?? {};
    expect(things?.targets[0]?.state).toEqual(state);
    return { state: state?.state, since: state?.since, why: state?.why, gauge, calm: overview.includes('All is well') };
  };

  test('is failing, with the time of the first failure, until a request succeeds', async () => {
    const service = await checkedService();
    const { port } = service.server.address() as AddressInfo;
    const gateway = await gatewayUnderTest({ edits: [thingsAt([service.url])] });
    expect((await gateway.ask('/v1/open/1')).status).toBe(200);
    await eventually(async () =>
      expect(await read(gateway)).toMatchObject({ state: 'not checked', gauge: '1', calm: true }),
    );
    service.server.close();
    service.server.closeAllConnections();
    expect((await gateway.ask('/v1/open/1')).code).toBe('upstream_unreachable');
    const first = await read(gateway);
    expect(first).toMatchObject({ state: 'failing', gauge: '0', calm: false });
    expect(first.why).toMatch(/^upstream_unreachable; 1 of 1 failed; last success 2\d{3}-/);
    // Three failures in a row eject it.
    for (let count = 2; count <= 3; count += 1) await gateway.ask('/v1/open/1');
    const later = await read(gateway);
    expect(later).toEqual({ ...first, why: first.why?.replace('1 of 1', '3 of 3') });
    service.server.listen(port, '127.0.0.1');
    await once(service.server, 'listening');
    expect((await gateway.ask('/v1/open/1')).status).toBe(200);
    expect(await read(gateway)).toMatchObject({ state: 'not checked', why: null, gauge: '1', calm: true });
    await gateway.close();
    service.server.close();
    service.server.closeAllConnections();
  });
});

test.each([
  ['its replay store is down', 503, 'x-identity-unavailable', 'replay_unavailable', '1'],
  ['it has just started', 401, 'x-identity-refused', 'created_before_start', '1'],
  ['its own source gives no reason', 503, 'x-identity-unavailable', 'unavailable', '1'],
  ["it cannot fetch the gateway's keys", 503, 'x-identity-unavailable', 'keys_unavailable', '0'],
  ['its clock is wrong', 401, 'x-identity-refused', 'expired', '0'],
])('a target that refuses because %s: the metric of its health', async (_why, status, header, reason, gauge) => {
  const gateway = await gatewayUnderTest({
    upstream: { answer: (_request, res) => res.writeHead(status, { [header]: reason }).end() },
  });
  const answers = await Promise.all([1, 2, 3, 4].map(() => gateway.ask('/v1/open/1')));
  for (const { code } of answers) expect(code).toMatch(/^identity_(refused|unavailable)$/);
  const metrics = await (await gateway.admin('/metrics')).text();
  expect(metrics).toMatch(new RegExp(`^countersign_upstream_target_healthy\\{upstream="things".*\\} ${gauge}$`, 'm'));
  await gateway.close();
});

describe('GET /upstreams', () => {
  let closers: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closers) await close();
    closers = [];
  });

  test('shows pending requests, the breaker, and the last error', async () => {
    const service = await rawService(() => {});
    const gateway = await gatewayUnderTest({
      edits: [thingsAt([service.url], 'breaker: { minimum: 1, cooldown: 10s }'), ['response: 2s', 'response: 500ms']],
    });
    closers = [() => gateway.close(), () => service.close()];
    expect(await described(gateway)).toMatchObject({
      breaker: { state: 'closed' },
      pending: 0,
      targets: [{ healthy: true, checks: 'none', last_error: null }],
    });
    const asked = gateway.ask('/v1/open/1');
    await eventually(async () => expect((await described(gateway)).pending).toBe(1));
    expect((await asked).code).toBe('upstream_timeout');
    expect(await described(gateway)).toMatchObject({
      breaker: { state: 'open', opened: 1, refused: 0 },
      pending: 0,
      targets: [{ pending: 0, last_error: { code: 'upstream_timeout' } }],
    });
    const metrics = await (await gateway.admin('/metrics')).text();
    expect(metrics).toContain('countersign_upstream_breaker_state{upstream="things"} 2');
    expect(metrics).toContain('countersign_upstream_breaker_opened_total{upstream="things"} 1');
    expect((await fetch(`http://127.0.0.1:${gateway.port}/upstreams`)).status).not.toBe(200);
  });

  test("keeps an unchanged upstream's state across a reload", async () => {
    const service = await rawService(() => {});
    const edits = [
      thingsAt([service.url], 'breaker: { minimum: 1, cooldown: 10s }'),
      ['response: 2s', 'response: 300ms'],
    ] as const;
    const gateway = await gatewayUnderTest({ edits });
    closers = [() => gateway.close(), () => service.close()];
    expect((await gateway.ask('/v1/open/1')).code).toBe('upstream_timeout');
    await gateway.reload([...edits, ['/v1/maybe', '/v1/perhaps']]);
    expect((await gateway.ask('/v1/open/1')).code).toBe('upstream_circuit_open');
    await gateway.reload([thingsAt([service.url]), ['response: 2s', 'response: 300ms']]);
    expect((await gateway.ask('/v1/open/1')).code).toBe('upstream_timeout');
  });
});
