import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, type ThrowAwayRedis, throwAwayRedis } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { createKey } from '../src/keys/key-files.ts';
import { type EventWorld, eventSecret, eventWorld } from './event-gateway.ts';

describe('several gateways with one Redis', () => {
  let redis: ThrowAwayRedis;
  let world: EventWorld;
  beforeEach(async () => {
    redis = await throwAwayRedis();
    world = await eventWorld();
  });
  afterEach(async () => {
    await world.close();
    await redis.kill();
  });

  const start = (journal: string) => world.start({ journal, redis: redis.url });
  const refusedWithin = async (gateway: Awaited<ReturnType<typeof start>>, token: string, ms: number) => {
    const since = performance.now();
    await eventually(async () => expect(await gateway.ask(token)).toEqual([401, 'token_revoked']), ms);
    return performance.now() - since;
  };

  test('refuse a token within a second of the response, whichever gateway got the event', async () => {
    const [a, b] = [await start('a'), await start('b')];
    const tokens = await Promise.all(['s-1', 's-2'].map((sid) => world.token({ sid })));
    const other = await world.token({ sid: 's-3' });
    for (const token of tokens)
      for (const gateway of [a, b]) expect(await gateway.ask(token)).toEqual([200, undefined]);
    expect((await a.logOut(await world.logoutToken({ sid: 's-1' }))).status).toBe(200);
    expect(await refusedWithin(b, tokens[0] ?? '', 2_000)).toBeLessThan(1_000);
    expect((await b.logOut(await world.logoutToken({ sid: 's-2' }))).status).toBe(200);
    expect(await refusedWithin(a, tokens[1] ?? '', 2_000)).toBeLessThan(1_000);
    for (const gateway of [a, b]) expect(await gateway.ask(other)).toEqual([200, undefined]);
  });

  test('a revoke call at one gateway is in force, and known by its id and content, at the other', async () => {
    const events = `{ revoke: { secret: "\${SSF_SECRET}" } }`;
    const [a, b] = await Promise.all(['a', 'b'].map((journal) => world.start({ journal, redis: redis.url, events })));
    if (a === undefined || b === undefined) throw new Error('two gateways');
    const at = new Date(world.nowMs()).toISOString();
    const call = (gateway: typeof a, user: string) => {
      const headers = { authorization: `Bearer ${eventSecret}` };
      const body = JSON.stringify({ id: 'call-1', user, at });
      return gateway.post('/.well-known/countersign/revoke/sso', headers, body);
    };
    const token = await world.token();
    expect((await call(a, 'u-1')).body).toBe('{"result":"applied"}');
    expect(await refusedWithin(b, token, 2_000)).toBeLessThan(1_000);
    expect((await call(b, 'u-1')).body).toBe('{"result":"repeated"}');
    expect((await call(b, 'u-2')).status).toBe(409);
  });

  test('a gateway that starts after the event refuses the token from its first request', async () => {
    const a = await start('a');
    const token = await world.token();
    expect((await a.push(await world.signal())).status).toBe(202);
    const b = await start('b');
    expect(await b.ask(token)).toEqual([401, 'token_revoked']);
  });

  test('an event is 503 while Redis is down, and everywhere once it is back, even if it is never sent again', async () => {
    const [a, b] = [await start('a'), await start('b')];
    const token = await world.token();
    await redis.kill();
    await eventually(async () => expect((await a.logOut(await world.logoutToken())).status).toBe(503));
    // The event is on one gateway's disk, and that gateway already refuses the token.
    expect(await a.ask(token)).toEqual([401, 'token_revoked']);
    expect(await b.ask(token)).toEqual([200, undefined]);
    await redis.start();
    await refusedWithin(b, token, 5_000);
  });

  test('a Redis that lost its data is filled from the journals before a new gateway is ready', async () => {
    const [a, b] = [await start('a'), await start('b')];
    const token = await world.token();
    expect((await a.push(await world.signal())).status).toBe(202);
    await refusedWithin(b, token, 2_000);
    // The gateway that got the event has stopped. The other gateway has the event on its disk too.
    await a.stop();
    rmSync(join(world.home, 'a'), { recursive: true });
    await redis.kill();
    await redis.start();
    const c = await start('c');
    expect(await c.ask(token)).toEqual([401, 'token_revoked']);
    expect(await b.ask(token)).toEqual([401, 'token_revoked']);
  });

  test('an entry that no gateway wrote ends nothing', async () => {
    const a = await start('a');
    expect(
      (await a.push(await world.signal({ sub_id: { format: 'iss_sub', iss: world.issuer.issuer, sub: 'u-9' } })))
        .status,
    ).toBe(202);
    const client = new Redis(redis.url);
    const [key = ''] = await client.keys('*:entries');
    const [value = ''] = await client.hvals(key);
    await client.hset(key, 'user u-1', value.replace('u-9', 'u-1'));
    await client.zadd(key.replace(/entries$/, 'order'), 1_000, 'user u-1');
    await client.hset(key.replace(/entries$/, 'log'), 'seq', 1_000);
    client.disconnect();
    await eventually(() => expect(a.log.text()).toContain('ignoring revocations of an unknown kind'));
    expect(await a.ask(await world.token())).toEqual([200, undefined]);
  });

  test('entries outlive the key that signed them', async () => {
    const a = await start('a');
    const token = await world.token();
    expect((await a.push(await world.signal())).status).toBe(202);
    await a.stop();
    createKey('ed25519', join(world.home, 'keys'), Math.floor(Date.now() / 1000) - 30);
    const again = await start('a');
    const b = await start('b');
    for (const gateway of [again, b]) expect(await gateway.ask(token)).toEqual([401, 'token_revoked']);
  });
});
