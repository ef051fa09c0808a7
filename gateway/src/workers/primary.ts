import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createHealth,
  createServiceServer,
  drainServer,
  type Logger,
  listen,
  type Running,
  StartupError,
} from '@countersign/service-kit';
import { Counter, Gauge, Registry } from 'prom-client';
import { demandAdminHost } from '../admin/admin-host.ts';
import type { GatewayConfig } from '../config/config.ts';
import { createAdminOfAll } from './admin-of-all.ts';
import { openSlot, type Slot } from './slot.ts';
import { watchWorkerListeners } from './worker-listeners.ts';

export type PrimaryOptions = Readonly<{
  workers: number;
  logger: Logger;
  /** Those of the workers; after both, and some time to end, a worker is killed. */
  drainDelayMs: number;
  shutdownGraceMs: number;
}>;

export type RunningPrimary = Running & Readonly<{ reload(): void }>;

const killAfterMs = 5_000;

/**
 * Runs the gateway in so many processes. Each is a whole gateway, and takes its share of the connections; this one serves no
 * requests. It has the admin listener, starts a worker again that ended, and hands signals on.
 *
 * @throws StartupError when the first worker does not come to serve; why, that one has said itself.
 */
export async function servePrimary(config: GatewayConfig, options: PrimaryOptions): Promise<RunningPrimary> {
  const { workers, logger, drainDelayMs, shutdownGraceMs } = options;
  // Mode 0700: what is in it can be reached by nobody else.
  const directory = mkdtempSync(join(tmpdir(), 'countersign-workers-'));
  const slots: Slot[] = [];
  const listeners = watchWorkerListeners();
  let publicPort = 0;
  let allHandedOver: Promise<void> | undefined;
  const links = () => slots.flatMap((slot) => slot.link() ?? []);
  const health = createHealth({ workers: () => readinessOf(slots) });
  const metrics = watchSlots(slots);
  const admin = createServiceServer(
    createAdminOfAll({ health, metrics, links, logger, demandHost: demandAdminHost(config) }),
  );

  /** Takes no more connections, and hands over those that it has. The internal listener goes on: what is being finished may need it. */
  async function closePublic(): Promise<void> {
    await delay(drainDelayMs);
    const untilMs = performance.now() + shutdownGraceMs;
    await listeners.close(publicPort, shutdownGraceMs / 2);
    while (slots.some((slot) => slot.handedOver() > 0) && performance.now() < untilMs) await delay(1);
  }

  async function stop(): Promise<void> {
    health.drain();
    const ended = Promise.all(slots.map((slot) => slot.ended()));
    for (const slot of slots) slot.signal('SIGTERM');
    allHandedOver = closePublic();
    // A worker drains its two listeners one after the other.
    const patienceMs = drainDelayMs + 3 * shutdownGraceMs + killAfterMs;
    const kill = setTimeout(() => {
      for (const slot of slots) slot.signal('SIGKILL');
    }, patienceMs);
    await ended;
    clearTimeout(kill);
    await drainServer(admin, shutdownGraceMs);
    rmSync(directory, { recursive: true, force: true });
  }

  const openNext = () => {
    const slot = openSlot(slots.length + 1, { directory, logger, whenMayClose: async () => allHandedOver });
    slots.push(slot);
    return slot.started;
  };
  try {
    // One alone first, so that what keeps it from serving is said once.
    const first = await openNext();
    const others = await Promise.all(Array.from({ length: first === undefined ? 0 : workers - 1 }, openNext));
    if (first === undefined || others.includes(undefined)) {
      throw new StartupError('a worker ended before it served');
    }
    publicPort = first.ports.public;
    const ports = { ...first.ports, admin: await listen(admin, config.listen.admin, 'admin listener') };
    logger.info({ ports, workers, config: config.hash.slice(0, 12) }, 'gateway listens');
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    health,
    logger,
    // Workers wait themselves: all of them are to be told at once.
    drainDelayMs: 0,
    stop,
    reload() {
      for (const slot of slots) slot.reload();
    },
  };
}

/** Ready when every worker that takes connections is. One that is being started again takes none. */
async function readinessOf(slots: readonly Slot[]): Promise<string | undefined> {
  const serving = slots.flatMap((slot) => {
    const link = slot.link();
    return link === undefined ? [] : [{ number: slot.number, link }];
  });
  if (serving.length === 0) return 'none serves';
  const answers = await Promise.all(
    serving.map(async ({ number, link }) => {
      try {
        const { status, body } = await link.ask('/readyz');
        return status === 200 ? [] : [`worker ${number}: ${failedChecks(body)}`];
      } catch {
        return [`worker ${number} does not answer`];
      }
    }),
  );
  const problems = answers.flat();
  return problems.length === 0 ? undefined : problems.join('; ');
}

function failedChecks(body: string): string {
  const { checks } = JSON.parse(body) as { checks: Record<string, string> };
  const failed = Object.entries(checks).filter(([, state]) => state !== 'ok');
  return failed.map(([name, state]) => `${name}: ${state}`).join(', ');
}

function watchSlots(slots: readonly Slot[]): Registry {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'countersign_workers',
    help: 'Workers that serve. Without --workers there is no such value.',
    registers,
    collect() {
      this.set(slots.filter((slot) => slot.link() !== undefined).length);
    },
  });
  new Counter({
    name: 'countersign_worker_restarts_total',
    help: 'Workers that ended and were started again.',
    registers,
    collect() {
      this.reset();
      this.inc(slots.reduce((sum, { restarts }) => sum + restarts, 0));
    },
  });
  return registry;
}
