import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { expect, jest, test } from '@jest/globals';
import { openPostgres } from './open-postgres.ts';

const serverUrl = process.env.DATABASE_URL;
const testOnServer = serverUrl === undefined ? test.skip : test;

/** A way to the server that can be closed for a while; whoever tries it then is counted. */
async function gateTo(url: string) {
  const far = new URL(url);
  const sockets = new Set<Socket>();
  let refused: (() => void) | undefined;
  const server = createServer((near) => {
    if (refused !== undefined) {
      near.destroy();
      refused();
      return;
    }
    const there = connect(Number(far.port || 5432), far.hostname);
    for (const socket of [near, there]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    near.pipe(there).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = new URL(url);
  near.hostname = '127.0.0.1';
  near.port = String((server.address() as AddressInfo).port);
  return {
    url: near.href,
    /** Settles when so many have been turned away. */
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
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

testOnServer(
  'whoever listens is told within a second that a server is back which was away for some',
  async () => {
    const gate = await gateTo(serverUrl ?? '');
    const { driver } = await openPostgres(gate.url, () => {});
    const told = Promise.withResolvers<string | undefined>();
    await driver.listen('wake', told.resolve);
    await gate.closeFor(7);
    const backAt = performance.now();
    expect(await told.promise).toBeUndefined();
    const tookMs = performance.now() - backAt;
    await driver.close();
    await gate.close();
    expect(tookMs).toBeLessThan(1_000);
  },
  30_000,
);

testOnServer('whoever listens keeps the connection alive, and hears that it is gone', async () => {
  const { driver } = await openPostgres(serverUrl ?? '', () => {});
  const keepAlive = jest.spyOn(Socket.prototype, 'setKeepAlive');
  await driver.listen('wake', () => {});
  await driver.close();
  expect(keepAlive.mock.calls).toEqual([[true, 10_000]]);
  keepAlive.mockRestore();
});
