import { eventually, freePorts, type StartedProcess, startProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Load, loadOn } from './gateway-process.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { thingsAt } from './kit/raw-service.ts';

// Far longer than a test, so that a recovery in this suite did not wait for the cool-down.
const breaker = 'breaker: { failureRate: 0.5, minimum: 10, window: 10s, cooldown: 10m }';
const health = 'health: { path: /healthz, interval: 5s }';
const anyHost = ['publicOrigins: ["http://gateway.test"]', 'publicOrigins: []'] as const;
const soonLate = ['response: 2s', 'response: 500ms'] as const;

/** A service process that answers everything, or only its health check. */
const program = `
  const { createServer } = require('node:http');
  const [port, answersAll] = process.argv.slice(1);
  createServer((request, response) => {
    if (request.url === '/healthz') console.log('checked');
    if (answersAll === 'true' || request.url === '/healthz') response.end('ok');
  }).listen(Number(port), '127.0.0.1', () => console.log('listening'));`;

const checksOf = (service: StartedProcess) => service.output().split('checked').length - 1;

describe('an open breaker with health checks', () => {
  let port: number;
  let service: StartedProcess;
  let gateway: GatewayUnderTest;
  let loaded: Load | undefined;
  beforeEach(async () => {
    port = (await freePorts(1))[0] as number;
  });
  afterEach(async () => {
    await loaded?.stop();
    loaded = undefined;
    await gateway.close();
    await service.stop('SIGKILL');
  });

  async function startService(answersAll = true): Promise<void> {
    service = startProcess({ args: ['-e', program, String(port), String(answersAll)], env: {} });
    await service.waitFor(/listening/);
  }
  const startGateway = async (...more: string[]) => {
    gateway = await gatewayUnderTest({
      edits: [thingsAt([`http://127.0.0.1:${port}`], [breaker, ...more].join(', ')), soonLate, anyHost],
    });
  };
  const circuit = async () => {
    const { upstreams } = (await (await gateway.admin('/upstreams')).json()) as {
      upstreams: { name: string; breaker: { state: string; opened: number } }[];
    };
    const found = upstreams.find(({ name }) => name === 'things');
    if (found === undefined) throw new Error('no upstream things');
    return found.breaker;
  };
  const ask = async () => (await gateway.ask('/v1/open/1')).status;

  test.each<[name: string, hurt: () => unknown, heal: () => unknown]>([
    [
      'was stopped and continues',
      () => process.kill(service.pid, 'SIGSTOP'),
      () => process.kill(service.pid, 'SIGCONT'),
    ],
    ['was killed and starts again', () => service.stop('SIGKILL'), () => startService()],
  ])('lets requests through as soon as a service that %s answers again', async (_name, hurt, heal) => {
    await startService();
    await startGateway(health);
    const load = loadOn(`http://127.0.0.1:${gateway.port}`, {
      path: '/v1/things/1',
      perSecond: 50,
      token: await gateway.issuer.accessToken(),
    });
    loaded = load;
    await eventually(() => expect(load.outcomes['200'] ?? 0).toBeGreaterThan(20));
    await hurt();
    await eventually(async () => expect((await circuit()).state).toBe('open'));
    expect(await ask()).toBe(503);
    await heal();
    await eventually(async () => expect((await circuit()).state).toBe('closed'));
    expect(await ask()).toBe(200);
  });

  test.each([
    ['in a second with health checks', health, '1'],
    ['when the cool-down ends without them', 'retry: { attempts: 0 }', '600'],
  ])('sends Retry-After: %s', async (_name, settings, retryAfter) => {
    await startService();
    await startGateway(settings);
    expect(await ask()).toBe(200);
    process.kill(service.pid, 'SIGSTOP');
    await Promise.all(Array.from({ length: 10 }, ask));
    const { status, code, headers } = await gateway.raw('GET /v1/open/1 HTTP/1.1\r\n<host>\r\n<close>\r\n\r\n');
    expect([status, code, headers['retry-after']]).toEqual([503, 'upstream_circuit_open', retryAfter]);
  });

  test('waits for the cool-down if a service answers only its checks', async () => {
    await startService(false);
    await startGateway(health);
    await Promise.all(Array.from({ length: 10 }, ask));
    await eventually(async () => expect((await circuit()).state).toBe('half-open'));
    const trials = await Promise.all(Array.from({ length: 5 }, ask));
    expect(trials.toSorted()).toEqual([503, 503, 504, 504, 504]);
    const checksBefore = checksOf(service);
    await eventually(async () => expect(checksOf(service)).toBeGreaterThan(checksBefore + 2));
    expect(await circuit()).toMatchObject({ state: 'open', opened: 2 });
  });
});
