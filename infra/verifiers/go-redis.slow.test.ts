import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testGateway } from '@countersign/identity/testing';
import {
  eventually,
  freePorts,
  recordingUpstream,
  type StartedProcess,
  startProcess,
  throwAwayRedis,
} from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { go, hasGo } from './build-go.ts';

(hasGo ? test : test.skip)('two instances in Go that share a Redis accept each request once', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-go-redis-'));
  const command = join(home, 'service');
  go('examples/go', 'build', '-o', command, './several-instances');
  const redis = await throwAwayRedis();
  const gateway = testGateway({ audience: 'my-service' });
  const keys = await recordingUpstream({ answer: (_request, res) => void res.end(JSON.stringify(gateway.jwks)) });
  const ports = await freePorts(2);
  const instances: StartedProcess[] = ports.map((port) =>
    startProcess({
      command,
      args: [],
      env: { PORT: String(port), GATEWAY_KEYS_URL: keys.url, REDIS_ADDRESS: new URL(redis.url).host },
    }),
  );
  const [first = '', second = ''] = ports.map((port) => `http://127.0.0.1:${port}/hello`);
  const sign = () => gateway.signedRequest({ path: '/hello' }).headers;
  const outcome = async (url: string, headers = sign()) => {
    const { status, headers: answered } = await fetch(url, { headers });
    return answered.get('x-identity-refused') ?? answered.get('x-identity-unavailable') ?? status;
  };
  const untilAccepted = () =>
    eventually(async () => expect([await outcome(first), await outcome(second)]).toEqual([204, 204]));
  try {
    await untilAccepted();
    const once = sign();
    expect([await outcome(first, once), await outcome(second, once), await outcome(first, once)]).toEqual([
      204,
      'replayed',
      'replayed',
    ]);
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, sign).map((headers) =>
        Promise.all(Array.from({ length: 10 }, (_, index) => outcome(index % 2 === 0 ? first : second, headers))),
      ),
    );
    for (const copies of outcomes) expect(copies.sort()).toEqual([204, ...Array(9).fill('replayed')]);
    const used = sign();
    expect(await outcome(first, used)).toBe(204);
    await redis.kill();
    expect([await outcome(first), await outcome(second)]).toEqual(['replay_unavailable', 'replay_unavailable']);
    // Empty, so it cannot know what was used.
    await redis.start();
    expect(await outcome(second, used)).toBe('created_before_start');
    await untilAccepted();
  } finally {
    for (const instance of instances) await instance.stop();
    await keys.close();
    await redis.kill();
    rmSync(home, { recursive: true });
  }
});
