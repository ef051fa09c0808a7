import { setImmediate as turn } from 'node:timers/promises';
import { throwAwayRedis } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { type EventGateway, eventWorld } from './event-gateway.ts';
import { gatewayUnderTest } from './gateway-under-test.ts';
import { feedItem } from './issuer-server.ts';

const events = 1_000;

const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;

/** Milliseconds until a token is refused. */
async function untilRefused(ask: () => Promise<boolean>): Promise<number> {
  const since = performance.now();
  while (!(await ask())) await turn();
  return performance.now() - since;
}

test('from the answer to the first refusal, events take at most 1.5 times as long as our own feed', async () => {
  const own = await gatewayUnderTest();
  const feed: number[] = [];
  for (let at = 0; at < events; at += 1) {
    const token = await own.issuer.accessToken({ sid: `s-${at}` });
    expect((await own.ask('/v1/things/1', { token })).status).toBe(200);
    own.issuerServer.revoke(feedItem('session', { sid: `s-${at}` }));
    feed.push(await untilRefused(async () => (await own.ask('/v1/things/1', { token })).status === 401));
  }
  await own.close();

  const redis = await throwAwayRedis();
  const world = await eventWorld();
  const [a, b] = [
    await world.start({ journal: 'a', redis: redis.url }),
    await world.start({ journal: 'b', redis: redis.url }),
  ];
  const isRefused = (gateway: EventGateway, token: string) => async () => (await gateway.ask(token))[0] === 401;
  const receiving: number[] = [];
  const other: number[] = [];
  for (let at = 0; at < events; at += 1) {
    const ids = { sub: `u-${at}`, sid: `s-${at}` };
    const token = await world.token(ids);
    for (const gateway of [a, b]) expect((await gateway.ask(token))[0]).toBe(200);
    const isLogout = at % 2 === 0;
    const sub_id = { format: 'iss_sub', iss: world.issuer.issuer, sub: ids.sub };
    const answer = isLogout
      ? await a.logOut(await world.logoutToken(ids))
      : await a.push(await world.signal({ sub_id }));
    expect(answer.status).toBe(isLogout ? 200 : 202);
    // Alternating, because two clients in one process would slow each other down.
    const [gateway, times] = at % 4 < 2 ? [a, receiving] : [b, other];
    times.push(await untilRefused(isRefused(gateway, token)));
    for (const each of [a, b]) await untilRefused(isRefused(each, token));
  }
  await world.close();
  await redis.kill();
  const worst = (all: readonly number[]) => Math.max(...all);
  process.stdout.write(
    `median ms: feed ${median(feed).toFixed(1)}, events ${median(receiving).toFixed(1)}, through Redis ${median(other).toFixed(1)}; ` +
      `worst ms: feed ${worst(feed).toFixed(0)}, events ${worst(receiving).toFixed(0)}, through Redis ${worst(other).toFixed(0)}\n`,
  );
  expect(median(receiving)).toBeLessThan(1.5 * median(feed));
  expect(median(other)).toBeLessThan(1.5 * median(feed));
  expect(worst(other)).toBeLessThan(1_000);
}, 600_000);
