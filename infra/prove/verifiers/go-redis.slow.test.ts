import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testGateway } from '@countersign/identity/testing';
import { eventually, recordingUpstream, throwAwayRedis } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { go, hasGo } from '../../stacks/languages.ts';
import { startService } from '../../stacks/service-process.ts';

(hasGo ? test : test.skip)('two instances in Go that share a Redis accept each request once', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-go-redis-'));
  const command = join(home, 'service');
  go('examples/go', 'build', '-o', command, '.');
  const redis = await throwAwayRedis();
  const gateway = testGateway({ audience: 'my-service' });
  const keys = await recordingUpstream({ answer: (_request, res) => void res.end(JSON.stringify(gateway.jwks)) });
  const env = { GATEWAY_KEYS_URL: keys.url, REDIS_ADDRESS: new URL(redis.url).host };
  const start = () => startService({ command, args: () => [], env });
  const instances = [await start(), await start()];
  const [first = '', second = ''] = instances.map(({ url }) => `${url}/hello`);
  const sign = () => gateway.signedRequest({ path: '/hello' }).headers;
  const signWrite = () => gateway.signedRequest({ path: '/hello', method: 'POST', json: {} });
  const outcome = async (url: string, headers = sign(), init: RequestInit = {}) => {
    const { status, headers: answered } = await fetch(url, { ...init, headers });
    return answered.get('x-identity-refused') ?? answered.get('x-identity-unavailable') ?? status;
  };
  const untilAccepted = () =>
    eventually(async () => expect([await outcome(first), await outcome(second)]).toEqual([200, 200]));
  try {
    await untilAccepted();
    const once = sign();
    expect([await outcome(first, once), await outcome(second, once), await outcome(first, once)]).toEqual([
      200,
      'replayed',
      'replayed',
    ]);
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, sign).map((headers) =>
        Promise.all(Array.from({ length: 10 }, (_, index) => outcome(index % 2 === 0 ? first : second, headers))),
      ),
    );
    for (const copies of outcomes) expect(copies.sort()).toEqual([200, ...Array(9).fill('replayed')]);
    const used = sign();
    expect(await outcome(first, used)).toBe(200);
    await redis.kill();
    const write = async (url: string) => {
      const { headers, method, body } = signWrite();
      return outcome(url, headers, { method, body: String(body) });
    };
    expect([await write(first), await write(second)]).toEqual(['replay_unavailable', 'replay_unavailable']);
    const during = sign();
    expect([await outcome(first, during), await outcome(first, during)]).toEqual([200, 'replayed']);
    expect(await outcome(first, used)).toBe('replayed');
    await redis.start();
    await eventually(async () => expect([await write(first), await write(second)]).toEqual([405, 405]));
    expect([await outcome(first, during), await outcome(first, used)]).toEqual(['replayed', 'replayed']);
    process.kill(redis.pid(), 'SIGSTOP');
    const hungAt = performance.now();
    const reads = await Promise.all(Array.from({ length: 100 }, () => outcome(first)));
    expect(reads).toEqual(Array(100).fill(200));
    expect(performance.now() - hungAt).toBeLessThan(2_000);
    process.kill(redis.pid(), 'SIGCONT');
    await untilAccepted();
  } finally {
    for (const instance of instances) await instance.stop();
    await keys.close();
    await redis.kill();
    rmSync(home, { recursive: true });
  }
});
