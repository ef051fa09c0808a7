import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { requireIdentity, userOf } from '@countersign/identity/express';
import { commonErrors, createRouter, readConfig } from '@countersign/process-kit';
import {
  asUser,
  capturingLogger,
  eventually,
  freePorts,
  people,
  spanReceiver,
  type TestGateway,
  type ThrowAwayRedis,
  testGateway,
  throwAwayRedis,
} from '@countersign/testing';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { commonConfig, createServiceApp, startBehindGateway } from '../src/index.ts';

const schema = z.object(commonConfig);
const audience = 'things';
const database = { kind: 'none', ping: async () => undefined, close: async () => {} };

type Service = Awaited<ReturnType<typeof startBehindGateway>>;

describe('a service behind the gateway', () => {
  let gateway: TestGateway;
  const services: Service[] = [];
  /** How many listeners of its end a download has, and from how many on Node warns. */
  const listeners: [count: number, most: number][] = [];
  beforeAll(async () => {
    gateway = await testGateway();
  });
  afterAll(() => gateway.close());
  afterEach(async () => {
    for (const service of services.splice(0)) await service.stop();
  });

  async function start(env: Record<string, string> = {}, log = capturingLogger()): Promise<Service> {
    const service = await startBehindGateway({
      name: audience,
      port: 0,
      config: readConfig(schema, { GATEWAY_KEYS_URL: gateway.keysUrl, ...env }),
      logger: log.logger,
      database,
      createApp(parts) {
        const routes = createRouter();
        routes.get('/me', requireIdentity(), (req, res) => {
          parts.logger.info('asked');
          res.json({ id: userOf(req).userId });
        });
        routes.get('/file', requireIdentity(), async (_req, res) => {
          const sent = pipeline(createReadStream(import.meta.filename), res);
          listeners.push([res.listenerCount('close'), res.getMaxListeners()]);
          await sent;
        });
        return createServiceApp({ ...parts, errors: commonErrors, routes });
      },
    });
    services.push(service);
    return service;
  }
  const signed = (target = '/me') => gateway.sign({ method: 'GET', target, claims: asUser(people.agent), audience });
  /** A request to change something, which the app has no route for. */
  const write = async ({ port }: Service) => {
    const unsigned = { method: 'POST', target: '/me', body: '{}', contentType: 'application/json' };
    const headers = gateway.sign({ ...unsigned, claims: asUser(people.agent), audience });
    const sent = { method: 'POST', headers: { ...headers, 'content-type': unsigned.contentType }, body: unsigned.body };
    return (await fetch(`http://127.0.0.1:${port}/me`, sent)).status;
  };
  const ask = async ({ port }: Service, headers = signed()) =>
    (await fetch(`http://127.0.0.1:${port}/me`, { headers })).status;
  async function readiness({ port }: Service) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
    const { checks } = (await answer.json()) as { checks: Record<string, string> };
    return { status: answer.status, checks };
  }

  test('without Redis, listens once its replay memory has started, and serves the first request', async () => {
    const service = await start();
    expect(await ask(service)).toBe(200);
    expect(await readiness(service)).toMatchObject({ status: 200 });
  });

  test('creates a span only for requests that the gateway signed, as a child of the span in the header', async () => {
    const collector = await spanReceiver();
    const log = capturingLogger();
    const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }, log);
    const traceparent = (trace: string) => ({ traceparent: `00-${trace.repeat(32)}-${'b'.repeat(16)}-01` });
    expect(await ask(service, { ...traceparent('c') })).toBe(401);
    expect(await ask(service, { ...signed(), ...traceparent('a') })).toBe(200);
    // Pending spans are sent before the service stops.
    await Promise.all(services.splice(0).map((one) => one.stop()));
    expect(collector.spans()).toMatchObject([
      { service: audience, name: 'GET /me', kind: 'server', traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16) },
    ]);
    for (const msg of ['asked', 'request']) {
      const line = log.lines().findLast((each) => each.msg === msg);
      expect([msg, line?.trace_id]).toEqual([msg, 'a'.repeat(32)]);
    }
    await collector.close();
  });

  test.each<[string, number, number, RegExp]>([
    ['10 minutes behind', -600_000, 503, /^the clock is (599|600) s behind the gateway's$/],
    ['8 s behind', -8_000, 503, /^the clock is [78] s behind the gateway's$/],
    ['4 s behind', -4_000, 200, /^ok$/],
    ['right', 0, 200, /^ok$/],
    ['30 s ahead', 30_000, 200, /^ok$/],
    ['a minute ahead', 60_000, 503, /^the clock is 6[01] s ahead of the gateway's$/],
  ])('with a clock that is %s, readiness says whether requests are refused', async (_what, skewMs, status, finding) => {
    const service = await start();
    await eventually(async () => expect((await readiness(service)).status).toBe(200));
    const { now } = Date;
    const wrong = jest.spyOn(Date, 'now').mockImplementation(() => now() + skewMs);
    try {
      await eventually(async () => {
        const answer = await readiness(service);
        expect([answer.status, answer.checks.clock]).toEqual([status, expect.stringMatching(finding)]);
      });
    } finally {
      wrong.mockRestore();
    }
    expect((await readiness(service)).status).toBe(200);
  });

  test('a traced download causes no warning of a leak', async () => {
    const collector = await spanReceiver();
    const { port } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    const headers = { ...signed('/file'), traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
    expect((await fetch(`http://127.0.0.1:${port}/file`, { headers })).status).toBe(200);
    const [[count = 0, most = 0] = []] = listeners.splice(0);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThanOrEqual(most);
    await collector.close();
  });

  test('does not start if spans would be sent unencrypted, unless the network is trusted', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'HTTP://collector.test:4318' };
    await expect(start(env)).rejects.toThrow(/^OTEL_EXPORTER_OTLP_ENDPOINT: plain http leaves this machine/);
    await start({ ...env, OTEL_EXPORTER_OTLP_INSECURE: 'true' });
  });

  test('logs once that it has no keys, with the URL, and logs the reason for each refused request', async () => {
    const log = capturingLogger();
    const [port = 0] = await freePorts(1);
    const url = `http://127.0.0.1:${port}/jwks.json`;
    const service = await start({ GATEWAY_KEYS_URL: url }, log);
    expect(await Promise.all(Array.from({ length: 5 }, () => ask(service)))).toEqual([503, 503, 503, 503, 503]);
    expect(log.lines().filter((line) => line.url === url)).toMatchObject([
      { level: 40, reason: 'network', detail: 'ECONNREFUSED' },
    ]);
    const refused = log.lines().filter(({ msg }) => msg === 'request');
    expect(refused).toHaveLength(5);
    for (const line of refused) {
      expect(line).toMatchObject({ code: 'identity_unavailable', fault: 'ours', reason: 'keys_unavailable' });
    }
  });

  (process.env.REDIS_URL ? describe : describe.skip)('with a Redis', () => {
    let redis: ThrowAwayRedis;
    beforeAll(async () => {
      redis = await throwAwayRedis();
      // The replay memory started some time ago.
      const first = await start({ REDIS_URL: redis.url });
      await eventually(async () => expect((await readiness(first)).status).toBe(200));
    });
    afterAll(() => redis.kill());

    test('serves its first request after each of five restarts, even one signed before the restart', async () => {
      for (let round = 0; round < 5; round += 1) {
        const before = signed();
        const service = await start({ REDIS_URL: redis.url });
        expect(await readiness(service)).toMatchObject({ status: 200, checks: { replay_memory: 'ok' } });
        expect([await ask(service), await ask(service, before)]).toEqual([200, 200]);
      }
    });

    test('a service is ready without Redis only if the policy allows it, and within a second after Redis returns', async () => {
      const [refusing, remembering] = [
        await start({ REDIS_URL: redis.url, REPLAY_WITHOUT_REDIS: 'refuse' }),
        await start({ REDIS_URL: redis.url, REPLAY_WITHOUT_REDIS: 'memory' }),
      ];
      await redis.kill();
      expect(await readiness(refusing)).toMatchObject({
        status: 503,
        checks: { replay_memory: 'Redis does not answer' },
      });
      await eventually(async () => expect((await readiness(remembering)).status).toBe(200));
      expect([await ask(refusing), await ask(remembering)]).toEqual([503, 200]);
      await redis.start();
      const backAt = performance.now();
      await eventually(async () => expect(await ask(refusing)).toBe(200));
      // It reconnects within 100 ms. An empty replay memory begins with the next whole second. The remaining time is
      // for a busy machine.
      expect(performance.now() - backAt).toBeLessThan(1_500);
      expect((await readiness(refusing)).status).toBe(200);
    });

    test('by default, a service is ready and serves reads while Redis hangs, refuses writes, and says so', async () => {
      const log = capturingLogger();
      const service = await start({ REDIS_URL: redis.url }, log);
      const consequence = 'a captured GET or HEAD can be replayed once at each other instance';
      expect(log.lines()).toContainEqual(
        expect.objectContaining({ level: 30, onUnavailable: 'reads', msg: expect.stringContaining(consequence) }),
      );
      expect(await write(service)).toBe(404);
      process.kill(redis.pid(), 'SIGSTOP');
      const used = signed();
      try {
        expect([await ask(service, used), await ask(service), await write(service)]).toEqual([200, 200, 503]);
        expect(await ask(service, used)).toBe(401);
        expect(await readiness(service)).toMatchObject({ status: 200, checks: { replay_memory: 'ok' } });
        expect(log.lines()).toContainEqual(
          expect.objectContaining({ level: 40, msg: expect.stringContaining(consequence) }),
        );
        const metrics = await (await fetch(`http://127.0.0.1:${service.port}/metrics`)).text();
        expect(metrics).toContain('gateway_requests_accepted_without_redis_total 2\n');
      } finally {
        process.kill(redis.pid(), 'SIGCONT');
      }
      await eventually(async () => expect(await write(service)).toBe(404));
      expect(await ask(service, used)).toBe(401);
    });

    test('a service that refuses reads is ready within a second after a hung Redis resumes', async () => {
      const service = await start({ REDIS_URL: redis.url, REPLAY_WITHOUT_REDIS: 'refuse' });
      process.kill(redis.pid(), 'SIGSTOP');
      try {
        expect(await ask(service)).toBe(503);
        expect(await readiness(service)).toMatchObject({ status: 503 });
      } finally {
        process.kill(redis.pid(), 'SIGCONT');
      }
      const backAt = performance.now();
      await eventually(async () => expect(await ask(service)).toBe(200));
      expect(performance.now() - backAt).toBeLessThan(1_000);
    });

    test('serves the first request after Redis restarted during an idle period', async () => {
      const service = await start({ REDIS_URL: redis.url });
      expect(await ask(service)).toBe(200);
      await redis.kill();
      await redis.start();
      // Ask another instance, so that this one stays idle.
      const other = await start({ REDIS_URL: redis.url });
      expect((await readiness(other)).status).toBe(200);
      expect(await ask(service)).toBe(200);
    });

    test('starts without Redis, and is ready if it may read', async () => {
      await redis.kill();
      const reading = await start({ REDIS_URL: redis.url });
      expect([(await readiness(reading)).status, await ask(reading), await write(reading)]).toEqual([200, 200, 503]);
      const service = await start({ REDIS_URL: redis.url, REPLAY_WITHOUT_REDIS: 'refuse' });
      expect(await readiness(service)).toMatchObject({ status: 503, checks: { gateway_keys: 'ok' } });
      await redis.start();
      await eventually(async () => expect((await readiness(service)).status).toBe(200));
      expect(await ask(service)).toBe(200);
    });
  });
});
