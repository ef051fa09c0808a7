import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { IdentityUnavailable, type RedisForReplay, type RedisReplayOptions, redisReplay } from '../src/index.ts';

const secondsNow = () => Math.floor(Date.now() / 1000);
/** Created a little ahead, past the second in which a store begins. */
const claim = (nonce: string, createdSec = secondsNow() + 2) => ({
  audience: 'a',
  keyid: 'k',
  nonce,
  createdSec,
  keepUntilSec: createdSec + 35,
  nowSec: createdSec,
});

/** Runs Redis commands against whatever a test says Redis does. */
function fakeWire(answer: () => Promise<unknown>): RedisForReplay & { calls: number } {
  const fake = {
    calls: 0,
    options: { enableOfflineQueue: false },
    call() {
      fake.calls += 1;
      return answer();
    },
  };
  return fake;
}

test('refuses a client that would queue claims while Redis is away', () => {
  const queueing = new Redis({ lazyConnect: true });
  expect(() => redisReplay(queueing)).toThrow('enableOfflineQueue');
  expect(() => redisReplay({ call: async () => 'fresh' })).toThrow(TypeError);
  queueing.disconnect();
});

describe('while Redis is gone', () => {
  const gone = () => Promise.reject(new Error('Connection is closed.'));
  const silent = () => new Promise<never>(() => {});

  test('refuses as unavailable by default', async () => {
    const replay = redisReplay(fakeWire(gone));
    await expect(replay.claim(claim('n'))).rejects.toThrow(IdentityUnavailable);
  });

  test('goes on with its own memory if told so', async () => {
    const replay = redisReplay(fakeWire(gone), { onUnavailable: 'memory' });
    expect(await replay.claim(claim('n'))).toBe('fresh');
    expect(await replay.claim(claim('n'))).toBe('replayed');
  });

  test('its own memory begins at the next whole second, so a restart while Redis is gone opens no window', async () => {
    const replay = redisReplay(fakeWire(gone), { onUnavailable: 'memory', nowMs: () => 1_000_500 });
    expect(await replay.claim(claim('n', 1000))).toBe('before_start');
    expect(await replay.claim(claim('m', 1001))).toBe('fresh');
  });

  test('goes on with its own memory, if told so, for what is older than that of a Redis that came back empty', async () => {
    const wire = fakeWire(async () => 'before_start');
    const replay = redisReplay(wire, { onUnavailable: 'memory', nowMs: () => 1_000_500 });
    expect(await replay.claim(claim('n', 1001))).toBe('fresh');
    expect(await replay.claim(claim('n', 1001))).toBe('replayed');
    expect(await replay.claim(claim('m', 1000))).toBe('before_start');
    expect(await redisReplay(wire).claim(claim('n', 1001))).toBe('before_start');
  });

  test('what came before this process began is known to Redis, and asked there', async () => {
    const replay = redisReplay(
      fakeWire(async () => 'replayed'),
      { nowMs: () => 1_000_500 },
    );
    expect(await replay.claim(claim('n', 1000))).toBe('replayed');
  });

  test('waits no longer than told when Redis hangs, and then not again until it is time to retry', async () => {
    let now = 0;
    const states: string[] = [];
    const wire = fakeWire(silent);
    const options: RedisReplayOptions = {
      onUnavailable: 'memory',
      timeoutMs: 20,
      retryAfterMs: 1_000,
      monotonicMs: () => now,
      onStateChange: (state) => states.push(state),
    };
    const replay = redisReplay(wire, options);
    expect(await replay.claim(claim('a'))).toBe('fresh');
    expect(wire.calls).toBe(1);
    for (let n = 0; n < 50; n += 1) expect(await replay.claim(claim(`b${n}`))).toBe('fresh');
    expect(wire.calls).toBe(1);
    now = 1_000;
    // One asks for all, so that the others do not wait too.
    await Promise.all(Array.from({ length: 20 }, (_, n) => replay.claim(claim(`c${n}`))));
    expect(wire.calls).toBe(2);
    expect(states).toEqual(['unavailable']);
  });

  test('says when it is back', async () => {
    let now = 0;
    let works = false;
    const states: string[] = [];
    const wire = fakeWire(async () => (works ? 'fresh' : gone()));
    const replay = redisReplay(wire, {
      onUnavailable: 'memory',
      monotonicMs: () => now,
      onStateChange: (state) => states.push(state),
    });
    await replay.claim(claim('a'));
    works = true;
    now = 1_000;
    await replay.claim(claim('b'));
    expect(states).toEqual(['unavailable', 'available']);
    expect(await replay.claim(claim('a'))).toBe('replayed');
  });

  test('an answer that makes no sense is no answer', async () => {
    await expect(redisReplay(fakeWire(async () => 'OK')).claim(claim('n'))).rejects.toThrow(IdentityUnavailable);
  });
});

const url = process.env.REDIS_URL;

if (url !== undefined)
  describe('on redis', () => {
    let clients: Redis[] = [];
    const prefix = `countersign:test:${randomUUID()}:`;
    const connect = async (port?: number) => {
      const options = {
        enableOfflineQueue: false,
        maxRetriesPerRequest: 0,
        lazyConnect: true,
        retryStrategy: () => null,
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

    test('two instances share one memory: of 50 claims at once, one is fresh', async () => {
      const stores = [redisReplay(await connect(), { prefix }), redisReplay(await connect(), { prefix })];
      const verdicts = await Promise.all(Array.from({ length: 50 }, (_, n) => stores[n % 2]?.claim(claim('n'))));
      expect(verdicts.filter((verdict) => verdict === 'fresh')).toHaveLength(1);
      expect(verdicts.filter((verdict) => verdict === 'replayed')).toHaveLength(49);
    });

    test('nonces go when their requests are dead', async () => {
      const client = await connect();
      await redisReplay(client, { prefix }).claim(claim('n'));
      const lifeMs = await client.pttl(`${prefix}a k n`);
      expect(lifeMs).toBeGreaterThan(34_000);
      expect(lifeMs).toBeLessThanOrEqual(36_000);
    });

    test('what was created before memory began is refused', async () => {
      const replay = redisReplay(await connect(), { prefix });
      expect(await replay.claim(claim('n', secondsNow() - 1))).toBe('before_start');
    });

    describe('that is ours to kill', () => {
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

      test('a restart opens no window, even from a snapshot that forgot the last nonces', async () => {
        const client = await connect(port);
        const first = redisReplay(client, { prefix });
        await first.claim(claim('before-snapshot'));
        await client.save();
        expect(await first.claim(claim('after-snapshot'))).toBe('fresh');
        server.kill('SIGKILL');
        await once(server, 'exit');
        server = await startRedis(port, dir);

        // Another instance, which remembers nothing itself.
        const other = redisReplay(await connect(port), { prefix });
        const startedSec = secondsNow();
        expect(await other.claim(claim('after-snapshot', startedSec))).toBe('before_start');
        expect(await other.claim(claim('after-snapshot-2', startedSec + 2))).toBe('fresh');
      });

      test('a flush opens no window either', async () => {
        const client = await connect(port);
        const replay = redisReplay(client, { prefix });
        await replay.claim(claim('n'));
        await client.flushall();
        const other = redisReplay(await connect(port), { prefix });
        expect(await other.claim(claim('n', secondsNow()))).toBe('before_start');
      });

      test('what an instance accepted without a past, it accepted for all', async () => {
        const options = { prefix, onUnavailable: 'memory', nowMs: () => 0 } as const;
        const first = redisReplay(await connect(port), options);
        const second = redisReplay(await connect(port), options);
        const old = claim('n', secondsNow() - 1);
        expect(await first.claim(old)).toBe('fresh');
        expect(await second.claim(old)).toBe('replayed');
      });

      test('stopped in its tracks, it costs 100 ms once, and recovers unaided', async () => {
        let now = 0;
        const replay = redisReplay(await connect(port), { prefix, monotonicMs: () => now });
        await replay.claim(claim('a'));
        server.kill('SIGSTOP');
        const started = performance.now();
        await expect(replay.claim(claim('b'))).rejects.toThrow(IdentityUnavailable);
        await expect(replay.claim(claim('c'))).rejects.toThrow(IdentityUnavailable);
        expect(performance.now() - started).toBeLessThan(300);
        server.kill('SIGCONT');
        now = 1_000;
        expect(await replay.claim(claim('d'))).toBe('fresh');
      });

      test('killed, it is unavailable at once', async () => {
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
