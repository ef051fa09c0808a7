import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePorts } from './free-ports.ts';

export type ThrowAwayRedis = Readonly<{
  url: string;
  pid(): number;
  /** Ends the server with SIGKILL, and waits for its exit. */
  kill(): Promise<void>;
  /** Restarts the server on the same port, without data. */
  start(): Promise<void>;
}>;

/** Starts a separate `redis-server` that tests can stop or kill. It stores nothing on disk. */
export async function throwAwayRedis(): Promise<ThrowAwayRedis> {
  const [port = 0] = await freePorts(1);
  let server: ChildProcess | undefined;
  async function start(): Promise<void> {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp'];
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    server = child;
    let output = '';
    for await (const chunk of child.stdout) {
      output += chunk;
      if (/Ready to accept connections/i.test(output)) break;
    }
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}:\n${output}`);
  }
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: () => server?.pid ?? 0,
    start,
    async kill() {
      const was = server;
      server = undefined;
      if (was === undefined || was.exitCode !== null || was.signalCode !== null) return;
      const ended = once(was, 'exit');
      was.kill('SIGKILL');
      await ended;
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
