import { throwAwayRedis } from '@countersign/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type GatewayUnderTest, gatewayUnderTest } from '../../../gateway/test/gateway-under-test.ts';
import { thingsAt } from '../../../gateway/test/kit/raw-service.ts';
import { type PythonServer, startPythonService } from './python-service.ts';
import { type Relayed, type TamperingRelay, tamperingRelay } from './tampering-relay.ts';

const signed = 100;
const copies = 10;

let gateway: GatewayUnderTest;
let relay: TamperingRelay;
let token: string;

beforeAll(async () => {
  relay = await tamperingRelay();
  gateway = await gatewayUnderTest({ edits: [thingsAt([relay.url])] });
  token = await gateway.issuer.accessToken();
});
afterAll(async () => {
  await gateway?.close();
  await relay?.close();
});

/** Has the gateway send requests, and returns them. Their nonces are still unused. */
async function captureSome(): Promise<Relayed[]> {
  const captured: Relayed[] = [];
  relay.tamper((request) => {
    captured.push(request);
    return { ...request, target: '//' };
  });
  await Promise.all(Array.from({ length: signed }, (_, count) => gateway.ask(`/v1/things/${count}`, { token })));
  relay.tamper(undefined);
  return captured;
}

test.each<[PythonServer, string, number]>([
  ['FastAPI on uvicorn', 'memory', 1],
  ['Flask on gunicorn', 'memory', 1],
  ['FastAPI on uvicorn', 'Redis', 2],
  ['Django on gunicorn', 'Redis', 2],
])(
  '%s, with nonces in %s and %i processes: of 100 requests that arrive 10 times, one of each passes',
  async (name, ...how) => {
    const [store, workers] = how;
    const redis = store === 'Redis' ? await throwAwayRedis() : undefined;
    const { internal } = gateway.running.ports;
    const env = {
      GATEWAY_KEYS_URL: `http://127.0.0.1:${internal}/.well-known/jwks.json`,
      ...(redis && { REDIS_URL: redis.url }),
    };
    const service = await startPythonService(name, env, workers);
    try {
      // The first claim begins the memory in Redis at the next second, so the requests that count come later. Until
      // then, each process decides about reads alone, so only a write shows that Redis remembers.
      relay.sendTo(service.port);
      let warm = 0;
      while (warm !== 200) warm = (await gateway.ask('/v1/things/1', { token, method: 'POST' })).status;
      const captured = await captureSome();
      expect(captured).toHaveLength(signed);
      const answers = await Promise.all(
        captured.map((one) => Promise.all(Array.from({ length: copies }, () => relay.deliver(one)))),
      );
      for (const ofOne of answers) {
        const outcomes = ofOne.map(({ status, headers }) => headers.get('x-identity-refused') ?? status).sort();
        expect(outcomes).toEqual([200, ...Array(copies - 1).fill('replayed')]);
      }
    } finally {
      await service.stop();
      await redis?.kill();
    }
  },
);

test('several processes that each remember nonces are a fault, and let nothing through', async () => {
  const { internal } = gateway.running.ports;
  const env = { GATEWAY_KEYS_URL: `http://127.0.0.1:${internal}/.well-known/jwks.json` };
  const service = await startPythonService('Flask on gunicorn', env, 2);
  try {
    relay.sendTo(service.port);
    expect((await gateway.ask('/v1/things/1', { token })).status).toBe(500);
    expect(service.output()).toContain('use RedisReplay');
  } finally {
    await service.stop();
  }
});
