import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from './config.ts';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import { saferNodeRelease, unsupportedNode } from './node-release.ts';

/** A startup problem that an operator can fix. {@link runProcess} prints the message and exits with code 1. */
export class StartupError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StartupError';
  }
}

export type Running = Readonly<{
  health: Health;
  logger: Logger;
  /** How long `/readyz` returns 503 before the listeners close, so that load balancers stop sending requests first. */
  drainDelayMs: number;
  /** Stops accepting requests, finishes current ones, then releases all resources. Called once. */
  stop(): Promise<void>;
}>;

/**
 * Runs a process: starts it, waits for SIGTERM or SIGINT, returns 503 from `/readyz` for `drainDelayMs`, and stops it.
 * If a launcher started the process with an IPC channel, the process also stops when the launcher exits. After a
 * startup problem, prints one message and exits with code 1.
 */
export async function runProcess(name: string, start: () => Promise<Running>): Promise<void> {
  let running: Running;
  try {
    const unsupported = unsupportedNode(process.versions.node);
    if (unsupported !== undefined) throw new StartupError(unsupported);
    running = await start();
  } catch (error) {
    process.stderr.write(`${name}: ${describeStartError(error)}\n`);
    process.exit(1);
  }
  const { health, logger } = running;
  // In development Node.js comes from npm, which may lag behind (SECURITY.md).
  const safer = process.env.NODE_ENV === 'production' ? saferNodeRelease(process.versions.node) : undefined;
  if (safer !== undefined) {
    logger.warn({ node: process.versions.node, safer }, 'this Node.js release lacks security fixes: upgrade it');
  }
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception');
    process.exit(1);
  });
  const signal = await stopRequested();
  logger.info({ signal }, 'draining');
  health.drain();
  await delay(running.drainDelayMs);
  await running.stop();
  logger.info('stopped');
  process.exit(0);
}

export type Stop = 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'disconnect';

const exitOnRepeatAfterMs = 2_000;

/**
 * Resolves when the process is asked to stop. Ignores a repeated signal within two seconds, because Ctrl-C under npm
 * arrives twice, from the terminal and from npm. A later signal ends the process immediately with exit code 1.
 *
 * @param stops `disconnect` means that the launcher at the other end of the IPC channel exited. Repeating it never ends
 *   the process.
 */
export function stopRequested(stops: readonly Stop[] = ['SIGTERM', 'SIGINT', 'disconnect']): Promise<Stop> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const received = (stop: Stop) => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now();
        resolve(stop);
      } else if (stop !== 'disconnect' && performance.now() - firstAtMs > exitOnRepeatAfterMs) {
        process.exit(1);
      }
    };
    for (const stop of stops) process.on(stop, () => received(stop));
  });
}

/** Describes a startup error for an operator. Only an unexpected error includes its stack trace. */
export function describeStartError(error: unknown): string {
  if (error instanceof ConfigError) return `configuration\n${error.problems.map((line) => `  ${line}`).join('\n')}`;
  if (error instanceof StartupError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
