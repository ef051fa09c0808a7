import { freePorts } from './free-ports.ts';
import { type StartedProcess, startProcess } from './start-process.ts';

export type ThrowAwayRedis = Awaited<ReturnType<typeof throwAwayRedis>>;

/** Starts a separate `redis-server` that tests can stop or kill. It stores nothing on disk. */
export async function throwAwayRedis() {
  const [port = 0] = await freePorts(1);
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp'];
  let server: StartedProcess | undefined;
  async function start(): Promise<void> {
    server = startProcess({ command: 'redis-server', args });
    await server.waitFor(/Ready to accept connections/i);
  }
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    /** @throws Error while the server is down. A signal to 0 would reach this process and its group. */
    pid(): number {
      if (server === undefined) throw new Error('this Redis is not running');
      return server.pid;
    },
    /** Restarts the server on the same port, without data. */
    start,
    /** Ends the server with SIGKILL, and waits for its exit. */
    async kill() {
      const was = server;
      server = undefined;
      await was?.stop('SIGKILL');
    },
  };
}

/** The stores for a suite: this process's memory, and Redis if `REDIS_URL` names one. */
export function redisServers(): [kind: string, server: Readonly<{ url: string | undefined }>][] {
  const found: ReturnType<typeof redisServers> = [['memory', { url: undefined }]];
  const { REDIS_URL: url } = process.env;
  if (url) found.push(['redis', { url }]);
  return found;
}
