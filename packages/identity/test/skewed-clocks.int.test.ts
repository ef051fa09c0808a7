import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import {
  createServiceVerifier,
  emptyContentDigest,
  IdentityRefused,
  newNonce,
  newRequestId,
  prepareIdentity,
  redisReplay,
  signRequest,
  signServiceRequest,
} from '../src/index.ts';
import { audience, edKey, user } from './forge.ts';
import { verifierAt } from './verifier.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const url = process.env.REDIS_URL;
const describeOnRedis = url === undefined ? describe.skip : describe;
const lifetimeSec = 30;
const path = { path: '/v1/complaints', query: '' };

/**
 * Delivers the request to an instance whose clock shows `nowMs`. Resolves to `accepted` or the reason of the refusal.
 */
type Instance = (nowMs: number) => Promise<string>;

async function verdictOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'accepted';
  } catch (error) {
    if (error instanceof IdentityRefused) return error.reason;
    throw error;
  }
}

describeOnRedis('instances that share a Redis and have different clocks', () => {
  let redis: Redis;
  let prefix: string;
  beforeAll(async () => {
    redis = new Redis(url ?? '', { enableOfflineQueue: false, lazyConnect: true });
    await redis.connect();
  });
  afterAll(() => redis.disconnect());

  /** Shortens the expiry of every key in this test, instead of waiting. */
  async function elapse(ms: number): Promise<void> {
    for (const key of await redis.keys(`${prefix}*`)) {
      const leftMs = await redis.pttl(key);
      if (leftMs >= 0) await redis.pexpire(key, Math.max(0, leftMs - ms));
    }
  }

  /** The store of an instance whose own memory is empty. */
  const anotherStore = (gatewayAheadSec = 0) =>
    redisReplay({ call: (...command) => redis.call(...command), options: redis.options }, { prefix, gatewayAheadSec });

  /** One request, delivered to instances of a service. */
  function signedRequest(createdSec: number): Instance {
    const headers = signRequest(
      edKey,
      prepareIdentity(user, audience),
      { method: 'GET', ...path, requestId: newRequestId() },
      { createdSec, lifetimeSec, nonce: newNonce() },
    );
    return (nowMs) => {
      const verifier = verifierAt(Math.floor(nowMs / 1000), { replay: anotherStore() });
      return verdictOf(verifier.verify({ method: 'GET', target: path.path, rawHeaders: headers.flat() }));
    };
  }

  /** One nested call, delivered to gateways. */
  function nestedCall(createdSec: number): Instance {
    const headers = signServiceRequest(
      { keyid: 'complaint-1', privateKey },
      { audience: 'gateway-1', method: 'GET', ...path, contentDigest: emptyContentDigest },
      { createdSec, lifetimeSec, nonce: newNonce() },
    );
    return (nowMs) => {
      const verifier = createServiceVerifier({
        audience: 'gateway-1',
        findKey: () => ({ serviceId: 'complaint-service', publicKey }),
        replay: anotherStore(),
        nowMs: () => nowMs,
      });
      const head = async () => verifier.verifyHead({ method: 'GET', target: path.path, rawHeaders: headers.flat() });
      return verdictOf(head().then((verified) => verified.complete(new Uint8Array(0))));
    };
  }

  const skews = [
    [5, -5],
    [5, 0],
    [0, -5],
    [3, -2],
    [1, 0],
    [-5, 5],
  ] as const;
  const cases = skews.flatMap(([first, second]) => [
    ['request', first, second, signedRequest] as const,
    ['nested call', first, second, nestedCall] as const,
  ]);

  test.each(cases)(
    'a %s accepted by an instance %i s off is refused by one %i s off until it expires',
    async (_what, first, second, sign) => {
      prefix = `countersign:test:${randomUUID()}:`;
      // After the second in which this memory starts.
      let trueMs = (Math.floor(Date.now() / 1000) + 10) * 1000;
      const instance = sign(trueMs / 1000);
      expect(await instance(trueMs + first * 1000)).toBe('accepted');
      const verdicts = new Set<string>();
      for (let elapsedSec = 0; elapsedSec < lifetimeSec + 27; elapsedSec += 1) {
        verdicts.add(await instance(trueMs + second * 1000));
        await elapse(1_000);
        trueMs += 1_000;
      }
      expect([...verdicts]).toEqual(['replayed', 'expired']);
      // Redis keeps nonces no longer than needed.
      expect((await redis.keys(`${prefix}*`)).filter((key) => !key.endsWith('since'))).toEqual([]);
    },
  );

  test.each([2, 4, 5])(
    'a nonce that Redis forgot is refused at another instance, with a gateway clock %i s ahead and gatewayAheadSec 5',
    async (aheadSec) => {
      prefix = `countersign:test:${randomUUID()}:`;
      const [redisSec] = (await redis.time()).map(Number) as [number];
      const claim = {
        audience,
        keyid: 'ed-1',
        nonce: 'n',
        createdSec: redisSec + aheadSec,
        keepUntilSec: redisSec + aheadSec + 45,
        nowSec: redisSec,
      };
      await redis.set(`${prefix}since`, redisSec - 10);
      expect(await anotherStore(5).claim(claim)).toBe('fresh');
      // Has the effect of a restart, without harming other users of this server.
      await redis.del(...(await redis.keys(`${prefix}*`)));
      expect(await anotherStore(5).claim(claim)).toBe('before_start');
    },
  );
});
