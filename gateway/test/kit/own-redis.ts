import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '@countersign/testing';

export type OwnRedis = Readonly<{
  url: string;
  /** `SIGSTOP`: it accepts and says nothing. `SIGCONT`: it goes on where it was. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** Kills it, and forgets what it held. */
  kill(): Promise<void>;
  /** Again on the same port, empty. */
  start(): Promise<void>;
  close(): Promise<void>;
}>;

/** A Redis that a test may stop and kill. */
export async function ownRedis(): Promise<OwnRedis> {
  const [port = 0] = await freePorts(1);
  const dir = mkdtempSync(join(tmpdir(), 'countersign-redis-'));
  const launch = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'];
    const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    for await (const chunk of child.stdout) if (String(chunk).includes('Ready to accept')) break;
    return child;
  };
  let server = await launch();
  async function kill() {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    signal: (name) => void server.kill(name),
    kill,
    async start() {
      server = await launch();
    },
    async close() {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
