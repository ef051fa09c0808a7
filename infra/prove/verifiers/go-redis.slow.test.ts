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
  const write = (url: string, { headers, method, body } = signWrite()) =>
    outcome(url, headers, { method, body: String(body) });
  const untilAccepted = () =>
    eventually(async () => expect([await outcome(first), await outcome(second)]).toEqual([200, 200]));
  const untilShared = () =>
    eventually(async () => expect([await write(first), await write(second)]).toEqual([405, 405]));
  try {
    await untilShared();
    // Writes, because reads are accepted while Redis does not answer, and on a busy machine it may be late.
    let accepted = 0;
    for (const once of Array.from({ length: 50 }, signWrite)) {
      const copies = await Promise.all(
        Array.from({ length: 10 }, (_, index) => write(index % 2 === 0 ? first : second, once)),
      );
      const handled = copies.filter((one) => one === 405);
      expect(handled.length).toBeLessThanOrEqual(1);
      expect(copies).toHaveLength(handled.length + copies.filter((one) => /^replay/.test(String(one))).length);
      accepted += handled.length;
    }
    expect(accepted).toBeGreaterThan(0);
    const used = sign();
    expect(await outcome(first, used)).toBe(200);
    await redis.kill();
    expect([await write(first), await write(second)]).toEqual(['replay_unavailable', 'replay_unavailable']);
    const during = sign();
    expect([await outcome(first, during), await outcome(first, during)]).toEqual([200, 'replayed']);
    expect(await outcome(first, used)).toBe('replayed');
    await redis.start();
    await untilShared();
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
