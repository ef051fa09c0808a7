import { setTimeout as delay } from 'node:timers/promises';
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
    process.stderr.write(`${name}: ${describeStartError(error)}\n`);
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
export function describeStartError(error: unknown): string {
  if (error instanceof ConfigError) return `configuration\n${error.problems.map((line) => `  ${line}`).join('\n')}`;
  if (error instanceof StartupError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
