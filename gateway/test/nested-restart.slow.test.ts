import { eventually, type TestClock, testClock } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { loadConfig } from '../src/config/load.ts';
import { type RunningGateway, startGateway } from '../src/start-gateway.ts';
import { type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';
import { callingServices, type NestedCall, sendCall, signCall } from './nested-caller.ts';

/** The longest time in which new replay memory refuses: it begins at the next second, and a clock may be 5 s ahead. */
const quietMs = 6_000;

describe('after a restart without Redis', () => {
  const services = callingServices();
  let clock: TestClock;
  let gateway: GatewayUnderTest;
  let running: RunningGateway;

  beforeEach(async () => {
    clock = testClock(Math.floor(Date.now() / 1000) * 1000);
    gateway = await gatewayUnderTest({ nowMs: clock.nowMs, edits: services.edits });
    running = gateway.running;
    clock.advance(quietMs);
  });
  afterEach(async () => {
    await running.stop();
    await gateway.close();
  });

  /** Starts the gateway anew with the same file and keys, and with empty replay memory. */
  async function restart(): Promise<void> {
    await running.stop();
    const env = { HASHED_SECRET: gateway.hmacSecret };
    const options = { env, logger: gateway.log.logger, drainDelayMs: 0, shutdownGraceMs: 2_000, nowMs: clock.nowMs };
    running = await startGateway(loadConfig(gateway.file, env), options);
    await eventually(async () => expect((await running.health.ready()).ok).toBe(true));
  }
  const sign = (aheadSec: number, call: NestedCall = {}) =>
    signCall(services.keyOf('things'), clock.nowMs() + aheadSec * 1000, call);
  const send = (headers: ReturnType<typeof sign>) => sendCall({ ...gateway, running }, {}, headers);
  async function handedOut(): Promise<string | undefined> {
    const headers = { authorization: `Bearer ${await gateway.issuer.accessToken()}`, host: 'gateway.test' };
    const { statusCode, body } = await request(`http://127.0.0.1:${running.ports.public}/v1/things/1`, { headers });
    await body.dump();
    expect(statusCode).toBe(200);
    return gateway.upstream.last().headers['txn-token'];
  }

  describe.each([
    ['for no user', async () => ({})],
    ['for a user', async () => ({ txnToken: await handedOut() })],
  ])('a nested call %s', (_name, callOf) => {
    test.each([0, 2, 4, 5])('of a service whose clock is %d s ahead is not accepted twice', async (aheadSec) => {
      const headers = sign(aheadSec, await callOf());
      expect((await send(headers)).status).toBe(200);
      await restart();
      const before = gateway.upstream.requests.length;
      for (let second = 0; second <= quietMs / 1000; second += 1) {
        const { status, code, headers: answered } = await send(headers);
        expect([status, code, answered['retry-after']]).toEqual([503, 'unavailable', '1']);
        clock.advance(1_000);
      }
      expect(gateway.upstream.requests.length).toBe(before);
    });
  });

  test.each([-5, 0, 5])(
    'a call for a request that began after it is accepted, with a clock at %d s',
    async (aheadSec) => {
      await restart();
      clock.advance(1_000);
      expect((await send(sign(aheadSec, { txnToken: await handedOut() }))).status).toBe(200);
    },
  );

  test('a call without a user is 503 until all older calls have expired, then accepted', async () => {
    await restart();
    clock.advance(quietMs - 1);
    const { status, code } = await send(sign(0));
    expect([status, code]).toEqual([503, 'unavailable']);
    clock.advance(1);
    expect((await send(sign(0))).status).toBe(200);
  });
});
