import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { closeListening, type Listening } from './close-listening.ts';
import { ConfigError } from './config.ts';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';

/** The process cannot go on and the person who started it can mend it: one message, exit code 1. */
export class StartupError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StartupError';
  }
}

/**
 * Listens, and turns a taken port into a sentence.
 *
 * @returns The port in use, which differs from the one asked for when that was 0.
 */
export async function listen(server: Server, address: { host: string; port: number }, name: string): Promise<number> {
  server.listen(address.port, address.host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === 'EADDRINUSE' ? 'is already in use' : `cannot be opened (${code ?? 'unknown error'})`;
    throw new StartupError(`${name}: ${address.host}:${address.port} ${reason}`, { cause: error });
  }
  return (server.address() as AddressInfo).port;
}

/**
 * Closes a server once everything in flight is answered. Idle keep-alive connections end at once and answers under way
 * carry `Connection: close`; what is still open after `graceMs` is cut. A client that is connected by now is answered, and one that comes
 * later is refused.
 */
export async function drainServer(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return;
  // Without this a busy keep-alive client would hold its connection open until the grace is over.
  server.prependListener('request', (_req, res) => res.setHeader('connection', 'close'));
  const closed = once(server, 'close');
  const cutAtMs = performance.now() + graceMs;
  await closeListening(listeningOf(server), graceMs / 2);
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), cutAtMs - performance.now());
  await closed;
  clearTimeout(cut);
}

function listeningOf(server: Server): Listening {
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  return {
    accepted: () => accepted,
    setBacklog(backlog) {
      // Node.js has no public way to it. In a worker of a cluster this is a stand-in that does nothing.
      const { _handle: handle } = server as unknown as { _handle: { listen(backlog: number): number } | null };
      handle?.listen(backlog);
    },
    close: () => server.close(),
  };
}

export type Running = Readonly<{
  health: Health;
  logger: Logger;
  /** How long `/readyz` answers 503 while requests are still taken, so that a load balancer looks elsewhere first. */
  drainDelayMs: number;
  /** Stops taking requests, finishes what is in flight, then releases everything. Called once. */
  stop(): Promise<void>;
}>;

/**
 * The life of a process: start, wait for SIGTERM or SIGINT, answer `/readyz` with 503 for `drainDelayMs`, stop.
 * A launcher with an IPC channel to us takes us along when it dies. A configuration or start-up problem is one clear message
 * and exit code 1.
 */
export async function runProcess(name: string, start: () => Promise<Running>): Promise<void> {
  let running: Running;
  try {
    running = await start();
  } catch (error) {
    process.stderr.write(`${name}: ${explain(error)}\n`);
    process.exit(1);
  }
  const { health, logger } = running;
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught');
    process.exit(1);
  });
  const signal = await stopRequested();
  logger.info({ signal }, 'draining');
  health.drain();
  await delay(running.drainDelayMs);
  await running.stop();
  logger.info('stopped');
  await new Promise<void>((resolve) => logger.flush(() => resolve()));
  process.exit(0);
}

export type Stop = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'disconnect';

const impatientAfterMs = 2_000;

/**
 * Settles when the process is asked to stop. A repeat is ignored at first, since Ctrl-C under npm arrives twice, from the
 * terminal and from npm; one after two seconds means "now" and ends the process with exit code 1.
 *
 * @param stops `disconnect` is the end of a launcher that holds an IPC channel to us; it never hurries.
 */
export function stopRequested(stops: readonly Stop[] = ['SIGTERM', 'SIGINT', 'disconnect']): Promise<Stop> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const received = (stop: Stop) => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now();
        resolve(stop);
      } else if (stop !== 'disconnect' && performance.now() - firstAtMs > impatientAfterMs) {
        process.exit(1);
      }
    };
    for (const stop of stops) process.on(stop, () => received(stop));
  });
}

/** What went wrong at start, for a person; a stack only when it is a surprise. */
export function explain(error: unknown): string {
  if (error instanceof ConfigError) return `configuration\n${error.problems.map((line) => `  ${line}`).join('\n')}`;
  if (error instanceof StartupError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
