import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import {
  IdentityUnavailable,
  type NonceClaim,
  type RedisForReplay,
  type RedisReplayOptions,
  redisReplay,
} from '../src/index.ts';
import { type Draft, genuine, nowSec, type Pair } from './forge.ts';
import { deliver, verifierAt } from './verifier.ts';

const secondsNow = () => Math.floor(Date.now() / 1000);
/** A claim created 2 s from now, after the second in which a store starts. */
const claim = (nonce: string, createdSec = secondsNow() + 2) => ({
  audience: 'a',
  nonce,
  createdSec,
  keepUntilSec: createdSec + 35,
  nowSec: createdSec,
});

const reasonOf = ({ reason }: IdentityUnavailable) => reason;

/** A Redis client whose replies the test chooses. */
function fakeRedis(answer: () => Promise<unknown>): RedisForReplay & { calls: number; status: string } {
  const fake = {
    calls: 0,
    status: 'ready',
    options: { enableOfflineQueue: false },
    call() {
      fake.calls += 1;
      return answer();
    },
  };
  return fake;
}

test('refuses a client that queues commands while offline', () => {
  const queueing = new Redis({ lazyConnect: true });
  expect(() => redisReplay(queueing)).toThrow('enableOfflineQueue');
  expect(() => redisReplay({ call: async () => 'fresh' })).toThrow(TypeError);
  queueing.disconnect();
});

describe('while Redis is unavailable', () => {
  const gone = () => Promise.reject(new Error('Connection is closed.'));
  const silent = () => new Promise<never>(() => {});

  test('throws IdentityUnavailable by default', async () => {
    const replay = redisReplay(fakeRedis(gone));
    await expect(replay.claim(claim('n'))).rejects.toThrow(IdentityUnavailable);
  });

  test.each([
    ['reads', 'fresh', 'refused'],
    [undefined, 'fresh', 'refused'],
    ['memory', 'fresh', 'fresh'],
    ['refuse', 'refused', 'refused'],
    ['read' as 'reads', 'refused', 'refused'],
  ] as const)('with onUnavailable: %s, a read is %s and a write %s', async (onUnavailable, read, write) => {
    for (const answer of [gone, async () => 'before_start']) {
      const wire = fakeRedis(answer);
      const replay = redisReplay(wire, { ...(onUnavailable && { onUnavailable }), retryAfterMs: 20 });
      const outcome = async (given: NonceClaim) => {
        const verdict = await Promise.resolve(replay.claim(given)).catch((error: Error) => error);
        return verdict instanceof IdentityUnavailable || verdict === 'before_start' ? 'refused' : verdict;
      };
      expect(await outcome({ ...claim('r'), isRead: true })).toBe(read);
      expect(await outcome({ ...claim('w'), isRead: false })).toBe(write);
      expect(await outcome(claim('unknown'))).toBe(write);
      expect(replay.acceptedAlone).toBe({ fresh: 1, refused: 0 }[read] + 2 * { fresh: 1, refused: 0 }[write]);
      // This instance accepts no nonce twice, also when Redis is back and does not know it.
      const answers = fakeRedis(async () => 'fresh');
      wire.call = answers.call;
      await eventually(async () => expect(await replay.claim(claim(randomUUID()))).toBe('fresh'));
      expect(await replay.claim({ ...claim('r'), isRead: true })).toBe('replayed');
      wire.status = 'end';
    }
  });

  test('what was used before Redis failed is refused at the same instance', async () => {
    let works = true;
    const wire = fakeRedis(async () => (works ? 'fresh' : gone()));
    const replay = redisReplay(wire);
    expect(await replay.claim({ ...claim('n'), isRead: true })).toBe('fresh');
    works = false;
    expect(await replay.claim({ ...claim('n'), isRead: true })).toBe('replayed');
    wire.status = 'end';
  });

  const webSocket = { upgrade: { protocol: 'websocket', key: 'dGhlIHNhbXBsZSBub25jZQ==' } };
  test.each<[method: string, draft: Draft, override: Pair[], outcome: string]>([
    ['GET', {}, [], 'accepted'],
    ['GET', { body: '{}', digested: true }, [], 'accepted'],
    ['HEAD', {}, [], 'accepted'],
    ['GET', webSocket, [], 'replay_unavailable'],
    ...['OPTIONS', 'QUERY', 'POST', 'PUT', 'PATCH', 'DELETE'].map(
      (method) => [method, {}, [], 'replay_unavailable'] as [string, Draft, Pair[], string],
    ),
    ['POST', {}, [['x-http-method-override', 'GET']], 'replay_unavailable'],
  ])('a signed %s (%j, %j) is %s by default', async (method, draft, override, outcome) => {
    const wire = fakeRedis(gone);
    const verifier = verifierAt(nowSec, { replay: redisReplay(wire, { nowMs: () => 0 }) });
    const message = genuine({ method, ...draft });
    const delivered = deliver(verifier, { ...message, headers: [...message.headers, ...override] });
    expect(await delivered.then(() => 'accepted', reasonOf)).toBe(outcome);
    wire.status = 'end';
  });

  test("uses the instance's own memory with onUnavailable: 'memory'", async () => {
    const replay = redisReplay(fakeRedis(gone), { onUnavailable: 'memory' });
    expect(await replay.claim(claim('n'))).toBe('fresh');
    expect(await replay.claim(claim('n'))).toBe('replayed');
  });

  test('its own memory begins at the next whole second, so a restart without Redis allows no replay', async () => {
    const replay = redisReplay(fakeRedis(gone), { onUnavailable: 'memory', nowMs: () => 1_000_500 });
    expect(await replay.claim(claim('n', 1000))).toBe('before_start');
    expect(await replay.claim(claim('m', 1001))).toBe('fresh');
  });

  test("uses its own memory, with onUnavailable: 'memory', for requests older than the memory of an emptied Redis", async () => {
    const wire = fakeRedis(async () => 'before_start');
    const replay = redisReplay(wire, { onUnavailable: 'memory', nowMs: () => 1_000_500 });
    expect(await replay.claim(claim('n', 1001))).toBe('fresh');
    expect(await replay.claim(claim('n', 1001))).toBe('replayed');
    expect(await replay.claim(claim('m', 1000))).toBe('before_start');
    expect(await redisReplay(wire).claim(claim('n', 1001))).toBe('before_start');
  });

  test('asks Redis about requests created before this process started', async () => {
    const replay = redisReplay(
      fakeRedis(async () => 'replayed'),
      { nowMs: () => 1_000_500 },
    );
    expect(await replay.claim(claim('n', 1000))).toBe('replayed');
  });

  test('waits for timeoutMs once when Redis hangs, then probes in the background while requests fail at once', async () => {
    const states: string[] = [];
    const wire = fakeRedis(silent);
    const options: RedisReplayOptions = {
      onUnavailable: 'memory',
      timeoutMs: 100,
      retryAfterMs: 20,
      onStateChange: (state) => states.push(state),
    };
    const replay = redisReplay(wire, options);
    expect(await replay.claim(claim('a'))).toBe('fresh');
    const startedAt = performance.now();
    for (let n = 0; n < 50; n += 1) expect(await replay.claim(claim(`b${n}`))).toBe('fresh');
    expect(performance.now() - startedAt).toBeLessThan(50 * 100);
    // The first claim and the background probes.
    await eventually(() => expect(wire.calls).toBeGreaterThan(4));
    expect(wire.calls).toBeLessThan(50);
    expect(states).toEqual(['unavailable']);
    wire.status = 'end';
  });

  test('detects that Redis is back and reports it', async () => {
    let works = false;
    const states: string[] = [];
    const wire = fakeRedis(async () => (works ? 'fresh' : gone()));
    const replay = redisReplay(wire, { retryAfterMs: 20, onStateChange: (state) => states.push(state) });
    await expect(replay.claim(claim('a'))).rejects.toThrow(IdentityUnavailable);
    works = true;
    await eventually(() => expect(states).toEqual(['unavailable', 'available']));
    expect(await replay.claim(claim('b'))).toBe('fresh');
    expect(await replay.claim(claim('a'))).toBe('replayed');
  });

  test('a Redis that is emptied later does not make an instance unready that serves reads', async () => {
    let nowMs = 1_000_500;
    let answer = 'fresh';
    const replay = redisReplay(
      fakeRedis(async () => answer),
      { nowMs: () => nowMs },
    );
    nowMs = 1_001_000;
    expect(await replay.check()).toBeUndefined();
    answer = 'before_start';
    expect(await replay.check()).toBeUndefined();
  });

  test.each<
    [policy: 'refuse' | 'memory' | 'reads', answer: () => Promise<unknown>, atMs: number, said: string | undefined]
  >([
    ['refuse', async () => 'fresh', 1_000_500, undefined],
    ['refuse', gone, 1_001_000, 'Redis does not answer'],
    ['refuse', silent, 1_001_000, 'Redis does not answer'],
    ['refuse', async () => 'before_start', 1_001_000, 'the replay memory in Redis has just started'],
    ['memory', async () => 'fresh', 1_000_500, 'the replay memory has just started'],
    ['memory', async () => 'fresh', 1_001_000, undefined],
    ['memory', gone, 1_000_500, 'the replay memory has just started'],
    ['memory', gone, 1_001_000, undefined],
    ['memory', async () => 'before_start', 1_001_000, undefined],
    ['reads', async () => 'fresh', 1_000_500, 'the replay memory has just started'],
    ['reads', async () => 'fresh', 1_001_000, undefined],
    ['reads', gone, 1_001_000, undefined],
    ['reads', silent, 1_001_000, undefined],
    ['reads', async () => 'before_start', 1_001_000, 'the replay memory in Redis has just started'],
  ])('check() with onUnavailable: %s (%#)', async (onUnavailable, answer, atMs, said) => {
    let nowMs = 1_000_500;
    const wire = fakeRedis(answer);
    const replay = redisReplay(wire, { onUnavailable, timeoutMs: 20, nowMs: () => nowMs });
    nowMs = atMs;
    expect(await replay.check()).toBe(said);
    wire.status = 'end';
  });

  test('treats an unexpected reply as unavailable', async () => {
    await expect(redisReplay(fakeRedis(async () => 'OK')).claim(claim('n'))).rejects.toThrow(IdentityUnavailable);
  });
});

const url = process.env.REDIS_URL;

if (url !== undefined)
  describe('on a real Redis', () => {
    let clients: Redis[] = [];
    const prefix = `countersign:test:${randomUUID()}:`;
    const connect = async (port?: number, retryStrategy: () => number | null = () => null) => {
      const options = {
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
        lazyConnect: true,
        retryStrategy,
        disconnectTimeout: 50,
      };
      const client = port === undefined ? new Redis(url ?? '', options) : new Redis(port, '127.0.0.1', options);
      client.on('error', () => {});
      clients.push(client);
      await client.connect();
      return client;
    };

    afterEach(async () => {
      const sweeper = await connect();
      const keys = await sweeper.keys(`${prefix}*`);
      if (keys.length > 0) await sweeper.del(keys);
      for (const client of clients) client.disconnect();
      clients = [];
    });

    test('two instances share one memory: one of 50 concurrent claims is fresh', async () => {
      const stores = [redisReplay(await connect(), { prefix }), redisReplay(await connect(), { prefix })];
      const verdicts = await Promise.all(Array.from({ length: 50 }, (_, n) => stores[n % 2]?.claim(claim('n'))));
      expect(verdicts.filter((verdict) => verdict === 'fresh')).toHaveLength(1);
      expect(verdicts.filter((verdict) => verdict === 'replayed')).toHaveLength(49);
    });

    test('nonces expire with their requests', async () => {
      const client = await connect();
      await redisReplay(client, { prefix }).claim(claim('n'));
      const lifeMs = await client.pttl(`${prefix}a n`);
      expect(lifeMs).toBeGreaterThan(34_000);
      expect(lifeMs).toBeLessThanOrEqual(36_000);
    });

    test('refuses requests created before the memory began', async () => {
      const replay = redisReplay(await connect(), { prefix });
      expect(await replay.claim(claim('n', secondsNow() - 1))).toBe('before_start');
    });

    describe('that the test can kill', () => {
      const dir = mkdtempSync(join(tmpdir(), 'redis-replay-'));
      let port: number;
      let server: ChildProcess;

      beforeEach(async () => {
        port = await freePort();
        server = await startRedis(port, dir);
      });
      afterEach(async () => {
        for (const client of clients.splice(0)) client.disconnect();
        server.kill('SIGKILL');
        rmSync(join(dir, 'dump.rdb'), { force: true });
        if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
      });

      test('a restart allows no replay, even from a snapshot without the last nonces', async () => {
        const client = await connect(port);
        const first = redisReplay(client, { prefix });
        await first.claim(claim('before-snapshot'));
        await client.save();
        expect(await first.claim(claim('after-snapshot'))).toBe('fresh');
        server.kill('SIGKILL');
        await once(server, 'exit');
        server = await startRedis(port, dir);

        // Another instance with an empty memory.
        const other = redisReplay(await connect(port), { prefix });
        const startedSec = secondsNow();
        expect(await other.claim(claim('after-snapshot', startedSec))).toBe('before_start');
        expect(await other.claim(claim('after-snapshot-2', startedSec + 2))).toBe('fresh');
      });

      test('a flush allows no replay', async () => {
        const client = await connect(port);
        const replay = redisReplay(client, { prefix });
        await replay.claim(claim('n'));
        await client.flushall();
        const other = redisReplay(await connect(port), { prefix });
        expect(await other.claim(claim('n', secondsNow()))).toBe('before_start');
      });

      test('a nonce accepted after a memory loss is replayed at every other instance', async () => {
        const options = { prefix, onUnavailable: 'memory', nowMs: () => 0 } as const;
        const first = redisReplay(await connect(port), options);
        const second = redisReplay(await connect(port), options);
        const old = claim('n', secondsNow() - 1);
        expect(await first.claim(old)).toBe('fresh');
        expect(await second.claim(old)).toBe('replayed');
      });

      test('a stopped Redis delays one request by 100 ms, and the store recovers', async () => {
        const replay = redisReplay(await connect(port), { prefix });
        await replay.claim(claim('a'));
        server.kill('SIGSTOP');
        const started = performance.now();
        await expect(replay.claim(claim('b'))).rejects.toThrow(IdentityUnavailable);
        await expect(replay.claim(claim('c'))).rejects.toThrow(IdentityUnavailable);
        expect(performance.now() - started).toBeLessThan(300);
        const continuedAt = performance.now();
        server.kill('SIGCONT');
        await eventually(async () => expect(await replay.claim(claim(randomUUID()))).toBe('fresh'));
        expect(performance.now() - continuedAt).toBeLessThan(1_000);
      });

      test('restarts the memory of a restarted Redis before the next request', async () => {
        const states: string[] = [];
        const client = await connect(port, () => 20);
        const replay = redisReplay(client, { prefix, onStateChange: (state) => states.push(state) });
        await replay.claim(claim('a'));
        server.kill('SIGKILL');
        await once(server, 'exit');
        server = await startRedis(port, dir);
        const sweeper = await connect(port);
        await eventually(async () => expect(await sweeper.get(`${prefix}since`)).not.toBeNull());
        const beganSec = Number(await sweeper.get(`${prefix}since`));
        expect(await replay.claim(claim('b', beganSec))).toBe('fresh');
        expect(states).toEqual([]);
      });

      test('a read accepted while Redis hangs is refused at the same instance afterwards, and works once at another', async () => {
        const [first, second] = [
          redisReplay(await connect(port), { prefix }),
          redisReplay(await connect(port), { prefix }),
        ];
        const read = (nonce: string) => ({ ...claim(nonce), isRead: true });
        expect(await first.claim(read('before'))).toBe('fresh');
        server.kill('SIGSTOP');
        expect([await first.claim(read('before')), await first.claim(read('during'))]).toEqual(['replayed', 'fresh']);
        const startedAt = performance.now();
        for (let n = 0; n < 200; n += 1) expect(await first.claim(read(`many ${n}`))).toBe('fresh');
        expect(performance.now() - startedAt).toBeLessThan(200);
        // What it leaves.
        expect(await second.claim(read('before'))).toBe('fresh');
        server.kill('SIGCONT');
        await eventually(async () => expect(await first.claim(claim(randomUUID()))).toBe('fresh'));
        expect(await first.claim(read('many 7'))).toBe('replayed');
        expect(await first.claim(read('during'))).toBe('replayed');
      });

      test('a killed Redis is unavailable immediately', async () => {
        const client = await connect(port);
        const replay = redisReplay(client, { prefix });
        await replay.claim(claim('a'));
        server.kill('SIGKILL');
        await once(client, 'close');
        await expect(replay.claim(claim('b'))).rejects.toThrow(IdentityUnavailable);
        expect(client.status).not.toBe('ready');
      });
    });
  });

async function freePort(): Promise<number> {
  const holder: Server = createTcpServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  holder.close();
  await once(holder, 'close');
  return port;
}

async function startRedis(port: number, dir: string): Promise<ChildProcess> {
  const where = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir];
  const server = spawn('redis-server', [...where, '--appendonly', 'no'], { stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const chunk of server.stdout) if (String(chunk).includes('Ready to accept')) break;
  return server;
}
