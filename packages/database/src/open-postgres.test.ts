import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { eventually } from '@countersign/testing';
import { expect, jest, test } from '@jest/globals';
import { sql } from 'kysely';
import { makeDatabase } from './database.ts';
import { openPostgres } from './open-postgres.ts';

const pool = { onError: () => {}, maxConnections: 10 };

const serverUrl = process.env.DATABASE_URL;
const testOnServer = serverUrl === undefined ? test.skip : test;

/** A proxy to the server that can be closed. It counts the connections that it refuses meanwhile. */
async function gateTo(url: string) {
  const far = new URL(url);
  const sockets = new Set<Socket>();
  const pairs = new Map<Socket, Socket>();
  const waiting = new Set<Socket>();
  let refused: (() => void) | undefined;
  let hangs = false;
  const server = createServer((near) => {
    if (hangs) {
      // The kernel accepts connections to a stopped server, but nothing answers until it continues.
      waiting.add(near);
      near.on('error', () => {}).on('close', () => waiting.delete(near));
      return;
    }
    if (refused !== undefined) {
      near.destroy();
      refused();
      return;
    }
    join(near);
  });
  function join(near: Socket): void {
    const there = connect(Number(far.port || 5432), far.hostname);
    for (const socket of [near, there]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    pairs.set(near, there);
    near.on('close', () => {
      pairs.delete(near);
      there.destroy();
    });
    near.pipe(there).pipe(near);
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = new URL(url);
  near.hostname = '127.0.0.1';
  near.port = String((server.address() as AddressInfo).port);
  return {
    url: near.href,
    port: Number(near.port),
    waiting: () => waiting.size,
    /** Settles when this many connections have been refused. */
    async closeFor(tries: number): Promise<void> {
      await new Promise<void>((resolve) => {
        let left = tries;
        refused = () => {
          left -= 1;
          if (left === 0) resolve();
        };
        for (const socket of sockets) socket.destroy();
      });
      refused = undefined;
    },
    /** Holds bytes back in both directions. New connections are accepted but not answered. */
    hang(): void {
      hangs = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    goOn(): void {
      hangs = false;
      for (const [near, there] of pairs) near.pipe(there).pipe(near);
      for (const near of waiting) join(near);
      waiting.clear();
    },
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

testOnServer(
  'calls a listener within a second after a lost server returns',
  async () => {
    const gate = await gateTo(serverUrl ?? '');
    const { driver } = await openPostgres(gate.url, pool);
    const notified = Promise.withResolvers<string | undefined>();
    await driver.listen('wake', notified.resolve);
    await gate.closeFor(7);
    const backAt = performance.now();
    expect(await notified.promise).toBeUndefined();
    const tookMs = performance.now() - backAt;
    await driver.close();
    await gate.close();
    expect(tookMs).toBeLessThan(1_000);
  },
  30_000,
);

testOnServer('stops a listener and closes, within 3 s each, while the server hangs', async () => {
  const opened = jest.spyOn(Socket.prototype, 'connect');
  const gate = await gateTo(serverUrl ?? '');
  const { driver } = await openPostgres(gate.url, pool);
  const stopListening = await driver.listen('wake', () => {});
  gate.hang();
  for (const end of [stopListening, driver.close]) {
    const askedAt = performance.now();
    await end();
    expect(performance.now() - askedAt).toBeLessThan(3_000);
  }
  // No connection is left whose timer could fire later.
  const toGate = opened.mock.contexts.filter((_socket, at) => Number(opened.mock.calls[at]?.[0]) === gate.port);
  expect(toGate.map((socket) => (socket as Socket).destroyed)).toEqual([true, true]);
  opened.mockRestore();
  gate.goOn();
  await gate.close();
});

testOnServer('a listener that stops while it reconnects keeps no connection', async () => {
  const gate = await gateTo(serverUrl ?? '');
  const { driver } = await openPostgres(gate.url, pool);
  const stopListening = await driver.listen('wake', () => {});
  await gate.closeFor(1);
  gate.hang();
  await eventually(() => expect(gate.waiting()).toBe(1));
  await stopListening();
  gate.goOn();
  await driver.close();
  await gate.close();
});

testOnServer('keeps a listener’s connection alive, and notices when it is lost', async () => {
  const { driver } = await openPostgres(serverUrl ?? '', pool);
  const keepAlive = jest.spyOn(Socket.prototype, 'setKeepAlive');
  await driver.listen('wake', () => {});
  await driver.close();
  expect(keepAlive.mock.calls).toEqual([[true, 10_000]]);
  keepAlive.mockRestore();
});

testOnServer(
  'a hung server is unavailable within 3 s, then immediately, and available within a second after it continues',
  async () => {
    const gate = await gateTo(serverUrl ?? '');
    const { kysely, driver } = await openPostgres(gate.url, pool);
    const db = makeDatabase(kysely, driver);
    const ask = async () => {
      const askedAt = performance.now();
      const code = await db
        .transaction({ role: 'none' }, async (trx) => sql`select 1`.execute(trx))
        .then(
          () => 'done',
          ({ code }) => code,
        );
      return { code, tookMs: performance.now() - askedAt };
    };
    // More transactions than connections, so that the pool must open new ones.
    expect((await ask()).code).toBe('done');
    gate.hang();
    for (const { code, tookMs } of await Promise.all(Array.from({ length: 25 }, ask))) {
      expect(code).toBe('unavailable');
      expect(tookMs).toBeLessThan(3_000);
    }
    const next = await ask();
    expect(next.code).toBe('unavailable');
    expect(next.tookMs).toBeLessThan(500);
    expect(await db.ping()).toBe('the database does not respond');
    gate.goOn();
    const backAt = performance.now();
    await eventually(async () => expect((await ask()).code).toBe('done'));
    expect(performance.now() - backAt).toBeLessThan(1_000);
    await driver.close();
    await gate.close();
  },
  30_000,
);

testOnServer(
  'a full pool is not reported as an unreachable server, and a pool of its own still has connections',
  async () => {
    const { kysely, driver, openPool } = await openPostgres(serverUrl ?? '', { ...pool, maxConnections: 1 });
    const db = makeDatabase(kysely, driver, openPool);
    const own = db.withOwnPool(1);
    const [held, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = db.transaction({ role: 'none' }, async () => {
      held.resolve();
      await release.promise;
    });
    await held.promise;
    await own.transaction({ role: 'none' }, async (trx) => sql`select 1`.execute(trx));
    await expect(db.transaction({ role: 'none' }, async () => {})).rejects.toMatchObject({
      code: 'unavailable',
      detail: { reason: 'all database connections of the pool are in use' },
    });
    release.resolve();
    await holding;
    await db.close();
  },
);

testOnServer('a long statement does not count as a hang', async () => {
  const { kysely, driver } = await openPostgres(serverUrl ?? '', pool);
  const { rows } = await sql`select pg_sleep(3), 1 as one`.execute(kysely);
  expect(rows).toMatchObject([{ one: 1 }]);
  await driver.close();
});
